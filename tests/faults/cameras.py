"""The camera goes on giving frames, and shows nothing: is it said, under its right name, and does it end by itself?

    python -m tests.faults.cameras [--times 20] [--kind black|single_colour|frozen|torn]

A device sees a drawn porch, then frames of one kind until health names a problem, then the porch again, in turn. The
frames have a clock of their own, as many times faster than the one on the wall as the machine can. Named: health said
the kind, after how many seconds of it. Wrong: it said another kind, or any while the porch was shown. Lines: of the
log, of which each fault has two: that it began, and that it ended.
"""

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.core.types import About, Frame
from edge.demo.film import FRAMES_PER_SECOND
from edge.demo.scene import porch, with_noise
from tests.household import Broker, Household, running, until

GREEN = (0, 135, 0)  # what FFmpeg shows where it has no data
GOOD_SECONDS = 15.0  # longer than a problem must last


def covered(porch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A covered lens: the noise of a sensor in the dark."""
    return np.clip(rng.normal(1.0, 1.5, porch.shape), 0, 255).astype(np.uint8)


def without_data(porch: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """A decoder that got nothing."""
    return np.full(porch.shape, GREEN, np.uint8)


def repeated(porch: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """A camera that hangs."""
    return porch


def cut_off(porch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three frames of four whose lower part was lost on the way."""
    picture = with_noise(porch, rng)
    if rng.random() < 0.75:
        picture[int(len(picture) * rng.uniform(0.3, 0.7)) :] = GREEN
    return picture


KINDS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "black": covered,
    "single_colour": without_data,
    "frozen": repeated,
    "torn": cut_off,
}


@dataclass
class Count:
    """What became of the faults. seconds, mended: of the frames' clock, until a fault was named, and its end was."""

    faults: int = 0
    named: int = 0
    wrong: int = 0
    lines: int = 0
    seconds: list[float] = field(default_factory=list)
    mended: list[float] = field(default_factory=list)


class Camera:
    """Shows the porch, or a fault. See edge.core.ports.FrameSource. at: the time of the newest frame, in seconds."""

    def __init__(self, seed: int) -> None:
        self.ended, self.dropped, self.about = False, 0, About()
        self.fault: str | None = None
        self.at = 0.0
        self._rng = np.random.default_rng(seed)

    def read(self, timeout_seconds: float) -> Frame:
        """The next frame."""
        time.sleep(min(timeout_seconds, 0.001))
        self.at += 1 / FRAMES_PER_SECOND
        show = with_noise if self.fault is None else KINDS[self.fault]
        return Frame(show(porch(), self._rng), self.at)

    def close(self) -> None:
        """Nothing is held open."""


class Lines(logging.Handler):
    """Counts what is said of the camera."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        self.count += "the camera gives" in record.getMessage()


def run(folder: Path, times: int, kinds: list[str]) -> Count:
    """Each kind so many times."""
    count, camera, lines = Count(), Camera(0), Lines()
    logging.getLogger("limen").addHandler(lines)
    try:
        with Broker(folder) as broker, Household(broker.port) as household:
            config = Config(
                device="porch",
                camera=CameraConfig("video", "rtsp://camera.lan/1"),
                gallery=GalleryConfig(folder / "gallery.db"),
                mqtt=MqttConfig(host="127.0.0.1", port=broker.port, health_every_seconds=0.05),
            )
            with running(config, lambda: camera):
                for _ in range(times):
                    for kind in kinds:
                        one_fault(kind, camera, household, count)
                shown_well(camera, household, count)
    finally:
        logging.getLogger("limen").removeHandler(lines)
    count.lines = lines.count
    return count


def one_fault(kind: str, camera: Camera, household: Household, count: Count) -> None:
    """The porch, a fault until it is named, and the porch until that ends."""
    shown_well(camera, household, count)
    began, camera.fault = camera.at, kind
    problem = until(lambda: said(household), 60)
    count.faults += 1
    count.named += problem == kind
    count.wrong += problem != kind
    count.seconds.append(camera.at - began)
    began, camera.fault = camera.at, None
    until(lambda: said(household) is None, 60)
    count.mended.append(camera.at - began)


def shown_well(camera: Camera, household: Household, count: Count) -> None:
    """The porch for a while, of which nothing is to be said."""
    began = camera.at
    until(lambda: camera.at - began > GOOD_SECONDS or said(household), 60)
    count.wrong += said(household) is not None


def said(household: Household) -> str | None:
    """What health says of the camera."""
    problem: str | None = json.loads(household.newest("health") or b"{}").get("camera_problem")
    return problem


@click.command(help=__doc__)
@click.option("--times", type=click.IntRange(1), default=20, show_default=True, help="Each kind.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), default=list(KINDS))
def main(times: int, kinds: tuple[str, ...]) -> None:
    """Print what happened; status 1 if a fault was not named, or named wrongly."""
    with TemporaryDirectory() as folder:
        count = run(Path(folder), times, list(kinds))
    click.echo(f"{count.faults} faults, {count.named} named, {count.wrong} wrong, {count.lines} lines of the log")
    for what, seconds in (("named", count.seconds), ("ended", count.mended)):
        click.echo(f"{what} after {np.median(seconds):.1f} s (median), {max(seconds):.1f} s at most")
    if count.named < count.faults or count.wrong:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
