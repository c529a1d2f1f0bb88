"""Parts of a picture at another size, turned or mirrored, by what OpenCV does fastest."""

import math

import cv2
import numpy as np

from edge.core.geometry import moved_back

HALVED_BELOW = 0.5  # of the zoom: warpAffine interpolates between four pixels alone


def view(image: np.ndarray, matrix: np.ndarray, width: int, height: int) -> np.ndarray:
    """Show a part of a picture, zoomed, turned or mirrored.

    image: (H, W, 3) uint8; matrix: (2, 3), a similarity, also with reflection, from points of the picture to points of
    the view, in coordinates in which a box has its borders: the middle of the first pixel is (0.5, 0.5).
    Returns (height, width, 3) uint8, black where the view reaches over the picture's border.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    corners = moved_back(np.array([[0, 0], [width, 0], [0, height], [width, height]]), matrix)
    low, high = np.floor(corners.min(axis=0)).astype(int) - 1, np.ceil(corners.max(axis=0)).astype(int) + 1
    (left, top), (right, bottom) = np.maximum(low, 0), np.minimum(high, image.shape[1::-1])
    part = image[top:bottom, left:right]
    if not part.size:
        return np.zeros((height, width, 3), dtype=np.uint8)
    shift = shift + linear @ (left, top)
    while zoom_of(linear) < HALVED_BELOW and min(part.shape[:2]) > 1:
        part, linear = halved(part), linear * 2
    pixels = np.column_stack([linear, shift + linear @ (0.5, 0.5) - 0.5])  # in which the first one's middle is (0, 0)
    return cv2.warpAffine(part, pixels, (width, height), flags=cv2.INTER_LINEAR)


def zoom_of(matrix: np.ndarray) -> float:
    """By how much a similarity, (2, 2) or (2, 3), enlarges."""
    return math.hypot(*matrix[:, 0])


def halved(image: np.ndarray) -> np.ndarray:
    """Shrink a picture by two, each pixel the mean of four, the last ones with black where a side is odd.

    image: (H, W, 3) uint8 -> (ceil(H / 2), ceil(W / 2), 3). An exact half is what OpenCV averages by far the fastest.
    """
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT)
    return cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)


def every_nth(image: np.ndarray, skip: int) -> np.ndarray:
    """Every skip-th pixel, from the middle of the first skip ones on: a slice of that step takes four times as long.

    image: (H, W, 3) uint8 -> (H // skip, W // skip, 3)
    """
    height, width = (side // skip for side in image.shape[:2])
    if skip == 1:
        return image
    whole = image[: height * skip, : width * skip]
    return cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)


def mirrored(image: np.ndarray) -> np.ndarray:
    """The mirror image of (H, W, 3) uint8; with a slice of negative step the copy takes ten times as long."""
    return cv2.flip(image, 1)
