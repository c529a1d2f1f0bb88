"""The stages of a frame, timed on this machine: with nobody, and with somebody before the camera all the time."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture import no_frame, open_source
from edge.config import Config, GalleryConfig
from edge.core.types import Frame
from edge.demo.film import FRAMES_PER_SECOND
from edge.demo.scene import HEIGHT, WIDTH, Pose, porch, with_noise, with_person
from edge.runtime.assembly import Device
from edge.system.metrics import Stopwatch

WARM_UP_FRAMES = 20
DRAWN_FRAMES = 40  # different ones, shown again and again; of large frames fewer
DRAWN_BYTES = 64_000_000
READ_SECONDS = 5.0
DRAWN_SIZE = WIDTH, HEIGHT
FACE_PX = 130.0  # of 480 rows


@dataclass(frozen=True)
class Row:
    """How long one stage took in milliseconds, in how many of the frames it ran. size: of a frame, as WIDTHxHEIGHT."""

    what: str
    size: str
    stage: str
    ran: int
    frames: int
    p50_ms: float | None
    p95_ms: float | None
    mean_ms: float


class TimedDevice:
    """A device, and how long each stage of its frames takes; the first WARM_UP_FRAMES do not count."""

    def __init__(self, device: Device) -> None:
        self.count = -WARM_UP_FRAMES
        self.size = ""
        self._recognizer = device.recognizer
        self._frame, self._rest = Stopwatch(), Stopwatch()
        self._stages = {stage: device.times[stage] for stage in ("motion", "detect", "embed", "match")}

    @property
    def watches(self) -> dict[str, Stopwatch]:
        """By stage; rest: tracks, alignment, quality, evidence."""
        return {"frame": self._frame, **self._stages, "rest": self._rest}

    def process(self, frame: Frame) -> None:
        """Time one frame."""
        if self.count == 0:
            for watch in self.watches.values():
                watch.reset()
        height, width = frame.best.shape[:2]
        self.size = f"{width}x{height}"
        before = sum(stage.total for stage in self._stages.values())
        with self._frame:
            self._recognizer.process(frame)
        self._rest.add(self._frame.laps[-1] - (sum(stage.total for stage in self._stages.values()) - before))
        self.count += 1

    def rows(self, what: str) -> Iterator[Row]:
        """A row for each stage."""
        for stage, watch in self.watches.items():
            p50, p95 = watch.ms().values()
            mean = 1000 * watch.total / max(1, watch.count)
            yield Row(what, self.size, stage, watch.count, self.count, p50, p95, mean)


def measure(
    config: Config, folder: Path, frames: int, *, source: bool, size: tuple[int, int] = DRAWN_SIZE
) -> Iterator[Row]:
    """Rows of a table, and what they are about.

    folder: for the galleries of these seconds; source: the configured camera in place of the drawn porch; size: W, H of
    the porch, which is drawn in 640x480 too, a frame of each in turn. Raises LimenError.
    """
    if source:
        yield from measured(config, folder, "footage", [footage(config)], frames)
        return
    sizes = list(dict.fromkeys([DRAWN_SIZE, size]))
    different = min(DRAWN_FRAMES, max(4, DRAWN_BYTES // (3 * size[0] * size[1])))
    yield from measured(config, folder, "idle", [empty_porch(one, different) for one in sizes], frames)
    yield from measured(config, folder, "busy", [somebody_there(one, different) for one in sizes], frames)


def measured(config: Config, folder: Path, what: str, films: list[Iterator[Frame]], frames: int) -> Iterator[Row]:
    """What the frames of these films cost, each before a device of its own."""
    with ExitStack() as opened:
        timed = []
        for number in range(len(films)):
            gallery = GalleryConfig(folder / f"{what}{number}.db")
            device = opened.enter_context(Device.open(replace(config, gallery=gallery)))
            if what == "busy":
                device.recognizer.enroll("Anna", [with_person(porch(), 0, Pose(0.5, 0.42, 200.0, look=2.0))])
            timed.append(TimedDevice(device))
        for shown in islice(zip(*films, strict=True), WARM_UP_FRAMES + frames):
            for one, frame in zip(timed, shown, strict=True):
                one.process(frame)
        for one in timed:
            yield from one.rows(what)


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Lines for people, each as soon as it is known; then how much longer a frame of another size takes."""
    means: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows):
        if number == 0:
            yield f"{'':8} {'':>9} {'stage':9} {'p50 ms':>8} {'p95 ms':>8}   in frames"
        costs = f"{row.p50_ms:8.2f} {row.p95_ms:8.2f}" if row.ran else f"{'-':>8} {'-':>8}"
        yield f"{row.what:8} {row.size:>9} {row.stage:9} {costs}   {row.ran} of {row.frames}"
        if row.stage == "frame":
            means.setdefault(row.what, {})[row.size] = row.mean_ms
    for what, by_size in means.items():
        (first, one), *others = by_size.items()
        for _, mean in others:
            yield f"{what}: {mean / one:.2f} times a frame of {first} (mean {mean:.2f} ms, {one:.2f} ms)"


def drawn_porch(size: tuple[int, int]) -> np.ndarray:
    """The porch, (H, W, 3) uint8 RGB, as a camera of that size sees it. size: W, H"""
    return porch() if size == DRAWN_SIZE else cv2.resize(porch(), size, interpolation=cv2.INTER_CUBIC)


def empty_porch(size: tuple[int, int], different: int) -> Iterator[Frame]:
    """Nobody comes, and the sensor is noisy. different: how many frames before the first one comes again"""
    rng, place = np.random.default_rng(0), drawn_porch(size)
    return at_pace([with_noise(place, rng) for _ in range(different)])


def somebody_there(size: tuple[int, int], different: int) -> Iterator[Frame]:
    """Somebody stands there and is never still, as large a part of the picture in every size; see empty_porch."""
    rng, place = np.random.default_rng(0), drawn_porch(size)
    face_px = FACE_PX * size[1] / HEIGHT
    turns = np.sin(np.linspace(0, 2 * np.pi, different, endpoint=False))
    return at_pace(
        [
            with_noise(with_person(place, 0, Pose(0.5 + 0.02 * turn, 0.42, face_px, 6 * turn, 1.5 + 0.4 * turn)), rng)
            for turn in turns
        ]
    )


def at_pace(pictures: list[np.ndarray]) -> Iterator[Frame]:
    """Again and again, dated as a camera would date them."""
    for number, picture in enumerate(cycle(pictures)):
        yield Frame(picture, number / FRAMES_PER_SECOND)


def footage(config: Config) -> Iterator[Frame]:
    """What the configured camera shows. Raises CameraError where nothing comes."""
    source = open_source(config.camera, fast=True, loop=True)
    try:
        while True:
            begun = time.monotonic()
            frame = source.read(READ_SECONDS)
            if frame is None:
                raise no_frame(config.camera, source.about, time.monotonic() - begun)
            yield frame
    finally:
        source.close()
