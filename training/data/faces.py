"""Labelled faces as rows of one array, (F, 15) float32: left, top, right, bottom, score, and five landmarks x, y."""

import numpy as np

BOX = slice(0, 4)
SCORE = 4
LANDMARKS = slice(5, 15)
FACE_SCORE_MIN = 0.8  # the teacher is sure; between 0.4 and this it is unsure, and the face is ignored
NO_FACES = np.zeros((0, 15), dtype=np.float32)

# Left eye, right eye, nose, left and right corner of the mouth, in the order they have in the mirror image.
MIRROR_ORDER = [1, 0, 2, 4, 3]


def moved(faces: np.ndarray, scale: np.ndarray | float, shift: np.ndarray) -> np.ndarray:
    """Map every point p to p * scale + shift; scale: () or (2,), shift: (2,), both x first."""
    out = faces.copy()
    points = _points(faces) * scale + shift
    return _with_points(out, points)


def mirrored(faces: np.ndarray, width: float) -> np.ndarray:
    """The faces in the picture's mirror image; left and right change places."""
    points = _points(faces)
    points[..., 0] = width - points[..., 0]
    box = np.stack(
        [points[:, 1, 0], points[:, 0, 1], points[:, 0, 0], points[:, 1, 1]], axis=1
    )  # the right edge is now the left one
    points[:, :2] = box.reshape(-1, 2, 2)
    points[:, 2:] = points[:, 2:][:, MIRROR_ORDER]
    return _with_points(faces.copy(), points)


def turned(faces: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The faces after a similarity transform, (2, 3): landmarks exactly; the box is scaled and stays upright."""
    points = _points(faces)
    zoom = float(np.hypot(*matrix[:, 0]))
    middle = points[:, :2].mean(axis=1) @ matrix[:, :2].T + matrix[:, 2]
    half = (points[:, 1] - points[:, 0]) / 2 * zoom
    points[:, 2:] = points[:, 2:] @ matrix[:, :2].T + matrix[:, 2]
    points[:, 0], points[:, 1] = middle - half, middle + half
    return _with_points(faces.copy(), points)


def sizes(faces: np.ndarray) -> np.ndarray:
    """(F, 15) -> (F,) square root of the box's area, in pixels."""
    return np.sqrt(np.clip(faces[:, 2:4] - faces[:, 0:2], 0, None).prod(axis=1))


def visible_share(faces: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(F,) the share of each box that is inside a picture of shape (height, width)."""
    height, width = shape
    low = np.maximum(faces[:, 0:2], 0)
    high = np.minimum(faces[:, 2:4], [width, height])
    return np.clip(high - low, 0, None).prod(axis=1) / np.maximum(sizes(faces) ** 2, 1e-9)


def _points(faces: np.ndarray) -> np.ndarray:
    """(F, 7, 2): two corners of the box, five landmarks."""
    return np.concatenate([faces[:, BOX].reshape(-1, 2, 2), faces[:, LANDMARKS].reshape(-1, 5, 2)], axis=1)


def _with_points(faces: np.ndarray, points: np.ndarray) -> np.ndarray:
    faces[:, BOX] = points[:, :2].reshape(-1, 4)
    faces[:, LANDMARKS] = points[:, 2:].reshape(-1, 10)
    return faces
