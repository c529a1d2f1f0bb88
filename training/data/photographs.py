"""Whole photographs of LFW with the face that each is about. For evaluation, never for training."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.data.face_labels import faces_of
from training.data.faces import BOX, FACE_SCORE_MIN, SCORE
from training.data.lfw import PHOTO_PX, Pairs, Photos, read_lfw_photos
from training.data.packs import Pack, decode_crop, read_member
from training.data.places import Places
from training.data.yunet import YuNet


@dataclass(frozen=True)
class Photographs:
    """Photographs, comparisons of them, and the ready-made crops of the same photographs.

    images: N photographs
    faces:  for each the (15,) face nearest to the centre among those the teacher is sure of, or None
    crops:  (N, 112, 112, 3) uint8 RGB
    """

    images: Photos
    faces: list[np.ndarray | None]
    crops: np.ndarray
    pairs: Pairs


def read_photographs(places: Places, teacher: YuNet) -> Photographs:
    """Read the photographs of LFW's first two folds. Raises DataError that names the missing or corrupt file."""
    photos = read_lfw_photos(places.data_dir)
    pack = Pack(places.data_dir / "data" / "faces" / "lfw_photos.zip", places.cache_dir)
    found = faces_of(
        photographs_key(pack, teacher),
        (teacher.detect_surely(image) for image in photos.images),
        len(photos.images),
        f"label {pack.name} with {teacher.name}",
        places.cache_dir,
    )
    sure = [faces[faces[:, SCORE] >= FACE_SCORE_MIN] for faces in found]
    central = [faces[most_central(faces[:, BOX], (PHOTO_PX, PHOTO_PX))] if len(faces) else None for faces in sure]
    ready = places.pack("lfw_crops")
    with zipfile.ZipFile(ready.path) as archive:
        crops = [
            decode_crop(read_member(archive, ready.name, name), f"{ready.name}/{name}")
            for name in (str(Path(name).with_suffix(".webp")) for name in photos.names)
        ]
    return Photographs(photos.images, central, np.stack(crops), photos.pairs)


def photographs_key(pack: Pack, teacher: YuNet) -> str:
    """The key of the labels of the photographs, see training.data.face_labels."""
    return f"{pack.name}-{pack.digest()}-{teacher.key}"


def most_central(boxes: np.ndarray, shape: tuple[int, int]) -> int:
    """The row of the box, of (F, 4) with F >= 1, whose centre is nearest to that of a picture of (height, width)."""
    middle = (boxes[:, 0:2] + boxes[:, 2:4]) / 2 - np.array(shape[::-1]) / 2
    return int(np.hypot(*middle.T).argmin())
