"""Resizing pictures, and moving them by the same transform as their labels."""

import cv2
import numpy as np


def warped(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, onto: np.ndarray | None = None
) -> np.ndarray:
    """Apply a similarity transform, (2, 3), to a picture; the result is a (width, height) canvas, black around it.

    onto: a canvas to draw on, in place of a black one.
    The transform is of points in continuous coordinates, in which a pixel's centre is at 0.5, as in all labels;
    warpAffine has the centre at whole numbers. A picture that shrinks to less than half is averaged first, because
    warpAffine interpolates between four pixels only.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    zoom = float(np.hypot(*linear[:, 0]))
    if zoom < 0.5:
        width, height = (max(1, round(side * 2 * zoom)) for side in image.shape[1::-1])
        linear = linear * (image.shape[1] / width, image.shape[0] / height)
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    pixels = np.column_stack([linear, shift + linear @ [0.5, 0.5] - 0.5])
    if onto is None:
        return cv2.warpAffine(image, pixels, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return cv2.warpAffine(image, pixels, size, dst=onto, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT)


def zoom_and_turn(zoom: float, radians: float) -> np.ndarray:
    """The (2, 2) matrix of a zoom and a turn."""
    cosine, sine = zoom * np.cos(radians), zoom * np.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])


def shrunk(image: np.ndarray, px: int) -> np.ndarray:
    """(H, W, C) -> (px, px, C) uint8, each pixel the mean of its area; the image itself if it has that size."""
    if image.shape[0] == px:
        return image
    return cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA).reshape(px, px, image.shape[2])
