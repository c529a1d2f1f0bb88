"""Degrade a clean picture as a door camera would.

Every function takes (H, W, 3) uint8 RGB and a random generator, and returns a new picture of the same shape.
"""

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np

# A detector errs by a few pixels and a few degrees, so the crops it makes do too.
SHIFT_PX = 4.0
TURN_DEGREES = 8.0
ZOOM = 0.07
NO_SHARES: Mapping[str, float] = MappingProxyType({})


def door_camera(
    crop: np.ndarray, rng: np.random.Generator, strength: float = 1.0, shares: Mapping[str, float] = NO_SHARES
) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the same shape, degraded as by a door camera.

    strength is a factor on the probability of each degradation; with 0 only the mirror image and the small shifts and
    turns remain. shares gives the probability itself of the degradations that it names, whatever the strength.
    The order follows the light: occlusion, lighting, distance, blur, noise, encoder.
    """
    crop = misaligned(crop, rng)
    for degrade, probability in DEGRADATIONS:
        if rng.random() < shares.get(degrade.__name__, probability * strength):
            crop = degrade(crop, rng)
    return crop


def misaligned(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirror half of the pictures; shift, turn and zoom all of them a little."""
    height, width = crop.shape[:2]
    zoom = rng.uniform(1 - ZOOM, 1 + ZOOM)
    turn = np.deg2rad(rng.normal(0, TURN_DEGREES / 2))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([mirror, 1.0])
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = centre - linear @ centre + rng.normal(0, SHIFT_PX / 2, 2)
    matrix = np.column_stack([linear, shift])
    return cv2.warpAffine(crop, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def covered(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover the lower half: a scarf, a mask, a collar."""
    height, width = crop.shape[:2]
    crop = crop.copy()
    top = int(height * rng.uniform(0.52, 0.7))
    sag = int(height * rng.uniform(-0.08, 0.08))
    outline = np.array([[0, top - sag], [width // 2, top + sag], [width, top - sag], [width, height], [0, height]])
    cloth = rng.integers(0, 256, 3).tolist()
    cv2.fillPoly(crop, [outline.astype(np.int32)], cloth)
    return crop


def dimmed(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dusk: less light and a steeper curve."""
    levels = (np.arange(256) / 255.0) ** rng.uniform(1.2, 2.2) * rng.uniform(0.25, 0.8) * 255
    return cv2.LUT(crop, levels.astype(np.uint8))


def exposed(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and white balance a little."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.88, 1.12, 3)
    levels = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-25, 25), 0, 255)  # (256, 3)
    return cv2.LUT(crop, levels.astype(np.uint8)[:, None, :])


def backlit(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from behind: the face is dark, and a bright veil comes from one side."""
    height, width = crop.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    ramp = np.clip((x * np.cos(angle) + y * np.sin(angle)) * 0.5 + 0.5, 0, 1).astype(np.float32)[..., None]
    face = crop.astype(np.float32) * rng.uniform(0.3, 0.7)
    return np.clip(face + ramp**2 * rng.uniform(40, 150), 0, 255).astype(np.uint8)


def infrared(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Night vision: one grey channel in which red weighs most, as in a silicon sensor."""
    weights = rng.dirichlet([4.0, 3.0, 2.0]).astype(np.float32)
    grey = cv2.transform(crop, weights[None, :])
    return cv2.merge([grey, grey, grey])


def distant(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Distance: the sensor has only 30 to 60 pixels of the face."""
    height, width = crop.shape[:2]
    px = int(rng.integers(30, 61))
    small = cv2.resize(crop, (px, px), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def blurred(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Out of focus, or moving in one direction."""
    if rng.random() < 0.5:
        return cv2.GaussianBlur(crop, (0, 0), rng.uniform(0.6, 2.0))
    length = int(rng.integers(3, 10))
    angle = rng.uniform(0, np.pi)
    reach = (length - 1) / 2 * np.array([np.cos(angle), np.sin(angle)])
    middle = (length - 1) / 2
    kernel = np.zeros((length, length), dtype=np.float32)
    ends = [tuple(np.round(middle + sign * reach).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(crop, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def noisy(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sensor noise on every pixel and channel; a grey picture stays grey."""
    grey = np.ptp(crop[::8, ::8], axis=2).max() == 0
    shape = (*crop.shape[:2], 1) if grey else crop.shape
    noise = rng.standard_normal(shape, dtype=np.float32) * rng.uniform(3, 14)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def compressed(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Encode and decode as JPEG of low quality."""
    _, encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))  # the channel order stays


DEGRADATIONS = (
    (covered, 0.08),
    (exposed, 0.30),
    (dimmed, 0.10),
    (backlit, 0.08),
    (infrared, 0.12),
    (distant, 0.20),
    (blurred, 0.12),
    (noisy, 0.15),
    (compressed, 0.15),
)
NAMES = tuple(degrade.__name__ for degrade, _ in DEGRADATIONS)


def tinted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour a grey picture: three random colours for black, middle grey and white, and a curve through them."""
    levels = np.array([0, 128, 255])
    dark, middle, bright = (rng.uniform(low, high, 3) for low, high in ((0, 60), (70, 190), (190, 255)))
    curve = np.stack(
        [np.interp(np.arange(256), levels, [dark[c], middle[c], bright[c]]) for c in range(3)], axis=1
    )  # (256, 3)
    return cv2.LUT(np.ascontiguousarray(image), curve.astype(np.uint8)[:, None, :])
