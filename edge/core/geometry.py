"""Similarity transforms, and the arithmetic of boxes."""

import numpy as np


def similarity_transform(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit the rotation, scale and translation that bring source points nearest to target points, by least squares.

    source, target: (N, 2) float, N >= 2. Returns (2, 3) float64, to be applied as matrix @ [x, y, 1].
    Raises ValueError where the shapes differ or all source points are the same.
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


def moved_back(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Find where points, (N, 2), were before a similarity, (2, 3), also one with reflection."""
    linear, shift = matrix[:, :2], matrix[:, 2]
    back: np.ndarray = (points - shift) @ linear / (linear[:, 0] ** 2).sum()  # (p - s) @ inverse.T
    return back


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of every pair of boxes.

    first: (N, 4), second: (M, 4), as left, top, right, bottom. Returns (N, M) in [0, 1]; 0 for boxes without area.
    """
    corners = np.minimum(first[:, None, 2:4], second[None, :, 2:4])  # (N, 1, 2), (1, M, 2) -> (N, M, 2)
    corners -= np.maximum(first[:, None, :2], second[None, :, :2])
    np.maximum(corners, 0, out=corners)
    shared = corners[..., 0] * corners[..., 1]
    union = box_area(first)[:, None] + box_area(second)[None] - shared
    iou: np.ndarray = shared / np.maximum(union, 1e-9)
    return iou


def box_area(boxes: np.ndarray) -> np.ndarray:
    """Compute areas, (N, 4) -> (N,); 0 where right is less than left, or bottom less than top."""
    sides = np.maximum(boxes[:, 2:4] - boxes[:, :2], 0)
    areas: np.ndarray = sides[:, 0] * sides[:, 1]
    return areas


def non_maximum_suppression(overlap: np.ndarray, scores: np.ndarray, iou_max: float) -> np.ndarray:
    """Keep, of every two boxes that overlap by more than iou_max, the one with the better score.

    overlap: (N, N), the IoU of every two; scores: (N,). Returns the rows that are kept, (K,), best score first; the
    earlier one where scores are equal. Greedy: the candidates are a few dozen, and one matrix of them is cheap.
    """
    order = np.argsort(-scores, kind="stable")
    clash = overlap > iou_max
    gone = np.zeros(len(order), dtype=bool)
    kept = []
    for row in order:
        if not gone[row]:
            kept.append(row)
            gone |= clash[row]
    return np.array(kept, dtype=np.int64)


def blend_weights(overlap: np.ndarray, scores: np.ndarray, kept: np.ndarray, iou_min: float) -> np.ndarray:
    """Compute the weight of every box in each kept one: its squared score, where they overlap by iou_min, else 0.

    overlap: (N, N), the IoU of every two; scores: (N,) above 0; kept: (K,) rows. Returns (K, N), each row of sum 1.
    Neighbouring cells that found the same face have different errors; their mean has a smaller one, and jitters less
    from frame to frame (Bazarevsky et al. 2019).
    """
    agree = overlap[kept] >= iou_min
    agree[np.arange(len(kept)), kept] = True  # a box without area overlaps nothing, not even itself
    weights: np.ndarray = agree * np.square(scores)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def letterbox_scale(picture: tuple[int, int], canvas: tuple[int, int]) -> float:
    """Compute the largest scale at which a picture (height, width) fits a canvas (height, width) undistorted."""
    return min(canvas[0] / picture[0], canvas[1] / picture[1])
