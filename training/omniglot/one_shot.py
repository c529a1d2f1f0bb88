"""N-way k-shot: which of N characters is it, of each of which k examples were shown?"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.omniglot.trials import Trials

BLOCK = 1 << 25  # numbers compared at once


@dataclass(frozen=True)
class Encoder:
    """A similarity function in two halves: what is stored of a picture, and how two of these are compared.

    encode:   (N, px, px, channels) uint8 -> (N, D) float32
    distance: (..., D), (..., D) -> (...), smaller where more alike
    """

    encode: Callable[[np.ndarray], np.ndarray]
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]


def squared_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """d of the whole project: (..., D), (..., D) -> (...)."""
    return np.square(first - second).sum(axis=-1)


def distances_in(encodings: np.ndarray, trials: Trials, distance: Callable = squared_distance) -> np.ndarray:
    """(N, D) of all drawings -> (T, N): from each query to each character, the mean over its k examples."""
    ways_and_shots = trials.support.shape[1] * trials.support.shape[2]
    block = max(1, BLOCK // (ways_and_shots * encodings.shape[1]))
    distances = []
    for start in range(0, len(trials.query), block):
        support = encodings[trials.support[start : start + block]]  # (B, N, k, D)
        query = encodings[trials.query[start : start + block]][:, None, None]  # (B, 1, 1, D)
        distances.append(distance(query, support).mean(axis=2))  # (B, N, k) -> (B, N)
    return np.concatenate(distances)


def found(encodings: np.ndarray, trials: Trials, distance: Callable = squared_distance) -> np.ndarray:
    """(N, D) of all drawings -> (T,) bool: the query's own character is nearer than every other.

    A tie is no find, or an encoder that says the same of everything would look perfect.
    """
    distances = distances_in(encodings, trials, distance)
    return distances[:, 0] < distances[:, 1:].min(axis=1)
