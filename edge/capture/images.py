"""Frames from a folder of pictures, or a glob."""

import glob
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge.core.types import Frame
from edge.errors import CameraError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


class ImageFrames:
    """Pictures in the order of their names, each a frame.

    location: a folder, or a glob such as /pictures/*.jpg. Raises CameraError where it holds no picture.
    """

    live = False

    def __init__(self, location: str, frames_per_second: float, *, loop: bool = False) -> None:
        self.frames_per_second, self.loop = frames_per_second, loop
        found = Path(location).iterdir() if Path(location).is_dir() else map(Path, glob.glob(location))  # noqa: PTH207 -- a glob may be absolute, which Path.glob refuses
        self.paths = sorted(path for path in found if path.suffix.lower() in SUFFIXES)
        if not self.paths:
            raise CameraError(f"no pictures in {location}: expected a folder or glob of {', '.join(sorted(SUFFIXES))}")
        self._reading: Iterator[Frame] = iter(self)
        self.dropped = 0
        self.ended = False

    def __iter__(self) -> Iterator[Frame]:
        """Every picture; again and again with loop."""
        number = 0
        while True:
            for path in self.paths:
                try:
                    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
                except cv2.error as error:  # more pixels than OpenCV reads
                    raise CameraError(f"{path} cannot be decoded: {error.err}") from error
                if image is None:
                    raise CameraError(f"{path} is not a readable image")
                yield Frame(image, number / self.frames_per_second)
                number += 1
            if not self.loop:
                return

    def read(self, timeout_seconds: float) -> Frame | None:  # noqa: ARG002 -- the port's parameter: a file never waits
        """The next picture; None at the end."""
        frame = next(self._reading, None)
        self.ended = frame is None
        return frame

    def close(self) -> None:
        """Nothing is held open."""
