"""Scenes with drawn faces: enough to test the whole chain of a detector without a data set."""

import cv2
import numpy as np

from edge.core.align import ARCFACE_TEMPLATE
from training.data.faces import NO_FACES, turned
from training.data.generated import draw_face
from training.data.scenes import Scene
from training.data.warp import warped

DRAWN_BOX = (22.0, 22.0, 90.0, 110.0)  # of a drawn head in its crop


def drawn_scenery(count: int, seed: int) -> tuple[list[Scene], tuple[list[np.ndarray], np.ndarray]]:
    """Draw scenes, two of three with a face; and crops to paste, with the face in each, (N, 15)."""
    face = np.concatenate([DRAWN_BOX, [1.0], ARCFACE_TEMPLATE.ravel()]).astype(np.float32)
    scenes = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        image, faces = drawn_backdrop(rng), NO_FACES
        if number % 3:
            zoom = rng.uniform(0.5, 1.4)
            shift = rng.uniform(0, 1, 2) * (np.array(image.shape[1::-1]) - 112 * zoom)
            matrix = np.column_stack([np.eye(2) * zoom, shift])
            warped(draw_face(rng), matrix, image.shape[1::-1], onto=image)
            faces = turned(face[None], matrix)
        scenes.append(Scene(f"drawn/{number:04d}", image, faces))
    crops = [draw_face(np.random.default_rng([seed, count, number])) for number in range(count)]
    return scenes, (crops, np.repeat(face[None], count, axis=0))


def drawn_backdrop(rng: np.random.Generator) -> np.ndarray:
    """Draw a wall with boxes and lines in front of it, (240, 320, 3) uint8 RGB."""
    image = np.full((240, 320, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    for _ in range(rng.integers(2, 9)):
        corner, other = (tuple(rng.integers(-40, 360, 2).tolist()) for _ in range(2))
        colour = rng.integers(0, 256, 3).tolist()
        if rng.random() < 0.6:
            cv2.rectangle(image, corner, other, colour, -1)
        else:
            cv2.line(image, corner, other, colour, int(rng.integers(1, 12)))
    return image
