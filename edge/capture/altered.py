"""Frames that are altered before anything else sees them: turned, mirrored, with black privacy zones."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edge.core.ports import FrameSource
from edge.core.turning import turned
from edge.core.types import About, Frame


class Altered:
    """A source whose pictures are altered, all of a frame alike; see edge.core.ports.FrameSource.

    alter: (H, W, 3) uint8 RGB -> another picture
    """

    def __init__(self, source: FrameSource, alter: Callable[[np.ndarray], np.ndarray]) -> None:
        self._source, self._alter = source, alter

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""
        return self._source.ended

    @property
    def dropped(self) -> int:
        """How many frames were not read in time."""
        return self._source.dropped

    @property
    def about(self) -> About:
        """What the source chose."""
        return self._source.about

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended."""
        frame = self._source.read(timeout_seconds)
        if frame is None:
            return None
        full = None if frame.full is None else self._alter(frame.full)
        return replace(frame, image=self._alter(frame.image), full=full)

    def close(self) -> None:
        """Release the camera."""
        self._source.close()


class Turned(Altered):
    """A source whose pictures are turned clockwise by 0, 90, 180 or 270 degrees, and then mirrored."""

    def __init__(self, source: FrameSource, degrees: int, *, mirror: bool) -> None:
        super().__init__(source, lambda image: turned(image, degrees, mirror=mirror))


class Masked(Altered):
    """A source of frames with black zones.

    zones: each left, top, width, height, as shares of the picture
    """

    def __init__(self, source: FrameSource, zones: tuple[tuple[float, float, float, float], ...]) -> None:
        super().__init__(source, lambda image: blackened(image, zones))


def blackened(image: np.ndarray, zones: tuple[tuple[float, float, float, float], ...]) -> np.ndarray:
    """Copy a picture, (H, W, 3) uint8, with black zones; a pixel that is partly in one is black."""
    image = image.copy()
    height, width = image.shape[:2]
    for left, top, wide, high in zones:
        rows = slice(int(np.floor(top * height)), int(np.ceil((top + high) * height)))
        columns = slice(int(np.floor(left * width)), int(np.ceil((left + wide) * width)))
        image[rows, columns] = 0
    return image
