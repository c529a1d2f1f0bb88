"""Drawings of handwritten characters as one value, and their alignment."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge.errors import DataError
from training.data.crops import groups_of

SPREAD = 0.306  # of the side: the ink's standard deviation in both directions together
SPREAD_MIN_PX = 12.0  # of 105: a dot is not enlarged to a disc
FINER = 3  # draw this many times larger first, then average


Prepare = Callable[[np.ndarray], np.ndarray]  # (H, W) bool, True where there is ink -> (px, px, 1) uint8


@dataclass(frozen=True)
class Drawings:
    """Handwritten characters with their labels.

    images:     (N, px, px, 1) uint8, 255 where there is ink
    characters: (N,) str, "alphabet/character"
    drawers:    (N,) int64, the person who drew it
    Raises DataError where the shapes differ from these.
    """

    images: np.ndarray
    characters: np.ndarray
    drawers: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[3] != 1 or self.images.dtype != np.uint8:
            raise DataError(f"drawings must be (N, px, px, 1) uint8, got {self.images.shape} {self.images.dtype}")
        if not len(self.images) == len(self.characters) == len(self.drawers):
            raise DataError(
                f"{len(self.images)} drawings, {len(self.characters)} characters, {len(self.drawers)} drawers: "
                "all must be equal"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def alphabets(self) -> np.ndarray:
        """(N,) str, the alphabet of each drawing."""
        return groups_of(self.characters)

    def only(self, keep: np.ndarray) -> "Drawings":
        """The drawings where keep, (N,) bool, is true."""
        return Drawings(self.images[keep], self.characters[keep], self.drawers[keep])


def scaled(ink: np.ndarray, px: int) -> np.ndarray:
    """(H, W) bool, True where there is ink -> (px, px, 1) uint8, by the share of each new pixel that is ink."""
    return cv2.resize(ink.astype(np.uint8) * 255, (px, px), interpolation=cv2.INTER_AREA)[..., None]


def aligned(ink: np.ndarray, px: int) -> np.ndarray:
    """(H, W) bool -> (px, px, 1) uint8, with the ink centred and its spread the same in every drawing.

    It is to a drawing what landmarks are to a face: position and size on the sheet carry no information. Moments
    align better than the bounding box, which one long stroke moves (20-way one-shot on the held-out alphabets after
    60,000 drawings: unaligned 79.1 %, by the box 84.2 %, by the box around the centre 85.7 %, by moments 86.3 %).
    """
    y, x = np.nonzero(ink)
    if not len(x):
        return np.zeros((px, px, 1), dtype=np.uint8)
    spread = max(float(np.hypot(x.std(), y.std())), SPREAD_MIN_PX)
    middle = np.array([x.mean(), y.mean()])
    reach = max(np.abs(x - middle[0]).max(), np.abs(y - middle[1]).max()) + 1.5
    zoom = px * FINER * min(SPREAD / spread, 0.5 / reach)  # all of the ink stays in
    linear = np.diag([zoom, zoom])
    matrix = np.column_stack([linear, (px * FINER - 1) / 2 - linear @ middle])
    fine = cv2.warpAffine(ink.astype(np.uint8) * 255, matrix, (px * FINER, px * FINER), flags=cv2.INTER_LINEAR)
    return cv2.resize(fine, (px, px), interpolation=cv2.INTER_AREA)[..., None]
