"""What every store of the device does when a person is removed."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from edge.core.types import Template


class Store(Protocol):
    """Something that keeps data on the disk. A store that holds nothing of a person says why, and returns 0."""

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:
        """Erase everything that is kept of a person. Returns how many rows were deleted or changed.

        embeddings: (L, D) float32, the person's templates, by which the same face is found where it has no name;
        (0, 0) where there are none. What was erased can still be read from the log of writes until the checkpoint after
        the outermost transaction. Raises the store's error where the disk cannot be written.
        """


def near(templates: Sequence[Template], embeddings: np.ndarray, distance: float) -> list[Template]:
    """The templates at most that distance d = 2 - 2 cos from one of the embeddings, (L, D) float32 of unit length."""
    if not templates or not len(embeddings):
        return []
    stacked = np.stack([template.embedding for template in templates])  # (N, D)
    nearest = (2 - 2 * stacked @ embeddings.T).min(axis=1)  # (N, D) @ (D, L) -> (N, L) -> (N,)
    return [template for template, d in zip(templates, nearest, strict=True) if d <= distance]
