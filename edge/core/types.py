"""The values that pass between the parts of limen."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Face:
    """One face in a picture, as the detector saw it.

    box:       (4,) float32, left, top, right, bottom in pixels of the picture; may reach over its border
    score:     the detector's, in [0, 1]
    landmarks: (5, 2) float32, x and y: left eye, right eye, nose, left and right mouth corner, left as in the picture
    """

    box: np.ndarray
    score: float
    landmarks: np.ndarray

    def __post_init__(self) -> None:
        if self.box.shape != (4,) or self.landmarks.shape != (5, 2):
            raise ValueError(f"expected a box (4,) and landmarks (5, 2), got {self.box.shape}, {self.landmarks.shape}")

    @property
    def width_px(self) -> float:
        """Right minus left."""
        return float(self.box[2] - self.box[0])

    @property
    def height_px(self) -> float:
        """Bottom minus top."""
        return float(self.box[3] - self.box[1])
