"""A user's own data set: `folder/<person>/*.jpg`, aligned by landmarks that the user gives."""

import csv
from pathlib import Path

import numpy as np

from edge.core.align import ARCFACE_TEMPLATE, CROP_PX, align
from edge.core.geometry import similarity_transform
from edge.core.views import zoom_of
from edge.errors import DataError
from training.data.crops import Crops
from training.data.packs import decode_image

LANDMARKS = "landmarks.csv"
COLUMNS = ("file", "x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "x5", "y5")
ENLARGED_MAX = 4.5  # a crop of 25 px; of fewer it shows nothing, or landmarks are shares of the picture
OUTSIDE = 0.25  # how far a landmark may be outside, in shares of the picture: of a face at its border
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def read_folder(folder: Path) -> Crops:
    """Read every picture of `folder/<person>/` as an aligned crop of that person.

    A picture of 112x112 px counts as aligned. Any other needs a line in `folder/landmarks.csv`: its path in the folder,
    then x and y in pixels of both eyes, the nose and both corners of the mouth, left to right as seen.
    Raises DataError that names the folder or the picture.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files = sorted(path for path in folder.glob("*/*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(
            f"folder {folder} is empty: expected pictures in {folder}/<person>/ ({', '.join(sorted(SUFFIXES))})"
        )
    landmarks = read_landmarks(folder / LANDMARKS)
    crops, people, names = [], [], []
    for path in files:
        name = named(path.relative_to(folder).as_posix(), path)
        image = read_picture(path)
        if image.shape[:2] != (CROP_PX, CROP_PX):
            if name not in landmarks:
                raise DataError(
                    f"{path} is {image.shape[1]}x{image.shape[0]} px, so not an aligned {CROP_PX}x{CROP_PX} crop, "
                    f"and {folder / LANDMARKS} has no line for {name}"
                )
            try:
                image = align(image, checked(landmarks[name], image))
            except ValueError as error:
                raise DataError(f"{folder / LANDMARKS}: the landmarks of {name} are invalid: {error}") from error
        crops.append(image)
        people.append(path.parent.name)
        names.append(name)
    return Crops(np.stack(crops), np.array(people), np.array(names))


def checked(landmarks: np.ndarray, image: np.ndarray) -> np.ndarray:
    """(5, 2) as they are. Raises ValueError where they can be of no face in the picture (H, W, 3)."""
    size = np.array(image.shape[1::-1])
    left, right, _, mouth_left, mouth_right = landmarks
    if (np.abs(landmarks / size - 0.5) > 0.5 + OUTSIDE).any():
        raise ValueError(f"expected pixels of a picture of {size[0]}x{size[1]} px, got {points_in_words(landmarks)}")
    enlarged = zoom_of(similarity_transform(landmarks, ARCFACE_TEMPLATE))
    if enlarged > ENLARGED_MAX:
        raise ValueError(
            f"the crop has {CROP_PX / enlarged:.1f} px, expected {CROP_PX / ENLARGED_MAX:.0f} or more: landmarks are "
            "in pixels of the picture"
        )
    if right[0] < left[0] and mouth_right[0] < mouth_left[0]:
        raise ValueError("left and right are swapped: expected left to right as seen in an upright picture")
    return landmarks


def points_in_words(points: np.ndarray) -> str:
    """'(x, y), (x, y)'."""
    return ", ".join(f"({x:g}, {y:g})" for x, y in points)


def named(name: str, path: Path) -> str:
    """The name as it is. Raises DataError where it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the name of {str(path)!a} is not UTF-8: give it another") from error
    return name


def read_picture(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Raises DataError that names the file."""
    try:
        return decode_image(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def read_landmarks(path: Path) -> dict[str, np.ndarray]:
    """Read `file,x1,y1,...,x5,y5` -> (5, 2) float64 by file; without landmarks.csv the result is empty.

    Raises DataError that names the file and the line.
    """
    if not path.is_file():
        return {}
    points: dict[str, np.ndarray] = {}
    try:
        text = path.read_text(encoding="utf-8-sig")  # Excel begins with a byte order mark
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text") from error
    reader = csv.DictReader(text.splitlines())
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise DataError(f"{path} line 1: expected the columns {','.join(COLUMNS)}")
    for row in reader:
        try:
            numbers = np.array([float(row[column]) for column in COLUMNS[1:]])
        except (TypeError, ValueError):
            numbers = np.array([np.nan])
        if not np.isfinite(numbers).all():
            raise DataError(f"{path} line {reader.line_num}: expected ten numbers after the file name")
        points[row["file"]] = numbers.reshape(5, 2)
    return points
