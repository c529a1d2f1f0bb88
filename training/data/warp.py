"""Moving pictures and their labels by the same transform."""

import cv2
import numpy as np


def warped(
    image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], *, onto: np.ndarray | None = None
) -> np.ndarray:
    """The picture after a similarity transform, (2, 3), in a (width, height) canvas, black around; or drawn onto one.

    The transform is of points in continuous coordinates, in which a pixel's middle lies at a half, as all labels are;
    warpAffine's lies at whole numbers. What shrinks to less than half is averaged first, as warpAffine looks at four
    pixels alone.
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
    """(2, 2)."""
    cosine, sine = zoom * np.cos(radians), zoom * np.sin(radians)
    return np.array([[cosine, -sine], [sine, cosine]])
