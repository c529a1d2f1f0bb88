"""Somebody at the broker attacks the device while another client asks as always: frames go on, others are answered.

    python -m tests.faults.attacks [--kind KIND] [--seconds 30] [--rate 1000] [--asker one|none|many]

flood: requests that read, at that rate. full_queue: the same, as many at a time without an answer. slow_pictures:
pictures of 16 megapixels that take as long as the limits allow, and one with 80,000 scans, two a second
(tests.faults.slow_images). Answers go to a ResponseTopic of the attacker's own (one), to the twin of the request's
topic, as those of any client without MQTT 5 (none), or each to another ResponseTopic (many).

The device watches the drawn porch with somebody in it, at ten frames a second; attacker and other client are processes
of their own. The other asks five times a second, in turn with a ResponseTopic and without; every twentieth time it
sends a portrait. Printed are the frames of each second before and during the attack, the answers of both clients and
the memory.
"""

import base64
import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.demo.story import portrait
from tests.faults.device import at_work, write_config
from tests.faults.malformed import healths
from tests.faults.slow_images import slow_images
from tests.household import Broker, Household, until

SHARE_MIN = 0.8  # of the frames of a second before
OTHER_EVERY_SECONDS = 0.2
PATIENCE_SECONDS = 8.0  # since the last answer, for the next
START_SECONDS = 60.0  # until the first request of a client: its process starts, connects and makes its pictures
PICTURE_EVERY_SECONDS = 0.5
USUAL_SECONDS = 6
SIZE = 4000  # of slow pictures, in pixels each way: as many as one request may have
BASE = "limen/porch"


@dataclass
class Told:
    """What became of the requests of one client: asked, answers by code, and the seconds until each `ok`."""

    asked: int = 0
    codes: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def silent(self) -> int:
        """Requests without any answer."""
        return self.asked - self.codes.total()

    def __str__(self) -> str:
        """For people."""
        waits = sorted(self.seconds) or [0.0]
        return (
            f"{self.asked} asked, {dict(self.codes)}, {self.silent} silent; answered after {waits[len(waits) // 2]:.3f}"
            f" s, at most {waits[-1]:.3f} s"
        )


class Client:
    """Asks without waiting, and counts the answers. asked: set once the broker has a request."""

    def __init__(self, port: int, name: str, asked: Event) -> None:
        self.name, self.told, self._began, self._asked = name, Told(), dict[str, float](), asked
        self._heard_at = 0.0
        self.number = 0  # of requests that were handed to paho; the broker has not taken all of them
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        self.client.on_message = self._hear
        self.client.on_publish = self._count
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.subscribe([(f"limen/answers/{name}/#", 0), (f"{BASE}/response/#", 0)])
        self.client.loop_start()
        assert ready.wait(10)

    @property
    def waiting(self) -> int:
        """How many requests have no answer yet."""
        return len(self._began)

    def ask(self, verb: str, answer_to: str | None, **fields: object) -> None:
        """Ask once. answer_to: below the client's own answers; None: on the twin."""
        transaction = f"{self.name}-{self.number}"
        properties = Properties(PacketTypes.PUBLISH)
        if answer_to is not None:
            properties.ResponseTopic = f"limen/answers/{self.name}/{answer_to}"
            properties.CorrelationData = transaction.encode()
        self._began[transaction] = time.monotonic()
        self.number += 1
        payload = json.dumps({"transaction": transaction, **fields})
        self.client.publish(f"{BASE}/request/{verb}", payload, qos=1, properties=properties)

    def close(self) -> None:
        """Wait for the last answers; the device leaves some of a flood without any."""
        self._heard_at = time.monotonic()
        while self._began and time.monotonic() < self._heard_at + PATIENCE_SECONDS:
            time.sleep(0.01)
        self.client.disconnect()
        self.client.loop_stop()

    def _count(self, *_: object) -> None:
        self.told.asked += 1
        self._asked.set()

    def _hear(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        answer = json.loads(message.payload)
        transaction = getattr(message.properties, "CorrelationData", b"").decode() or answer["transaction"]
        began = self._began.pop(transaction, None)
        if began is not None:
            self._heard_at = time.monotonic()
            self.told.codes[answer["code"] or "ok"] += 1
            if answer["code"] is None:
                self.told.seconds.append(time.monotonic() - began)


def flood(client: Client, stop: Callable[[], bool], rate: float, asker: str) -> None:
    """Ask at that rate for what changes nothing."""
    began = time.monotonic()
    while not stop():
        while client.number < rate * (time.monotonic() - began):
            ask_for_nothing_new(client, asker)
        time.sleep(0.002)


def full_queue(client: Client, stop: Callable[[], bool], waiting: float, asker: str) -> None:
    """Ask for what changes nothing, so that as many requests wait all the time, on any machine."""
    while not stop():
        while client.waiting < waiting:
            ask_for_nothing_new(client, asker)
        time.sleep(0.002)


def ask_for_nothing_new(client: Client, asker: str) -> None:
    """Ask for what changes nothing."""
    number, verbs = client.number, ("person/list", "config/get", "health/check")
    client.ask(verbs[number % 3], {"one": "1", "none": None, "many": f"{number}/1"}[asker])


def slow_pictures(client: Client, stop: Callable[[], bool], size: float, asker: str) -> None:
    """Send pictures of size x size pixels that take long, in turn, two a second."""
    pictures = [base64.b64encode(image).decode() for image in slow_images(int(size)).values()]
    while not stop():
        number = client.number
        answer_to = {"one": "1", "none": None, "many": f"{number}/1"}[asker]
        client.ask("recognize/image", answer_to, image=pictures[number % len(pictures)])
        time.sleep(PICTURE_EVERY_SECONDS)


def ask_as_always(client: Client, stop: Callable[[], bool]) -> None:
    """Ask now and then."""
    picture = base64.b64encode(portrait(0, look=2.0)).decode()
    while not stop():
        answer_to = "1" if client.number % 2 else None
        if client.number % 20 == 9:
            client.ask("recognize/image", answer_to, image=picture)
        else:
            client.ask("person/list", answer_to)
        time.sleep(OTHER_EVERY_SECONDS)


def live(port: int, name: str, work: Callable[..., None], arguments: tuple, asked: Event, pipe: Connection) -> None:
    """The life of a client in a process of its own, until something comes through the pipe."""
    client = Client(port, name, asked)
    work(client, pipe.poll, *arguments)
    client.close()
    pipe.send(client.told)


@contextmanager
def at_broker(port: int, name: str, work: Callable[..., None], *arguments: object) -> Iterator[Callable[[], Told]]:
    """A client that has asked once; what is yielded ends it and returns what became of its requests."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    asked = spawn.Event()
    process = spawn.Process(target=live, args=(port, name, work, arguments, asked, theirs))
    process.start()

    def end() -> Told:
        ours.send("stop")
        told = ours.recv()
        process.join()
        return told

    try:
        until(asked.is_set, START_SECONDS)
        yield end
    finally:
        process.terminate()


@dataclass
class Attack:
    """What happened: health before and during it, second by second, and what became of the requests."""

    before: list[dict]
    during: list[dict]
    attacker: Told
    other: Told
    gallery_bytes: tuple[int, int]  # before and after

    @property
    def usual(self) -> float:
        """Frames a second before, the median."""
        return sorted(second["fps"] for second in self.before)[len(self.before) // 2]

    @property
    def share(self) -> float:
        """Frames of the worst second during the attack, of those before."""
        return min(second["fps"] for second in self.during) / self.usual


KINDS = {"flood": flood, "full_queue": full_queue, "slow_pictures": slow_pictures}


def run(
    folder: Path, seconds: float, rate: float, asker: str, kind: str = "flood", usual_seconds: int = USUAL_SECONDS
) -> Attack:
    """Attack for so many seconds. usual_seconds: it is watched before.

    rate: of full_queue how many requests wait, of slow_pictures their size in pixels
    """
    with Broker(folder) as broker, Household(broker.port) as household:
        config = write_config(folder, broker.port)
        with at_work(config, household), at_broker(broker.port, "other", ask_as_always) as end_other:
            until(lambda: len(household.on("health")) >= 2 + usual_seconds)
            before = healths(household)[2:]  # the first seconds are those of the start
            kept = gallery_bytes(folder)
            with at_broker(broker.port, "attacker", KINDS[kind], rate, asker) as end_attacker:
                began = len(household.on("health"))
                until(lambda: len(household.on("health")) > began + seconds, 3 * seconds + 30)
                during = healths(household)[began + 1 :]
                attacker = end_attacker()
            return Attack(before, during, attacker, end_other(), (kept, gallery_bytes(folder)))


def gallery_bytes(folder: Path) -> int:
    """The gallery with its log."""
    return sum(path.stat().st_size for path in folder.glob("gallery.db*"))


@click.command()
@click.option("--kind", type=click.Choice(list(KINDS)), default="flood", show_default=True)
@click.option("--seconds", default=30.0, show_default=True)
@click.option(
    "--rate", default=1000.0, show_default=True, help="Requests a second; of full_queue: without an answer at a time."
)
@click.option("--asker", type=click.Choice(["one", "none", "many"]), default="one", show_default=True)
def main(kind: str, seconds: float, rate: float, asker: str) -> None:
    """Print what happened; status 1 if a second had fewer than 80 % of the frames, or another client no answer."""
    with TemporaryDirectory() as folder:
        attack = run(Path(folder), seconds, SIZE if kind == "slow_pictures" else rate, asker, kind)
    for when, several in (("before", attack.before), ("during", attack.during)):
        fps, memory = ([second[what] for second in several] for what in ("fps", "rss_mb"))
        click.echo(f"{when}: {len(several)} s, {min(fps)} to {max(fps)} frames/s, at most {max(memory)} MB: {fps}")
    click.echo(f"{kind}: the worst second has {attack.share:.0%} of the frames before")
    click.echo(f"attacker: {attack.attacker}")
    click.echo(f"other: {attack.other}")
    click.echo(f"gallery: {attack.gallery_bytes[0]} bytes, then {attack.gallery_bytes[1]}")
    last = attack.during[-1]
    worker_mb = [second["worker_mb"] for second in attack.during if second["worker_mb"] is not None]
    click.echo(f"the process that reads pictures: at most {max(worker_mb, default=0)} MB, {last['workers_lost']} lost")
    click.echo({name: last[name] for name in ("refused_requests", "dropped_answers", "dropped_frames")})
    if attack.share < SHARE_MIN or attack.other.codes["ok"] < attack.other.asked:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
