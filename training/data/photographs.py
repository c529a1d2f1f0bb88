"""Whole photographs of LFW with the face that each is about: for measuring, never for learning."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.faces import BOX, FACE_SCORE_MIN, SCORE
from training.data.lfw import Pairs, read_lfw_photos
from training.data.packs import Pack, decode_crop, read_member
from training.data.scenes import LABELS, cached_faces
from training.data.yunet import YuNet
from training.embedder.training_set import Places


@dataclass(frozen=True)
class Photographs:
    """Photographs, comparisons on them, and the same people as somebody else aligned them.

    images: (N, 250, 250, 3) uint8 RGB
    faces:  of each the (15,) face nearest to the middle that the teacher is sure of, or None
    crops:  (N, 112, 112, 3) uint8 RGB, ready-made
    """

    images: np.ndarray
    faces: list[np.ndarray | None]
    crops: np.ndarray
    pairs: Pairs


def read_photographs(places: Places, teacher: YuNet) -> Photographs:
    """The photographs of LFW's first two folds. Raises DataError that names what is missing or corrupt."""
    photos = read_lfw_photos(places.data_dir)
    pack = Pack(places.data_dir / "data" / "faces" / "lfw_photos.zip", places.cache_dir)
    found = cached_faces(
        places.cache_dir / LABELS / f"{pack.name}-{pack.digest()}-{teacher.name}-{teacher.px}.npy",
        (teacher.detect_surely(image) for image in photos.images),
        len(photos.images),
        f"ask {teacher.name} about {pack.name}",
    )
    sure = [faces[faces[:, SCORE] >= FACE_SCORE_MIN] for faces in found]
    central = [
        faces[most_central(faces[:, BOX], image.shape[:2])] if len(faces) else None
        for faces, image in zip(sure, photos.images, strict=True)
    ]
    ready = places.pack("lfw_crops")
    with zipfile.ZipFile(ready.path) as archive:
        crops = [
            decode_crop(read_member(archive, ready.name, name), f"{ready.name}/{name}")
            for name in (str(Path(name).with_suffix(".webp")) for name in photos.names)
        ]
    return Photographs(photos.images, central, np.stack(crops), photos.pairs)


def most_central(boxes: np.ndarray, shape: tuple[int, int]) -> int:
    """Of (F, 4) boxes, F >= 1, the row of the one whose middle is nearest to that of a picture of (height, width)."""
    middle = (boxes[:, 0:2] + boxes[:, 2:4]) / 2 - np.array(shape[::-1]) / 2
    return int(np.hypot(*middle.T).argmin())
