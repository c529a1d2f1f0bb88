"""Alignment: five landmarks of a face -> the 112x112 crop that the embedder takes; and views of a part of a picture."""

import math

import cv2
import numpy as np

from edge.core.geometry import moved_back, similarity_transform

CROP_PX = 112
AVERAGED_BELOW = 0.5  # of the zoom: warpAffine interpolates between four pixels alone

# Where the left eye, right eye, nose and the left and right corner of the mouth (left as seen in the picture) lie in
# a 112x112 crop: the ArcFace template (Deng et al. 2019), which nearly all face embedders and data sets share.
ARCFACE_TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def align(image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Cut a face out, rotated and scaled so that its landmarks fall on the ArcFace template.

    image: (H, W, 3) uint8 RGB; landmarks: (5, 2) float, x and y in pixels of the image.
    Returns (112, 112, 3) uint8 RGB, black where the face reaches over the picture's border.
    Raises ValueError where the landmarks are not (5, 2), or are all the same point.
    """
    matrix = similarity_transform(landmarks, ARCFACE_TEMPLATE)
    return cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)


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
    zoom = math.hypot(*linear[:, 0])
    if zoom < AVERAGED_BELOW:
        across, down = (max(1, round(2 * zoom * side)) for side in part.shape[1::-1])
        linear = linear * (part.shape[1] / across, part.shape[0] / down)
        part = cv2.resize(part, (across, down), interpolation=cv2.INTER_AREA)
    pixels = np.column_stack([linear, shift + linear @ (0.5, 0.5) - 0.5])  # in which the first one's middle is (0, 0)
    return cv2.warpAffine(part, pixels, (width, height), flags=cv2.INTER_LINEAR)
