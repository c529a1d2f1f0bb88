"""N-way k-shot classification: which of N characters is the query, given k drawings of each?"""

from collections.abc import Callable

import numpy as np

from training.embedder.encoder import squared_distance
from training.omniglot.trials import Trials

BLOCK = 1 << 25  # numbers compared at once

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]


def distances_in(encodings: np.ndarray, trials: Trials, distance: Distance = squared_distance) -> np.ndarray:
    """(N, D) of all drawings -> (T, N): from each query to each character, the mean over its k drawings."""
    ways_and_shots = trials.support.shape[1] * trials.support.shape[2]
    block = max(1, BLOCK // (ways_and_shots * encodings.shape[1]))
    distances = []
    for start in range(0, len(trials.query), block):
        support = encodings[trials.support[start : start + block]]  # (B, N, k, D)
        query = encodings[trials.query[start : start + block]][:, None, None]  # (B, 1, 1, D)
        distances.append(distance(query, support).mean(axis=2))  # (B, N, k) -> (B, N)
    return np.concatenate(distances)


def correct(encodings: np.ndarray, trials: Trials, distance: Distance = squared_distance) -> np.ndarray:
    """(N, D) of all drawings -> (T,) bool: the query's own character is nearer than every other.

    A tie is an error, or an encoder that gives every picture the same encoding would be perfect.
    """
    distances = distances_in(encodings, trials, distance)
    own_is_nearest: np.ndarray = distances[:, 0] < distances[:, 1:].min(axis=1)
    return own_is_nearest
