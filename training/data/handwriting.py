"""The same character by another hand."""

import cv2
import numpy as np

# Koch, Zemel, Salakhutdinov 2015, section 3.2: each happens half of the time.
TURN_DEGREES = 10.0
SHEAR = 0.3
ZOOM = 0.2
SHIFT = 2 / 105  # of the side
# Ours, on top of it.
BEND = 0.025  # of the side, standard deviation; five points across, so strokes bend and do not tremble
BEND_POINTS = 5
PEN = 0.4  # how often the pen is another


def handwriting(drawing: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """(H, W, 1) uint8, ink on 0 -> the same shape, drawn by another hand.

    strength 0 leaves the affine distortions of Koch et al. 2015 alone; beyond it strokes bend and the pen gets thicker
    or thinner.
    """
    height, width = drawing.shape[:2]
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)  # (H, W, 2)
    places = places @ (linear := distortion(rng)).T
    centre = np.array([(width - 1) / 2, (height - 1) / 2], dtype=np.float32)
    shift = rng.uniform(-SHIFT, SHIFT, 2) * width if rng.random() < 0.5 else np.zeros(2)
    places += (centre - linear @ centre + shift).astype(np.float32)
    if strength:
        bends = rng.standard_normal((BEND_POINTS, BEND_POINTS, 2), dtype=np.float32) * (BEND * strength * width)
        places += cv2.resize(bends, (width, height), interpolation=cv2.INTER_CUBIC)
    drawing = cv2.remap(np.ascontiguousarray(drawing), places, None, cv2.INTER_LINEAR)  # black around
    if rng.random() < PEN * strength:
        pen = cv2.dilate if rng.random() < 0.6 else cv2.erode
        drawing = cv2.addWeighted(drawing, share := rng.uniform(0, 0.7), pen(drawing, None), 1 - share, 0)
    return drawing.reshape(height, width, 1)


def distortion(rng: np.random.Generator) -> np.ndarray:
    """(2, 2) float32: turned, sheared and zoomed, each half of the time."""
    turn, shear_x, shear_y, zoom_x, zoom_y = rng.uniform(-1, 1, 5) * (rng.random(5) < 0.5)
    radians = np.deg2rad(TURN_DEGREES * turn)
    turned = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    sheared = np.array([[1, SHEAR * shear_x], [SHEAR * shear_y, 1]])
    return (turned @ sheared @ np.diag([1 + ZOOM * zoom_x, 1 + ZOOM * zoom_y])).astype(np.float32)
