"""Boxes and points."""

import numpy as np


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The turn, zoom and shift that bring source points nearest to target points in the least-squares sense.

    source, target: (N, 2) float, N >= 2. Returns (2, 3) float64, to be applied as matrix @ [x, y, 1].
    Raises ValueError where shapes differ or all source points are one.
    Umeyama 1991, without reflection; in the plane it is a linear least-squares problem in complex numbers.
    """
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(f"expected two (N, 2) arrays with N >= 2, got {source.shape} and {target.shape}")
    centre_source, centre_target = source.mean(axis=0), target.mean(axis=0)
    z = (source - centre_source) @ [1, 1j]  # (N, 2) @ (2,) -> (N,)
    w = (target - centre_target) @ [1, 1j]
    spread = float(np.vdot(z, z).real)
    if spread == 0:
        raise ValueError("all source points are one point: no transform is defined")
    zoom_turn = np.vdot(z, w) / spread  # conj(z) . w
    a, b = zoom_turn.real, zoom_turn.imag
    linear = np.array([[a, -b], [b, a]])
    return np.column_stack([linear, centre_target - linear @ centre_source])
