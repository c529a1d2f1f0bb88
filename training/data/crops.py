"""Aligned crops from any source, as one value."""

from dataclasses import dataclass

import numpy as np

from edge.core.align import CROP_PX
from edge.errors import DataError

UNLABELLED = ""


@dataclass(frozen=True)
class Crops:
    """Aligned crops with their labels.

    images: (N, 112, 112, 3) uint8 RGB, may be a read-only memory map
    people: (N,) str, "" for an unlabelled crop
    names:  (N,) str, "source/path in it"
    Raises DataError where the shapes differ from these.
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
                f"{len(self.images)} crops, {len(self.people)} people, {len(self.names)} names: all must be equal"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labelled(self) -> np.ndarray:
        """(N,) bool: the crop has a label."""
        return self.people != UNLABELLED


def groups_of(names: np.ndarray) -> np.ndarray:
    """(N,) str "group/name" -> (N,) str "group": the pack of a person, the alphabet of a character."""
    return np.array([name.rpartition("/")[0] for name in names])


def person_numbers(people: np.ndarray) -> np.ndarray:
    """(N,) str -> (N,) int64: one number from 0 for each person, -1 for every unlabelled crop."""
    numbers = np.full(len(people), -1, dtype=np.int64)
    known = people != UNLABELLED
    if known.any():
        numbers[known] = np.unique(people[known], return_inverse=True)[1]
    return numbers
