"""Evaluation pictures that are in the training data under another name.

Packs overlap: a photograph is a scene in one pack and an aligned crop in another, a hundred panoramas show one room,
and a picture may be in a pack twice. A split by name misses that, so similar pictures are left out of the evaluation.
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
SAME_PHOTOGRAPH_COSINE = 0.8  # of a teacher's embeddings: above it are nearly only crops of one photograph


def thumbnails(images: list[np.ndarray]) -> np.ndarray:
    """Small grey pictures without their mean, (N, 768) float32 of unit length: their products are correlations."""
    small = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), THUMBNAIL_PX, interpolation=cv2.INTER_AREA).ravel()
        for image in images
    ]
    rows = np.array(small, dtype=np.float32).reshape(-1, THUMBNAIL_PX[0] * THUMBNAIL_PX[1])
    return unit_length(rows - rows.mean(axis=1, keepdims=True) + 1e-6)


def same_picture(scenes: list[Scene], training: np.ndarray) -> np.ndarray:
    """(N,) bool: nearly the same picture as one of the training thumbnails, (M, 768)."""
    return leaks(thumbnails([scene.image for scene in scenes]), training, SAME_PICTURE_CORRELATION)


def same_photograph(scenes: list[Scene], teacher: Teacher, crops: np.ndarray) -> np.ndarray:
    """(N,) bool: a sure face of the scene is the face of one of the crops; crops: (M, D), their embeddings."""
    where, faces = [], []
    for number, scene in enumerate(scenes):
        for face in scene.faces[scene.faces[:, SCORE] >= FACE_SCORE_MIN]:
            where.append(number)
            faces.append(align(scene.image, face[LANDMARKS].reshape(5, 2)))
    found = np.zeros(len(scenes), dtype=bool)
    if faces:
        found[np.array(where)[leaks(teacher.embed(np.stack(faces)), crops, SAME_PHOTOGRAPH_COSINE)]] = True
    return found
