"""Frames from a folder of pictures, or a glob."""

import glob
import logging
from collections.abc import Iterator
from pathlib import Path

from edge.api.images import read_image_file
from edge.core.types import About, Frame
from edge.errors import CameraError, ImageError
from edge.system.files import is_dir
from edge.system.secret import masked

log = logging.getLogger("limen")

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
NAMED_MAX = 10  # pictures that cannot be read; more are counted


class ImageFrames:
    """Reads pictures in the order of their names, each as a frame.

    location: a folder, or a glob such as /pictures/*.jpg
    skipped:  the pictures that could not be read; the log names each once

    Raises CameraError where there is no picture, or none that can be read.
    """

    live = False

    def __init__(self, location: str, frames_per_second: float, *, loop: bool = False) -> None:
        self.location, self.frames_per_second, self.loop = location, frames_per_second, loop
        found = Path(location).iterdir() if is_dir(Path(location)) else map(Path, glob.glob(location))  # noqa: PTH207 -- a glob may be absolute, which Path.glob refuses
        self.paths = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            kinds = ", ".join(sorted(SUFFIXES))
            raise CameraError(f"no pictures in {masked(location)}: expected a folder or glob of {kinds}")
        self.skipped: set[Path] = set()
        self.dropped = 0
        self.ended = False
        self.about = About()
        self._reading: Iterator[Frame] = iter(self)

    def __iter__(self) -> Iterator[Frame]:
        """Yield every picture that can be read; with loop, again and again."""
        number = 0
        while True:
            begun = number
            for path in self.paths:
                try:
                    image = read_image_file(path)
                except ImageError as error:  # also a folder of that name, and what macOS leaves beside it (._1.jpg)
                    self._skip(path, error)
                    continue
                yield Frame(image, number / self.frames_per_second)
                number += 1
            if number == begun:
                raise CameraError(f"no picture in {masked(self.location)} can be read ({len(self.paths)} were tried)")
            if not self.loop:
                return

    def _skip(self, path: Path, error: ImageError) -> None:
        if path in self.skipped:
            return
        self.skipped.add(path)
        if len(self.skipped) <= NAMED_MAX:
            log.warning("%s; it is skipped", error)
        elif len(self.skipped) == NAMED_MAX + 1:
            log.warning("more pictures in %s cannot be read; they are skipped too", self.location)

    def read(self, timeout_seconds: float) -> Frame | None:  # noqa: ARG002 -- the port's parameter: a file never waits
        """The next picture; None at the end."""
        frame = next(self._reading, None)
        self.ended = frame is None
        return frame

    def close(self) -> None:
        """Nothing is held open."""
