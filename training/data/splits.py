"""Who may be learned from: the leak guard and the split of people held out for measuring."""

import hashlib

import numpy as np


def leaks(embeddings: np.ndarray, references: np.ndarray, cosine_max: float, block: int = 4096) -> np.ndarray:
    """(N, D), (M, D) of unit length -> (N,) bool: nearer than cosine_max to any reference.

    A crop of somebody who is measured on would make the measurement flatter; a teacher finds it whatever its label.
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
    """(N,) str -> (N,) bool: crops of the people kept for measuring.

    By a hash of the name: the same people in every pack, run and machine, and nobody moves when a pack is added.
    """
    chosen = {
        person
        for person in np.unique(people)
        if int(hashlib.sha256(person.encode()).hexdigest()[:8], 16) < fraction * 2**32
    }
    return np.array([person in chosen for person in people], dtype=bool)
