"""What of the pictures to measure on was, under another name, learned from.

Packs overlap: the same photograph is a scene here and an aligned crop there, one room fills a hundred panoramas, and a
picture may be in a pack twice. A split by name does not see that; what is alike is not measured on.
"""

import cv2
import numpy as np

from edge.core.align import align
from training.data.faces import FACE_SCORE_MIN, LANDMARKS, SCORE
from training.data.scenes import Scene
from training.data.splits import leaks
from training.data.teacher import Teacher, unit_length

THUMBNAIL_PX = (32, 24)
SAME_PICTURE_CORRELATION = 0.97  # frames of one room are at 0.98 and above
SAME_PHOTOGRAPH_COSINE = 0.8  # of a teacher's embeddings: above it lie the same photograph and next to nothing else


def thumbnails(images: list[np.ndarray]) -> np.ndarray:
    """(N, 768) float32 of unit length, one small grey picture each, its mean taken off: their products correlate."""
    small = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), THUMBNAIL_PX, interpolation=cv2.INTER_AREA).ravel()
        for image in images
    ]
    rows = np.array(small, dtype=np.float32).reshape(-1, THUMBNAIL_PX[0] * THUMBNAIL_PX[1])
    return unit_length(rows - rows.mean(axis=1, keepdims=True) + 1e-6)


def same_picture(scenes: list[Scene], learned: np.ndarray) -> np.ndarray:
    """(N,) bool: nearly the same picture as one of those thumbnails, (M, 768)."""
    return leaks(thumbnails([scene.image for scene in scenes]), learned, SAME_PICTURE_CORRELATION)


def same_photograph(scenes: list[Scene], teacher: Teacher, crops: np.ndarray) -> np.ndarray:
    """(N,) bool: a sure face in it is the very face of one of the crops, of which (M, D) embeddings are given."""
    where, faces = [], []
    for number, scene in enumerate(scenes):
        for face in scene.faces[scene.faces[:, SCORE] >= FACE_SCORE_MIN]:
            where.append(number)
            faces.append(align(scene.image, face[LANDMARKS].reshape(5, 2)))
    found = np.zeros(len(scenes), dtype=bool)
    if faces:
        found[np.array(where)[leaks(teacher.embed(np.stack(faces)), crops, SAME_PHOTOGRAPH_COSINE)]] = True
    return found
