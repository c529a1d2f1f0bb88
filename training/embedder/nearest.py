"""The nearest pairs of two people among the held-out: what sets tau at a low rate, to be looked at."""

from dataclasses import dataclass

import numpy as np

from training.embedder.training_set import Rows

SHOWN = 40


@dataclass(frozen=True)
class NearPair:
    """Two crops of two people; cosine is the teacher's."""

    distance: float
    cosine: float | None
    first: str
    second: str
    crops: tuple[np.ndarray, np.ndarray]

    def numbers(self) -> dict[str, object]:
        """Values for JSON."""
        return {"d": round(self.distance, 4), "teacher_cosine": self.cosine, "people": [self.first, self.second]}


def nearest_pairs(embeddings: np.ndarray, rows: Rows, count: int = SHOWN) -> list[NearPair]:
    """(N, D) of unit length, their N crops -> the pairs of two people with the least d, nearest first."""
    cosines = embeddings @ embeddings.T
    different = np.triu(rows.people[:, None] != rows.people[None], k=1)
    candidates = np.flatnonzero(different)
    values = -cosines.ravel()[candidates]
    best = np.argpartition(values, min(count, len(values) - 1))[:count]
    return [
        _pair(embeddings, rows, *divmod(int(candidates[index]), len(rows))) for index in best[np.argsort(values[best])]
    ]


def _pair(embeddings: np.ndarray, rows: Rows, first: int, second: int) -> NearPair:
    return NearPair(
        distance=float(2 - 2 * embeddings[first] @ embeddings[second]),
        cosine=None if rows.teacher is None else round(float(rows.teacher[first] @ rows.teacher[second]), 3),
        first=str(rows.people[first]),
        second=str(rows.people[second]),
        crops=(rows.crop(first), rows.crop(second)),
    )
