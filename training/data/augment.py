"""Make a clean crop look as a door camera would have seen it."""

import cv2
import numpy as np

# Crops come off a detector that is a little wrong every time: a few pixels, a few degrees.
SHIFT_PX = 4.0
TURN_DEGREES = 8.0
ZOOM = 0.07


def door_camera(crop: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the same shape, seen by a door camera.

    strength scales how often each degradation happens; 0 leaves only the mirror image and the small shifts and turns.
    The order is roughly that of the light: what covers the face, how it is lit, then distance, blur, noise, encoder.
    """
    crop = misaligned(crop, rng)
    for degrade, probability in DEGRADATIONS:
        if rng.random() < probability * strength:
            crop = degrade(crop, rng)
    return crop


def misaligned(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrored half of the time, shifted, turned and zoomed a little."""
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
    """Lower half hidden: a scarf, a mask, a collar."""
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
    """Brightness, contrast and white balance a little off."""
    gain = rng.uniform(0.7, 1.35) * rng.uniform(0.88, 1.12, 3)
    levels = np.clip(np.arange(256)[:, None] * gain + rng.uniform(-25, 25), 0, 255)  # (256, 3)
    return cv2.LUT(crop, levels.astype(np.uint8)[:, None, :])


def backlit(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The porch against the sun: the face dark, a bright veil from one side."""
    height, width = crop.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    ramp = np.clip((x * np.cos(angle) + y * np.sin(angle)) * 0.5 + 0.5, 0, 1).astype(np.float32)[..., None]
    face = crop.astype(np.float32) * rng.uniform(0.3, 0.7)
    return np.clip(face + ramp**2 * rng.uniform(40, 150), 0, 255).astype(np.uint8)


def infrared(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Night vision: one grey channel, red-heavy as silicon sees it."""
    weights = rng.dirichlet([4.0, 3.0, 2.0]).astype(np.float32)
    grey = cv2.transform(crop, weights[None, :])
    return cv2.merge([grey, grey, grey])


def distant(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Far away: only 30 to 60 pixels of face reached the sensor."""
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
    """Sensor noise, drawn for every pixel and channel; a grey picture stays grey."""
    grey = np.ptp(crop[::8, ::8], axis=2).max() == 0
    shape = (*crop.shape[:2], 1) if grey else crop.shape
    noise = rng.standard_normal(shape, dtype=np.float32) * rng.uniform(3, 14)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def compressed(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through a JPEG encoder of low quality."""
    _, encoded = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 80))])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)  # channel order in is channel order out


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
