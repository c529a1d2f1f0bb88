"""A closer look at a face before it is aligned: its landmarks as the mean of four detections.

The error of one detection's landmarks is another at every size and in the mirror, so the mean over two sizes, each as
it is and mirrored, has a smaller one. The four views are the quarters of one input of the detector: they cost one
inference.
"""

import math
from dataclasses import replace

import numpy as np

from edge.core.attention import WINDOW_PX
from edge.core.geometry import box_iou, moved_back
from edge.core.ports import Detector
from edge.core.types import Face
from edge.core.views import mirrored, view

SIZES_PX = (60.0, 90.0)  # of the face, in the upper and the lower views
SCORE_MIN = 0.5
SAME_FACE_IOU = 0.5
MIRRORED = [1, 0, 2, 4, 3]  # the landmarks by the names that they have in the mirror
QUARTER_TURNS = np.array([[[1, 0], [0, 1]], [[0, 1], [-1, 0]], [[-1, 0], [0, -1]], [[0, -1], [1, 0]]])


def look_closer(image: np.ndarray, face: Face, detector: Detector) -> Face:
    """The same face with better landmarks; as it is where no view shows it again.

    image: (H, W, 3) uint8 RGB; face: in its pixels, turned in any way
    """
    if face.size_px < 1:
        return face
    width, height = (WINDOW_PX // 2).tolist()
    upright = QUARTER_TURNS[quarters(face)]
    canvas, places = np.zeros((2 * height, 2 * width, 3), dtype=np.uint8), []
    for down, px in zip((0, height), SIZES_PX, strict=True):
        linear = upright * (px / face.size_px)
        shift = np.array([width, height]) / 2 - linear @ ((face.box[:2] + face.box[2:]) / 2)
        shown = view(image, np.column_stack([linear, shift]), width, height)
        canvas[down : down + height, :width] = shown
        canvas[down : down + height, width:] = mirrored(shown)
        places.append(np.column_stack([linear, (shift[0], shift[1] + down)]))
        places.append(np.column_stack([linear * [[-1], [1]], (2 * width - shift[0], shift[1] + down)]))
    looks = landmarks_of(face, places, detector.detect(canvas, SCORE_MIN))
    if not looks:
        return face
    pixel = upright.T @ (0.5, 0.5) - 0.5  # landmarks are pixels' indices, see turned_back
    return replace(face, landmarks=(np.mean(looks, axis=0) + pixel).astype(np.float32))


def quarters(face: Face) -> int:
    """By how many quarters, 0 to 3, a face is turned clockwise; one that is tilted by less than half of one by none."""
    right, down = face.landmarks[1] - face.landmarks[0]  # from eye to eye
    return round(math.atan2(down, right) / (math.pi / 2)) % 4


def landmarks_of(face: Face, places: list[np.ndarray], found: list[Face]) -> list[np.ndarray]:
    """The landmarks of those that were found where a face was shown.

    places: each (2, 3), a transform by which the face was shown. Returns (5, 2) of each place at which somebody was
    found, in pixels of the face's own picture.
    """
    if not found:
        return []
    corners = np.stack([face.box.reshape(2, 2) @ place[:, :2].T + place[:, 2] for place in places])  # (K, 2, 2)
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    overlap = box_iou(boxes, np.stack([other.box for other in found]))  # (K, F)
    looks = []
    for place, of_place in zip(places, overlap, strict=True):
        nearest = int(np.argmax(of_place))
        if of_place[nearest] >= SAME_FACE_IOU:
            landmarks = moved_back(found[nearest].landmarks, place)
            (a, b), (c, d) = place[:, :2]
            looks.append(landmarks[MIRRORED] if a * d < b * c else landmarks)
    return looks
