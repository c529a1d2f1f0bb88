"""What a door camera does to a face, one condition at a time and at a fixed strength: for measuring, not for training.

Every condition takes (112, 112, 3) uint8 RGB and a random generator, and returns a new crop of the same shape.
"""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

Condition = Callable[[np.ndarray, np.random.Generator], np.ndarray]

FACE_PX = 81  # width of the box that our detector draws, in the crop: the median of 300 LFW photographs
WIDTHS_PX = (24, 32, 40, 60, 80)
RED, GREEN, BLUE = 0.45, 0.33, 0.22  # of an infrared picture, as a silicon sensor weighs them


def as_it_is(crop: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """No change."""
    return crop


def far(crop: np.ndarray, _rng: np.random.Generator, face_px: int) -> np.ndarray:
    """The face is so many pixels wide in the frame; alignment enlarges it."""
    height, width = crop.shape[:2]
    px = round(width * face_px / FACE_PX)
    small = cv2.resize(crop, (px, px), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def night(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Infrared light: grey, with the sensor's grey noise."""
    grey = cv2.transform(crop, np.array([[RED, GREEN, BLUE]]))
    return cv2.merge([_with_noise(grey, rng, 8)] * 3)


def dusk(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A third of the light, a steeper curve, and noise in every channel."""
    levels = (np.arange(256) / 255.0) ** 1.6 * 0.35 * 255
    return _with_noise(cv2.LUT(crop, levels.astype(np.uint8)), rng, 5)


def against_light(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The face has 45 % of its light; a veil of up to 110 levels comes from a random side."""
    height, width = crop.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    veil = np.clip((x * np.cos(angle) + y * np.sin(angle)) / 2 + 0.5, 0, 1)[..., None] ** 2 * 110
    return np.clip(crop * 0.45 + veil, 0, 255).astype(np.uint8)


def moving(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Motion blur over 9 px in a random direction."""
    angle = rng.uniform(0, np.pi)
    reach = 4 * np.array([np.cos(angle), np.sin(angle)])
    start, end = np.round(4 - reach).astype(int).tolist(), np.round(4 + reach).astype(int).tolist()
    kernel = cv2.line(np.zeros((9, 9), np.float32), start, end, 1.0)
    return cv2.filter2D(crop, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def scarf(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cloth of one colour from below the nose down."""
    covered = crop.copy()
    covered[68:] = rng.integers(0, 256, 3)
    return covered


def brim(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hat down to the brows, and its shadow on the eyes."""
    covered = crop.copy()
    covered[:34] = rng.integers(0, 80, 3)
    covered[34:62] = covered[34:62] * 0.5
    return covered


def turned_by(crop: np.ndarray, _rng: np.random.Generator, quarters: int) -> np.ndarray:
    """The picture turned by so many quarters, as from a camera that was mounted so."""
    return np.ascontiguousarray(np.rot90(crop, quarters))


def _with_noise(picture: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    noise = rng.standard_normal(picture.shape, dtype=np.float32) * sigma
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


CONDITIONS: dict[str, Condition] = {
    "as it is": as_it_is,
    **{f"{px} px wide": partial(far, face_px=px) for px in WIDTHS_PX},
    "infrared": night,
    "dark": dusk,
    "backlit": against_light,
    "motion blur": moving,
    "lower half covered": scarf,
    "hat's brim": brim,
}


def under(condition: Condition, crops: np.ndarray, seed: int = 0) -> np.ndarray:
    """(N, 112, 112, 3) uint8 RGB -> the same crops under the condition; the same for every model."""
    return np.stack([condition(np.asarray(crop), np.random.default_rng((seed, row))) for row, crop in enumerate(crops)])
