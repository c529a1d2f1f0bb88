"""What a change costs with 10, 1,000 and 10,000 people, what the start and memory cost, and how long a match takes.

    python -m tests.bench.growth [--people 10 --people 1000] [--rounds 10] [--no-match]

A whole device that is connected to nothing, in a process of its own for each number of people. Between two frames it
carries out one request; the frame time while enrolling is that of the frame and its request together. Everybody has
two templates, each with the crop of somebody drawn.
"""

import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from edge.config import Config, GalleryConfig, MqttConfig
from edge.core.gallery import Gallery
from edge.core.thresholds import OneThreshold
from edge.core.types import Frame, Person, Template
from edge.demo.scene import people, porch
from edge.demo.story import portrait
from edge.mqtt.reports import Message
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from edge.storage.blobs import blob_of, encoded
from edge.system.metrics import rss_mb
from tests.household import base64_of

TEMPLATES = 2  # of each person
DIMENSION = 128
COLUMNS = ("enroll", "remove", "rename", "list", "page", "start", "memory", "frame", "enrolling")
UNITS = {"start": "s", "memory": "MB"}


def vectors(count: int) -> np.ndarray:
    """(count, DIMENSION) float32 of unit length, as alike as noise."""
    drawn = np.random.default_rng(0).normal(size=(count, DIMENSION)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def fill(config: Config, count: int) -> None:
    """Put that many people into the gallery's file."""
    with Device.open(config) as device:
        store = device.store
        crops = [encoded(crop) for crop in people().reshape(-1, 112, 112, 3)]
        drawn = iter(vectors(count * TEMPLATES))
        with store.transaction():
            for number in range(count):
                who, name = f"p_{number:08x}", f"Guest {number}"
                store.execute("INSERT INTO person (id, name, key) VALUES (?, ?, ?)", (who, name, name.casefold()))
                for row in range(TEMPLATES):
                    crop = crops[(number + row) % len(crops)]
                    store.execute(
                        "INSERT INTO template (id, person, model, embedding, crop) VALUES (?, ?, ?, ?, ?)",
                        (f"e_{number:08x}{row}", who, store.model, blob_of(next(drawn)), crop),
                    )


class Door:
    """A device whose requests are put before it."""

    def __init__(self, config: Config) -> None:
        self.service = DeviceLoop(config, Device.open(config))
        self.service.publisher.publish_states()
        self.asked = 0

    def ask(self, verb: str, **fields: object) -> tuple[float, dict]:
        """Milliseconds until it is carried out and published, and the answer's data."""
        self.asked += 1
        payload = json.dumps({"transaction": f"t{self.asked}", **fields}).encode()
        self.service.link.receive(Message(self.service.topics.of(f"request/{verb}"), payload, False, None, None))
        began = time.perf_counter()
        while len(self.service.link._inbox) or self.service.dispatcher.waiting:
            self.service.process_requests()
            time.sleep(0.0002 * self.service.dispatcher.waiting)
        self.service.publisher.deliver()
        took = 1000 * (time.perf_counter() - began)
        answer = json.loads(self.service.link._waiting.pop().payload)
        self.service.link._waiting.clear()
        assert answer["status"] == "ok", answer
        return took, answer["data"]

    def see(self, image: np.ndarray) -> float:
        """Milliseconds that a frame takes."""
        began = time.perf_counter()
        self.service._process(Frame(image, time.monotonic()))
        return 1000 * (time.perf_counter() - began)

    def list(self) -> tuple[float, float, int]:
        """Milliseconds of all pages together and of the longest, and how many people they hold."""
        took, data = self.ask("person/list")
        all_of_them, count = [took], len(data["people"])
        while data.get("next") is not None:
            took, data = self.ask("person/list", after=data["next"])
            all_of_them.append(took)
            count += len(data["people"])
        return sum(all_of_them), max(all_of_them), count


def measured(folder: str, count: int, rounds: int) -> dict[str, float]:
    """Medians, in milliseconds where UNITS does not say otherwise."""
    mqtt = MqttConfig(request_bytes_max=2_000_000)
    config = Config(device="porch", gallery=GalleryConfig(Path(folder) / "gallery.db"), mqtt=mqtt)
    began = time.perf_counter()
    door = Door(config)
    start, memory = time.perf_counter() - began, rss_mb()
    picture = base64_of(portrait_image())
    taken: dict[str, list[float]] = {column: [] for column in COLUMNS}
    empty, somebody = porch(), portrait_image()
    for _ in range(rounds):
        taken["frame"] += [door.see(empty), door.see(somebody)][1:]
        took, _ = door.ask("enroll/image", name="Newcomer", images=[picture])
        taken["enroll"].append(took)
        taken["enrolling"].append(took + door.see(somebody))
        taken["rename"].append(door.ask("person/rename", name="Newcomer", new_name="Resident")[0])
        taken["remove"].append(door.ask("person/remove", name="Resident")[0])
        took, longest, listed = door.list()
        assert listed == count, (listed, count)
        taken["list"].append(took)
        taken["page"].append(longest)
    medians = {column: statistics.median(values) for column, values in taken.items() if values}
    return {**medians, "start": start, "memory": memory}


def portrait_image() -> np.ndarray:
    """Somebody who is not among them, (H, W, 3) uint8 RGB."""
    import cv2

    return cv2.imdecode(np.frombuffer(portrait(1, look=2.0), np.uint8), cv2.IMREAD_COLOR_RGB)


def child(count: int, rounds: int, queue: "multiprocessing.Queue[dict[str, float]]", folder: str) -> None:
    """The measurements of one number of people."""
    queue.put(measured(folder, count, rounds))


def isolated(count: int, rounds: int) -> dict[str, float]:
    """The same in a process of its own: what was loaded before must not count as memory."""
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[dict[str, float]] = context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        fill(Config(device="porch", gallery=GalleryConfig(Path(folder) / "gallery.db")), count)
        process = context.Process(target=child, args=(count, rounds, queue, folder))
        process.start()
        result = queue.get(timeout=1800)
        process.join()
    return result


def matching(count: int) -> tuple[float, float]:
    """Milliseconds of one match among that many templates of as many people, and of the bare matrix product."""
    drawn = vectors(count)
    gallery = Gallery("a" * 64, OneThreshold(lambda _fmr: 0.9))
    gallery.fill(
        [Person(f"p{row}", f"n{row}") for row in range(count)],
        [Template(f"e{row}", f"p{row}", vector, "a" * 64) for row, vector in enumerate(drawn)],
    )
    probe = vectors(count + 1)[-1]
    return timed(lambda: gallery.identify(probe)), timed(lambda: drawn @ probe)


def timed(call: object, times: int = 51) -> float:
    """Milliseconds, the median."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()  # type: ignore[operator]
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


@click.command()
@click.option(
    "--people", "counts", type=click.IntRange(1), multiple=True, default=(10, 1000, 10_000), show_default=True
)
@click.option("--rounds", type=click.IntRange(1), default=10, show_default=True, help="Of every request.")
@click.option("--match/--no-match", default=True, help="Also time a match among 1,000, 10,000 and 100,000 people.")
def main(counts: tuple[int, ...], rounds: int, *, match: bool) -> None:
    """Print both tables; times are medians in ms where the column does not say otherwise."""
    click.echo("people  " + "".join(f"{f'{name} {UNITS[name]}' if name in UNITS else name:>11}" for name in COLUMNS))
    for count in counts:
        medians = isolated(count, rounds)
        click.echo(f"{count:<8}" + "".join(f"{medians[column]:11.2f}" for column in COLUMNS))
    for count in (1000, 10_000, 100_000) if match else ():
        found, bare = matching(count)
        click.echo(f"match among {count}: {found:.3f} ms, the bare matrix product {bare:.3f} ms: {found / bare:.2f}x")


if __name__ == "__main__":
    main()
