"""The match threshold tau: one for all comparisons, or one for each, by how near others are to who is compared.

Where an encoder knows little of a face (a small child, a picture that is not upright), its encodings of different
people are near to one another. Adaptive symmetric normalisation (S-norm; Matejka et al., Interspeech 2017) measures a
comparison against those of a cohort: encodings of nobody, which ship with the model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

ROWS_AT_ONCE = 256  # of a product with the cohort: 4 MB for 4,000 encodings
DEVIATION_MIN = 1e-3  # of cosines; no division by zero where a whole neighbourhood is one point


class Thresholds(Protocol):
    """What is known of the distances between people of a model.

    A neighbourhood is what a threshold depends on besides the rate; it is computed once for each encoding.
    """

    def nominal(self, fmr: float) -> float:
        """The tau of an ordinary comparison, at which this share of the comparisons between strangers passes."""

    def neighbourhoods(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) float32 of unit length -> (L, 2) float32."""

    def taus(self, fmr: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The tau of each comparison, by its two neighbourhoods, (..., 2) each -> (...)."""

    def ordinary_taus(self, fmr: float, around: np.ndarray) -> np.ndarray:
        """The tau of a comparison with an ordinary encoding, by the neighbourhood of the other, (..., 2) -> (...)."""


@dataclass(frozen=True)
class OneThreshold:
    """The same tau for all. tau_at_fmr: the distance at or below which a share of the comparisons lies."""

    tau_at_fmr: Callable[[float], float]

    def nominal(self, fmr: float) -> float:
        """The tau."""
        return self.tau_at_fmr(fmr)

    def neighbourhoods(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) -> (L, 2) of zeros: nothing matters."""
        return np.zeros((len(embeddings), 2), dtype=np.float32)

    def taus(self, fmr: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The tau, for each."""
        return np.full(np.broadcast_shapes(first.shape, second.shape)[:-1], self.tau_at_fmr(fmr))

    def ordinary_taus(self, fmr: float, around: np.ndarray) -> np.ndarray:
        """The tau, for each."""
        return self.taus(fmr, around, around)


@dataclass(frozen=True, eq=False)
class Cohort:
    """Encodings of nobody. encodings: (M, D) float32 of unit length; nearest: how many of them are a neighbourhood."""

    encodings: np.ndarray
    nearest: int

    def neighbourhoods(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) -> (L, 2): mean and standard deviation of the cosines to the nearest of the cohort."""
        found = np.empty((len(embeddings), 2), dtype=np.float32)
        for start in range(0, len(embeddings), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            cosines = embeddings[rows] @ self.encodings.T  # (R, D) @ (D, M) -> (R, M)
            near = np.partition(cosines, -self.nearest, axis=1)[:, -self.nearest :]
            found[rows, 0] = near.mean(axis=1)
            found[rows, 1] = np.maximum(near.std(axis=1), DEVIATION_MIN)
        return found


@dataclass(frozen=True)
class NormalizedThresholds:
    """A tau for each comparison: the distance at which its normalised score is the one of the rate.

    score_at_fmr: the score at or above which a share of the comparisons between strangers lies
    typical:      (2,) the neighbourhood of an ordinary encoding
    """

    cohort: Cohort
    score_at_fmr: Callable[[float], float]
    typical: np.ndarray

    def nominal(self, fmr: float) -> float:
        """The tau of two ordinary encodings."""
        return float(self.taus(fmr, self.typical, self.typical))

    def neighbourhoods(self, embeddings: np.ndarray) -> np.ndarray:
        """(L, D) -> (L, 2): mean and standard deviation of the cosines to the nearest of the cohort."""
        return self.cohort.neighbourhoods(embeddings)

    def taus(self, fmr: float, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The tau of each comparison, by its two neighbourhoods, (..., 2) each -> (...), in [0, 4]."""
        steepness, shift = _line(first, second)
        cosines = (self.score_at_fmr(fmr) + shift) / steepness
        return np.clip(2 - 2 * cosines, 0.0, 4.0)

    def ordinary_taus(self, fmr: float, around: np.ndarray) -> np.ndarray:
        """The tau of a comparison with an ordinary encoding, by the neighbourhood of the other, (..., 2) -> (...)."""
        return self.taus(fmr, around, self.typical)


def beyond(first: np.ndarray, second: np.ndarray, thresholds: Thresholds, fmr: float) -> np.ndarray:
    """(N, D), (M, D) of unit length -> (N, M): d minus the tau of each pair; at most 0 is a match."""
    around, others = (thresholds.neighbourhoods(side) for side in (first, second))
    distances = np.clip(2.0 - 2.0 * first @ second.T, 0.0, 4.0)
    found: np.ndarray = distances - thresholds.taus(fmr, around[:, None], others[None])
    return found


def normalized_scores(cosines: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines (...) and the neighbourhoods of both sides, (..., 2) each -> (...), higher where more alike."""
    steepness, shift = _line(first, second)
    scores: np.ndarray = cosines * steepness - shift
    return scores


def _line(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The score is a straight line over the cosine: its steepness and its shift."""
    steepness = (1 / first[..., 1] + 1 / second[..., 1]) / 2
    shift = (first[..., 0] / first[..., 1] + second[..., 0] / second[..., 1]) / 2
    return steepness, shift
