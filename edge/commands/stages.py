"""The stages of a frame, timed on this machine: with nobody, and with somebody before the camera all the time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from edge.capture import open_source
from edge.config import Config, GalleryConfig
from edge.core.types import Frame
from edge.demo.film import FRAMES_PER_SECOND
from edge.demo.scene import Pose, porch, with_noise, with_person
from edge.errors import CameraError
from edge.runtime.assembly import Device
from edge.system.metrics import Stopwatch

WARM_UP_FRAMES = 20
DRAWN_FRAMES = 40  # different ones, shown again and again
READ_SECONDS = 5.0


@dataclass(frozen=True)
class Row:
    """How long one stage took in milliseconds, in how many of the frames it ran."""

    what: str
    stage: str
    ran: int
    frames: int
    p50_ms: float | None
    p95_ms: float | None


def measure(config: Config, folder: Path, frames: int, *, source: bool) -> Iterator[Row]:
    """Rows of a table, and what they are about.

    folder: for the gallery of these seconds; source: the configured camera in place of the drawn porch.
    Raises LimenError.
    """
    config = replace(config, gallery=GalleryConfig(folder / "gallery.db"))
    films = {"footage": footage(config)} if source else {"idle": empty_porch(), "busy": somebody_there()}
    for what, film in films.items():
        yield from measured(config, what, islice(film, WARM_UP_FRAMES + frames))


def measured(config: Config, what: str, film: Iterator[Frame]) -> Iterator[Row]:
    """What these frames cost."""
    with Device.open(config) as device:
        yield from timed(device, config, what, film)


def timed(device: Device, config: Config, what: str, film: Iterator[Frame]) -> Iterator[Row]:
    """Rows of one device."""
    recognizer = device.recognizer
    if what == "busy":
        recognizer.enroll("Anna", [with_person(porch(), 0, Pose(0.5, 0.42, 200.0, look=2.0))])
    frame_watch, rest = Stopwatch(), Stopwatch()
    stages = {stage: device.times[stage] for stage in ("motion", "detect", "embed", "match")}
    watches = {"frame": frame_watch, **stages, "rest": rest}  # rest: tracks, alignment, quality, evidence
    count = 0
    for frame in film:
        if count == WARM_UP_FRAMES:
            for watch in watches.values():
                watch.reset()
        before = sum(stage.total for stage in stages.values())
        with frame_watch:
            recognizer.process(frame)
        rest.add(frame_watch.laps[-1] - (sum(stage.total for stage in stages.values()) - before))
        count += 1
    if count <= WARM_UP_FRAMES:
        raise CameraError(f"the bench needs more than {WARM_UP_FRAMES} frames; {config.camera.location} gave {count}")
    for stage, watch in watches.items():
        p50, p95 = watch.ms().values()
        yield Row(what, stage, watch.count, count - WARM_UP_FRAMES, p50, p95)


def table(rows: Iterator[Row]) -> Iterator[str]:
    """Lines for people, each as soon as it is known."""
    for number, row in enumerate(rows):
        if number == 0:
            yield f"{'':8} {'stage':9} {'p50 ms':>8} {'p95 ms':>8}   in frames"
        costs = f"{row.p50_ms:8.2f} {row.p95_ms:8.2f}" if row.ran else f"{'-':>8} {'-':>8}"
        yield f"{row.what:8} {row.stage:9} {costs}   {row.ran} of {row.frames}"


def empty_porch() -> Iterator[Frame]:
    """Nobody comes, and the sensor is noisy."""
    rng = np.random.default_rng(0)
    pictures = [with_noise(porch(), rng) for _ in range(DRAWN_FRAMES)]
    return at_pace(pictures)


def somebody_there() -> Iterator[Frame]:
    """Somebody stands there and is never still."""
    rng = np.random.default_rng(0)
    turns = np.sin(np.linspace(0, 2 * np.pi, DRAWN_FRAMES, endpoint=False))
    pictures = [
        with_noise(with_person(porch(), 0, Pose(0.5 + 0.02 * turn, 0.42, 130.0, 6 * turn, 1.5 + 0.4 * turn)), rng)
        for turn in turns
    ]
    return at_pace(pictures)


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
                raise CameraError(f"{config.camera.location} gave no frame in {time.monotonic() - begun:.0f} s")
            yield frame
    finally:
        source.close()
