"""The broker misbehaves while the device is at work.

    python -m tests.faults.flapping [--times 20] [--every SECONDS]
    python -m tests.faults.flapping --kind closes|silent|twins|poison [--seconds 20] [--version 3.1.1]

stops: somebody comes to the drawn porch again and again, faster than any clock on the wall; the broker is stopped and
started all the while, at moments of chance, or with --every as regularly as that. Whoever listens keeps a session
there. No event is missing once repeated ids are dropped.
closes, silent: a port accepts connections and closes them, or never answers. What does that cost the frame loop?
twins: two devices of one name are at the broker. How often do they take the connection from one another?
poison: an answer is larger than the broker takes. How often does the connection end, and are others answered?
"""

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from edge.api.topics import Topics
from edge.config import Config, GalleryConfig, MqttConfig
from edge.core.types import Frame
from edge.demo.film import FRAMES_PER_SECOND
from edge.demo.scene import porch, with_person
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.outgoing import Outgoing
from tests.edge.mqtt.brokers import mosquitto, server
from tests.household import Broker, Household, running, until, visit

SPEED = 5.0  # times the clock on the wall


class BusyPorch:
    """Somebody comes, stays, goes; a moment of nobody; the next. See edge.core.ports.FrameSource."""

    def __init__(self) -> None:
        self.ended, self.dropped = False, 0
        self.leaving = False  # whoever is there is the last
        self.empty = False  # nobody was there for a while, and nobody comes any more
        self._frames = self._endless()

    def read(self, timeout_seconds: float) -> Frame | None:
        """The next frame."""
        time.sleep(min(timeout_seconds, 1 / FRAMES_PER_SECOND / SPEED))
        return next(self._frames)

    def close(self) -> None:
        """Nothing is held open."""

    def _endless(self) -> Iterator[Frame]:
        number = 0
        for visitor in range(1_000_000):
            poses = [] if self.leaving else visit(0.0)
            pictures = [with_person(porch(), visitor % 4, pose) for pose in poses]
            for picture in [*pictures, *[porch()] * 20]:
                yield Frame(picture, number / FRAMES_PER_SECOND)
                number += 1
            self.empty = not poses


@dataclass
class Count:
    """What happened to the events. late: of those delivered, on event/late; repeated: more often than once"""

    stops: int
    seconds: int
    expected: int
    delivered: int
    late: int
    repeated: int
    lost: int
    dropped: int
    frames_while_away: int


def pauses(every_seconds: float | None, seed: int = 0) -> Iterator[tuple[float, float]]:
    """How long the broker stays away, and then there, each time."""
    rng = random.Random(seed)  # noqa: S311 -- moments, not secrets
    while True:
        if every_seconds is None:
            yield rng.uniform(0.1, 2.0), rng.uniform(0.5, 2.0)
        else:
            yield every_seconds / 2, every_seconds / 2


def run(folder: Path, times: int, every_seconds: float | None = None) -> Count:
    """Stop and start the broker that often."""
    with Broker(folder) as broker, Household(broker.port) as household:
        config = Config(
            device="porch",
            gallery=GalleryConfig(folder / "gallery.db"),
            mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        )
        source, frames = BusyPorch(), 0
        with running(config, lambda: source) as service:
            until(household.events)
            began = time.monotonic()
            for away, there in tqdm(islice(pauses(every_seconds), times), "broker stopped", times, unit="stop"):
                broker.stop()
                before = service.running.watch.count
                time.sleep(away)
                frames += service.running.watch.count - before
                broker.start()
                time.sleep(there)
            seconds = time.monotonic() - began
            source.leaving = True
            until(lambda: source.empty, 60)
            expected, dropped = service.publisher.published, service.outbox.dropped
            until(lambda: household.client.is_connected() and len(heard(household)) >= expected - dropped, 120)
        events = heard(household)
    return Count(
        stops=times,
        seconds=round(seconds),
        expected=expected,
        delivered=len(events),
        late=len(heard(household, "event/late")),
        repeated=events.total() - len(events),
        lost=len(set(range(1, expected + 1)) - {seq for seq, _ in events}),
        dropped=dropped,
        frames_while_away=frames,
    )


def heard(household: Household, *names: str) -> Counter:
    """How often each event was heard, by its number and id; on these topics, or on both that there are."""
    messages = [message for name in names or ("event", "event/late") for message in household.on(name)]
    return Counter((event["seq"], event["id"]) for event in (json.loads(message.payload) for message in messages))


@dataclass
class Stall:
    """What a port that is no broker costs. calls: of pending, which the frame loop makes; attempts: to connect"""

    kind: str
    seconds: float
    calls: int
    longest_ms: float
    attempts: int


def stall(kind: str, seconds: float) -> Stall:
    """Run a link against a port that closes every connection, or never answers."""

    def misbehave(connection: socket.socket) -> None:
        with suppress(OSError):  # the end of the test closes it
            while kind == "silent" and connection.recv(1000):
                pass
        connection.close()

    with server(misbehave) as port:
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=port.port), Topics("porch"))
        link.start()
        took_seconds, began = [], time.monotonic()
        while time.monotonic() < began + seconds:
            started = time.perf_counter()
            link.pending()
            link.publish_state("health", b"%d" % len(took_seconds), qos=0)
            took_seconds.append(time.perf_counter() - started)
            time.sleep(0.002)
        attempts = len(port.came)
        link.stop()
    return Stall(kind, seconds, len(took_seconds), round(1000 * max(took_seconds), 1), attempts)


@dataclass
class Twins:
    """How often two devices of one name took the connection from one another; what the last one said of it."""

    seconds: float
    takeovers: int
    last_error: str | None


def twins(folder: Path, seconds: float, version: str) -> Twins:
    """Run two devices of one name."""
    with Broker(folder) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
        links = [DeviceLink(config, Topics("porch")) for _ in range(2)]
        for number, link in enumerate(links):
            link.publish_state("info", json.dumps({"instance": str(number)}).encode())
            link.start()
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            for link in links:
                link.pending()
            time.sleep(0.01)
        takeovers = sum(link.connections for link in links) - 1
        errors = [link.last_error for link in links if link.last_error is not None]
        for link in links:
            link.stop()
    return Twins(seconds, takeovers, errors[-1] if errors else None)


@dataclass
class Poison:
    """What one answer that is too large did. connections: of the device; answered: of the small answers asked for"""

    seconds: float
    connections: int
    set_aside: int
    asked: int
    answered: int


def poison(folder: Path, seconds: float, version: str) -> Poison:
    """Send an answer that is too large now and then, and small ones all the while."""
    with mosquitto(folder, "max_packet_size 20000") as broker, Household(broker.port) as household:
        topics = Topics("porch")
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port, version=version), topics)
        link.start()
        until(lambda: link.pending() == [] and link.connected)
        asked, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            if asked % 100 == 0:
                link.send(Outgoing(topics.response("snapshot/get"), bytes(60_000)))
            link.send(Outgoing(topics.response("person/list"), b"%d" % asked))
            asked += 1
            link.pending()
            time.sleep(0.02)
        until(lambda: link.pending() == [] and link.connected and link.depth == 0, 120)
        answered = {message.payload for message in household.on("response/person/list")}
        link.stop()
    return Poison(seconds, link.connections, link.set_aside, asked, len(answered))


@click.command()
@click.option("--kind", type=click.Choice(["stops", "closes", "silent", "twins", "poison"]), default="stops")
@click.option("--times", default=20, show_default=True)
@click.option("--every", "every_seconds", type=float, help="Seconds from stop to stop, half of them without a broker.")
@click.option("--seconds", default=20.0, show_default=True, help="Of all kinds but stops.")
@click.option("--version", default="auto", show_default=True, help="Of MQTT, of the last two kinds.")
def main(kind: str, times: int, every_seconds: float | None, seconds: float, version: str) -> None:
    """Print what happened; status 1 if an event or an answer was lost."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        if kind in {"closes", "silent"}:
            click.echo(stall(kind, seconds))
        elif kind == "twins":
            click.echo(twins(folder, seconds, version))
        elif kind == "poison":
            count = poison(folder, seconds, version)
            click.echo(count)
            if count.answered < count.asked:
                raise click.exceptions.Exit(1)
        else:
            events = run(folder, times, every_seconds)
            click.echo(events)
            if events.lost:
                raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
