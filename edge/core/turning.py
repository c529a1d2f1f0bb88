"""Pictures that are turned by quarters, as of a camera that hangs upside down, and the faces in them."""

from collections.abc import Callable

import numpy as np

from edge.core.ports import Detector
from edge.core.types import Face

TURNS_DEG = (0, 180, 90, 270)  # upside down is more frequent than on its side
AROUND = 2.4  # sides of the face, of the part of a picture in which it is looked at both ways
WEAK_SCORE = 0.3  # of the detector, from which both ways are compared
SURER = 0.01  # by how much the score upside down must be better; that of a covered face can be the same both ways


def turned(image: np.ndarray, degrees: int, *, mirror: bool = False) -> np.ndarray:
    """Turn a picture, (H, W, 3), clockwise by 0, 90, 180 or 270 degrees, and then exchange left and right if mirrored.

    Returns a contiguous array: (W, H, 3) after 90 and 270 degrees.
    """
    image = np.rot90(image, -degrees // 90) if degrees else image
    return np.ascontiguousarray(image[:, ::-1] if mirror else image)


def turned_back(face: Face, degrees: int, width: int, height: int) -> Face:
    """A face of a picture that was turned, in pixels of the picture (width, height) before that.

    Landmarks keep their meaning: the left eye is the one that is left where the face is upright. They are pixels'
    indices, as `align` takes them, so that the same crop is cut out of both pictures; a box has borders.
    """
    corners = back(face.box.reshape(2, 2), degrees, width, height)
    landmarks = back(face.landmarks, degrees, width - 1, height - 1)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return Face(box.astype(np.float32), face.score, landmarks.astype(np.float32))


def back(points: np.ndarray, degrees: int, right: int, bottom: int) -> np.ndarray:
    """Points, (N, 2) x and y, where they were before the plane from 0, 0 to right, bottom was turned clockwise."""
    x, y = points.T
    columns = {0: (x, y), 90: (y, bottom - x), 180: (right - x, bottom - y), 270: (right - y, x)}
    return np.column_stack(columns[degrees])


def is_upright(image: np.ndarray, face: Face, detector: Detector) -> bool:
    """Whether a face, in pixels of its picture, (H, W, 3), has its eyes above its mouth.

    Every second face that is upside down is found, with landmarks as if it were upright. The detector is surer of it
    the right way round: so it is asked twice about the part of the picture around the face.
    """
    height, width = image.shape[:2]
    middle, reach = (face.box[:2] + face.box[2:]) / 2, face.size_px * AROUND / 2
    left, top = (int(side) for side in np.maximum(middle - reach, 0))
    right, bottom = (int(side) for side in np.minimum(middle + reach, (width, height)))
    view, box = image[top:bottom, left:right], face.box - np.array([left, top, left, top], np.float32)
    if not view.size:
        return True
    as_it_is, upside_down = (_score(view, box, degrees, detector) for degrees in (0, 180))
    return upside_down <= as_it_is + SURER


def _score(view: np.ndarray, box: np.ndarray, degrees: int, detector: Detector) -> float:
    """The best score of the faces of a turned view whose middle lies in the box, of the view before; 0 for none."""
    height, width = view.shape[:2]
    found = [turned_back(face, degrees, width, height) for face in detector.detect(turned(view, degrees), WEAK_SCORE)]
    middles = [((face.box[:2] + face.box[2:]) / 2, face.score) for face in found]
    return max((score for at, score in middles if (box[:2] <= at).all() and (at <= box[2:]).all()), default=0.0)


def upright(picture: np.ndarray, find: Callable[[np.ndarray], list[Face]]) -> int | None:
    """By how many degrees a picture, (H, W, 3), must be turned clockwise for its faces to be upright.

    find: the faces of a picture, best score first. Returns 0 where there is a face as it is, otherwise the turn that
    shows the face of the best score; None where none does.
    """
    best: tuple[float, int] | None = None
    for degrees in TURNS_DEG:
        faces = find(turned(picture, degrees))
        if faces and not degrees:
            return 0
        if faces and (best is None or faces[0].score > best[0]):
            best = faces[0].score, degrees
    return None if best is None else best[1]
