"""Privacy zones: parts of the picture that are blackened before anything else sees them."""

from dataclasses import replace

import numpy as np

from edge.core.ports import FrameSource
from edge.core.types import Frame


class Masked:
    """A source of frames with black zones, in every picture of a frame; see edge.core.ports.FrameSource.

    zones: each left, top, width, height, as shares of the picture
    """

    def __init__(self, source: FrameSource, zones: tuple[tuple[float, float, float, float], ...]) -> None:
        self._source, self._zones = source, zones

    @property
    def ended(self) -> bool:
        """Whether no more frames will come."""
        return self._source.ended

    @property
    def dropped(self) -> int:
        """How many frames were not read in time."""
        return self._source.dropped

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended."""
        frame = self._source.read(timeout_seconds)
        if frame is None:
            return None
        full = None if frame.full is None else blackened(frame.full, self._zones)
        return replace(frame, image=blackened(frame.image, self._zones), full=full)

    def close(self) -> None:
        """Release the camera."""
        self._source.close()


def blackened(image: np.ndarray, zones: tuple[tuple[float, float, float, float], ...]) -> np.ndarray:
    """Copy a picture, (H, W, 3) uint8, with black zones; a pixel that is partly in one is black."""
    image = image.copy()
    height, width = image.shape[:2]
    for left, top, wide, high in zones:
        rows = slice(int(np.floor(top * height)), int(np.ceil((top + high) * height)))
        columns = slice(int(np.floor(left * width)), int(np.ceil((left + wide) * width)))
        image[rows, columns] = 0
    return image
