"""Augmentation of drawings: the same character by another hand, and an alphabet as another alphabet."""

import cv2
import numpy as np

from training.data.warp import zoom_and_turn

# Koch, Zemel, Salakhutdinov 2015, section 3.2: the largest value of each; each applies with probability 0.5.
TURN_DEGREES = 10.0
SHEAR = 0.3
ZOOM = 0.2
SHIFT = 2 / 105  # of the side
# Ours, which always applies: standard deviations at strength 1.
HAND_TURN_DEGREES = 8.0
HAND_SLANT = 0.15
HAND_ZOOM = 0.12  # of the logarithm
HAND_SHIFT = 0.04  # of the side
HAND_BEND = 0.025  # of the side
BEND_POINTS = 5  # in each direction: few, so that strokes bend smoothly
PEN = 0.4  # probability of a thicker or thinner pen
PEN_TIP = np.ones((3, 3), dtype=np.uint8)
# The transform of a whole alphabet.
RECAST_TURN = np.pi / 4  # the largest; data.turned_copies covers larger turns
RECAST_STRETCH, RECAST_SLANT = 0.12, 0.2


def handwriting(
    drawing: np.ndarray, rng: np.random.Generator, strength: float, alphabet: np.random.Generator | None = None
) -> np.ndarray:
    """(H, W, 1) uint8, ink on 0 -> the same shape, as another hand draws it.

    strength: 0 gives the affine distortions of Koch et al. 2015; above 0 it is ours, which also bends strokes and
              changes the thickness of the pen
    alphabet: the generator of the transform that all characters of an alphabet share
    """
    height, width = drawing.shape[:2]
    linear, shift = our_distortion(rng, strength) if strength else kochs_distortion(rng)
    if alphabet is not None:
        linear = recast(alphabet) @ linear
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    places = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)  # (H, W, 2)
    places = places @ linear.T.astype(np.float32)
    places += (centre - linear @ centre + shift * width).astype(np.float32)
    if strength:
        bends = rng.standard_normal((BEND_POINTS, BEND_POINTS, 2), dtype=np.float32) * (HAND_BEND * strength * width)
        places += cv2.resize(bends, (width, height), interpolation=cv2.INTER_CUBIC)
    # Black around; x and y are in one map, where OpenCV's types ask for two.
    drawing = cv2.remap(np.ascontiguousarray(drawing), places, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
    if rng.random() < PEN * strength:
        pen = cv2.dilate if rng.random() < 0.6 else cv2.erode
        drawing = cv2.addWeighted(drawing, share := rng.uniform(0, 0.7), pen(drawing, PEN_TIP), 1 - share, 0)
    return drawing.reshape(height, width, 1)


def kochs_distortion(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Koch's distortion: (2, 2), and a shift (2,) in sides of the picture; each part applies with probability 0.5."""
    turn, slant_x, slant_y, zoom_x, zoom_y, *shift = rng.uniform(-1, 1, 7) * (rng.random(7) < 0.5)
    sheared = np.array([[1, SHEAR * slant_x], [SHEAR * slant_y, 1]])
    zoomed = np.diag([1 + ZOOM * zoom_x, 1 + ZOOM * zoom_y])
    return zoom_and_turn(1.0, np.deg2rad(TURN_DEGREES * turn)) @ sheared @ zoomed, SHIFT * np.array(shift)


def our_distortion(rng: np.random.Generator, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Our distortion: (2, 2), and a shift (2,) in sides of the picture; all parts apply, each a little."""
    turn, slant, zoom_x, zoom_y, *shift = rng.normal(0, strength, 6)
    slanted = np.array([[1, HAND_SLANT * slant], [0, 1]])
    zoomed = np.diag(np.exp(HAND_ZOOM * np.array([zoom_x, zoom_y])))
    return zoom_and_turn(1.0, np.deg2rad(HAND_TURN_DEGREES * turn)) @ slanted @ zoomed, HAND_SHIFT * np.array(shift)


def recast(rng: np.random.Generator) -> np.ndarray:
    """(2, 2): a turn of up to 45 degrees, a stretch and a slant, of the same area."""
    stretch, slant = np.exp(rng.normal(0, RECAST_STRETCH)), rng.normal(0, RECAST_SLANT)
    return zoom_and_turn(1.0, rng.uniform(-1, 1) * RECAST_TURN) @ np.array([[stretch, slant], [0, 1 / stretch]])
