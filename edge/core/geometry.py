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


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair of boxes.

    first: (N, 4), second: (M, 4), as left, top, right, bottom. Returns (N, M) in [0, 1]; 0 for boxes without area.
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])  # (N, 1, 2), (1, M, 2) -> (N, M, 2)
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = box_area(first)[:, None] + box_area(second)[None] - shared
    return shared / np.maximum(union, 1e-9)


def box_area(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) -> (N,), 0 where right is left of left."""
    return np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(axis=1)


def non_maximum_suppression(boxes: np.ndarray, scores: np.ndarray, iou_max: float) -> np.ndarray:
    """Rows of the boxes that stay, best score first: of two that overlap by more than iou_max, the better one.

    boxes: (N, 4); scores: (N,). Greedy (the oldest and plainest rule); equal scores keep the earlier row.
    """
    order = np.argsort(-scores, kind="stable")
    clash = box_iou(boxes[order], boxes[order]) > iou_max  # (N, N): a few dozen candidates, so one matrix is cheapest
    kept: list[int] = []
    gone = np.zeros(len(order), dtype=bool)
    for place in range(len(order)):
        if not gone[place]:
            kept.append(place)
            gone |= clash[place]
    return order[kept]


def blend_weights(boxes: np.ndarray, scores: np.ndarray, kept: np.ndarray, iou_min: float) -> np.ndarray:
    """How much each box has to say in each kept one: as much as its squared score, if they overlap by iou_min.

    boxes: (N, 4); scores: (N,) above 0; kept: (K,) rows. Returns (K, N), each row of sum 1.
    Neighbouring cells that saw the same face err differently, and their mean errs less and trembles less from frame to
    frame (Bazarevsky et al. 2019).
    """
    agree = box_iou(boxes[kept], boxes) >= iou_min
    agree[np.arange(len(kept)), kept] = True  # a box without area overlaps nothing, not even itself
    weights = agree * np.square(scores)
    return weights / weights.sum(axis=1, keepdims=True)


def letterbox_scale(picture: tuple[int, int], canvas: tuple[int, int]) -> float:
    """The largest zoom at which a picture (height, width) fits a canvas (height, width) without distortion."""
    return min(canvas[0] / picture[0], canvas[1] / picture[1])
