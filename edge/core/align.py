"""Alignment: five landmarks of a face -> the 112x112 crop that the embedder takes."""

import cv2
import numpy as np

from edge.core.geometry import similarity_transform
from edge.core.views import HALVED_BELOW, view, zoom_of

CROP_PX = 112

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
    if zoom_of(matrix) < HALVED_BELOW:
        linear, shift = matrix[:, :2], matrix[:, 2]
        return view(image, np.column_stack([linear, shift + 0.5 - linear @ (0.5, 0.5)]), CROP_PX, CROP_PX)
    return cv2.warpAffine(image, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
