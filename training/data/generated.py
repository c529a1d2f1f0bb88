"""Drawn faces: enough to test the whole chain from fit to report without a data set."""

import cv2
import numpy as np

from edge.core.align import CROP_PX
from training.data.augment import door_camera
from training.data.crops import Crops


def generated_people(people: int, pictures: int, seed: int) -> Crops:
    """Draw people, and a few pictures of each: the drawing is the person, light and small movements vary."""
    images, names = [], []
    for person in range(people):
        face = draw_face(np.random.default_rng([seed, person]))
        for picture in range(pictures):
            images.append(door_camera(face, np.random.default_rng([seed, person, picture]), strength=0.3))
            names.append(f"drawn-{person:03d}")
    labels = np.array(names)
    return Crops(np.stack(images), labels, np.array([f"{name}/{row}" for row, name in enumerate(names)]))


def draw_face(rng: np.random.Generator) -> np.ndarray:
    """Draw a head with hair, eyes, brows, nose and mouth of random shape and colour, (112, 112, 3) uint8 RGB."""

    def colour(low: int, high: int) -> tuple[int, int, int]:
        red, green, blue = sorted(rng.integers(low, high, 3).tolist(), reverse=True)
        return red, green, blue

    def about(value: float, spread: float) -> int:
        return round(value + rng.uniform(-spread, spread))

    canvas = np.full((CROP_PX, CROP_PX, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    skin, hair, lips = colour(70, 240), colour(0, 200), colour(60, 220)
    head = (about(36, 7), about(48, 7))
    cv2.ellipse(canvas, (56, 52), (head[0] + about(5, 4), head[1] + about(6, 4)), 0, 0, 360, hair, -1)
    cv2.ellipse(canvas, (56, 66), head, 0, 0, 360, skin, -1)
    eye_y, eye_gap, eye = about(52, 4), about(18, 4), (about(7, 2), about(4, 2))
    iris, brow_y, brow_tilt, brow_width = colour(0, 200), about(11, 3), about(0, 4), about(3, 2)
    for side in (-1, 1):
        x = 56 + side * eye_gap
        cv2.ellipse(canvas, (x, eye_y), eye, 0, 0, 360, (240, 240, 240), -1)
        cv2.circle(canvas, (x, eye_y), max(2, eye[1] - 1), iris, -1)
        inner, outer = (x - side * 8, eye_y - brow_y + brow_tilt), (x + side * 9, eye_y - brow_y - brow_tilt)
        cv2.line(canvas, inner, outer, hair, max(1, brow_width))
    nose = about(72, 5)
    shade = tuple(int(channel * 0.75) for channel in skin)
    cv2.line(canvas, (56, eye_y + 4), (56 + about(0, 5), nose), shade, about(3, 1))
    cv2.ellipse(canvas, (56, about(92, 4)), (about(15, 5), about(4, 3)), 0, 0, 360, lips, -1)
    if rng.random() < 0.4:  # a beard
        cv2.ellipse(canvas, (56, 104), (about(24, 6), about(10, 4)), 0, 0, 360, hair, -1)
    if rng.random() < 0.4:  # glasses
        for side in (-1, 1):
            cv2.circle(canvas, (56 + side * eye_gap, eye_y), about(12, 2), (20, 20, 20), 2)
    return canvas
