"""Hats and masks, drawn on the faces of a scene: the labels stay, as the head does not move."""

from dataclasses import replace

import cv2
import numpy as np

from training.data.faces import FACE_SCORE_MIN, LANDMARKS, SCORE
from training.data.scenes import Scene

HAT_SHARE = 0.08  # of the sure faces
MASK_SHARE = 0.08


def with_things_worn(scene: Scene, rng: np.random.Generator) -> Scene:
    """The scene with a hat or a mask on some of its sure faces; the scene itself where none gets one."""
    outlines = []
    for face in scene.faces[scene.faces[:, SCORE] >= FACE_SCORE_MIN]:
        kind = rng.random()
        if kind < HAT_SHARE + MASK_SHARE:
            outlines.append(hat(face, rng) if kind < HAT_SHARE else mask(face, rng))
    if not outlines:
        return scene
    return replace(scene, image=draw_on(scene.image, outlines, rng))


def draw_on(image: np.ndarray, outlines: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """The picture with these (P, 2) outlines filled, each with a random colour."""
    image = image.copy()
    for outline in outlines:
        colour = rng.integers(0, 256, 3).tolist()
        cv2.fillPoly(image, [outline.round().astype(np.int32)], colour, lineType=cv2.LINE_AA)
    return image


def hat(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(15,) -> (P, 2): from above the brows to above the head, with or without a brim."""
    brow, top = rng.uniform(-0.32, -0.22), rng.uniform(-1.1, -0.75)
    side, brim = rng.uniform(0.5, 0.6), rng.uniform(0.0, 0.25)
    shape = [(-side - brim, brow), (side + brim, brow), (side, brow - 0.12), (0.85 * side, top), (-0.85 * side, top)]
    return _on_face(face, np.array([*shape, (-side, brow - 0.12)]))


def mask(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(15,) -> (P, 2): from the bridge of the nose to the chin."""
    top, low, side = rng.uniform(0.12, 0.3), rng.uniform(0.75, 0.95), rng.uniform(0.42, 0.52)
    middle = top - rng.uniform(0.0, 0.12)
    right = [(side, top), (0.9 * side, low - 0.2), (0.4 * side, low)]
    left = [(-x, y) for x, y in reversed(right)]
    return _on_face(face, np.array([(0, middle), *right, *left]))


def _on_face(face: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """(P, 2) points in lengths of the box, from between the eyes and along their line -> in pixels."""
    eyes = face[LANDMARKS].reshape(5, 2)[:2]
    across = eyes[1] - eyes[0]
    across = across / max(1e-6, float(np.hypot(*across)))
    down = np.array([-across[1], across[0]])
    lengths = face[2:4] - face[0:2]
    middle = np.array([(face[0] + face[2]) / 2, 0.0])
    middle[1] = eyes[:, 1].mean()
    points: np.ndarray = middle + shape[:, :1] * across * lengths[0] + shape[:, 1:] * down * lengths[1]
    return points
