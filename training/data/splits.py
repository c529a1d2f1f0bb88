"""The split into training and held-out data, and the leak guard between them."""

import hashlib

import numpy as np


def leaks(embeddings: np.ndarray, references: np.ndarray, cosine_max: float, block: int = 4096) -> np.ndarray:
    """(N, D), (M, D) of unit length -> (N,) bool: the cosine to some reference is above cosine_max.

    References are embeddings of the evaluation data. A training crop of the same person would make the evaluation too
    optimistic; the teacher finds such a crop whatever its label is.
    """
    if not len(references):
        return np.zeros(len(embeddings), dtype=bool)
    return np.concatenate(
        [
            (embeddings[start : start + block] @ references.T).max(axis=1) > cosine_max  # (B, D) @ (D, M) -> (B, M)
            for start in range(0, len(embeddings), block)
        ]
    )


def held_out(people: np.ndarray, fraction: float) -> np.ndarray:
    """(N,) str -> (N,) bool: crops of the people held out for evaluation.

    A hash of the name decides: it is the same in every pack, run and machine, and a new pack moves nobody.
    """
    chosen = {
        person
        for person in np.unique(people)
        if int(hashlib.sha256(person.encode()).hexdigest()[:8], 16) < fraction * 2**32
    }
    return np.array([person in chosen for person in people], dtype=bool)
