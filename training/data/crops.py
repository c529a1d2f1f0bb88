"""Aligned crops of any source, as one value."""

from dataclasses import dataclass

import numpy as np

from edge.core.align import CROP_PX
from edge.errors import DataError

UNLABELLED = ""


@dataclass(frozen=True)
class Crops:
    """Aligned crops with what is known of each.

    images: (N, 112, 112, 3) uint8 RGB, may be a read-only memory map
    people: (N,) str, "" where nobody says who it is
    names:  (N,) str, where each came from: source and path in it
    """

    images: np.ndarray
    people: np.ndarray
    names: np.ndarray

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.shape[1:] != (CROP_PX, CROP_PX, 3) or self.images.dtype != np.uint8:
            raise DataError(
                f"crops must be (N, {CROP_PX}, {CROP_PX}, 3) uint8, got {self.images.shape} {self.images.dtype}"
            )
        if not len(self.images) == len(self.people) == len(self.names):
            raise DataError(
                f"{len(self.images)} crops, {len(self.people)} people, {len(self.names)} names: not one each"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labelled(self) -> np.ndarray:
        """(N,) bool: somebody says who it is."""
        return self.people != UNLABELLED


def person_numbers(people: np.ndarray) -> np.ndarray:
    """(N,) str -> (N,) int64: one number per person from 0, and -1 for every unlabelled crop."""
    numbers = np.full(len(people), -1, dtype=np.int64)
    known = people != UNLABELLED
    if known.any():
        numbers[known] = np.unique(people[known], return_inverse=True)[1]
    return numbers
