"""Labeled Faces in the Wild and its pairs.txt protocol (Huang et al. 2007). For evaluation, never for training."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from edge.errors import DataError
from training.data.packs import Pack, decode_image, read_member

PHOTO_PX = 250


@dataclass(frozen=True)
class Pairs:
    """Comparisons with the correct answers.

    first, second: (P,) int64 rows into the crops
    same:          (P,) bool
    fold:          (P,) int64, 0..folds-1
    """

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray
    fold: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class LfwPairs:
    """The LFW crops and the standard comparisons of them."""

    pack: Pack
    images: np.ndarray
    pairs: Pairs


def read_pairs(path: Path, names: list[str]) -> Pairs:
    """Parse a pairs.txt: `folds pairs_per_fold`, then the mated and the non-mated lines of each fold.

    names: picture paths, `Name/Name_0001.webp`, in row order.
    Raises DataError that names the file and the line.
    """
    if not path.is_file():
        raise DataError(f"the LFW pairs are missing: no file {path}")
    row_of = {Path(name).stem: row for row, name in enumerate(names)}
    lines = path.read_text(encoding="utf-8").splitlines()
    try:
        folds, per_fold = (int(word) for word in lines[0].split())
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} line 1: expected `folds pairs_per_fold`, got '{(lines or [''])[0][:60]}'") from error
    first, second, same, fold = [], [], [], []
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if not words:
            continue
        if len(words) == 3:
            keys = f"{words[0]}_{words[1]:0>4}", f"{words[0]}_{words[2]:0>4}"
        elif len(words) == 4:
            keys = f"{words[0]}_{words[1]:0>4}", f"{words[2]}_{words[3]:0>4}"
        else:
            raise DataError(f"{path} line {number}: expected 3 or 4 words, got {len(words)}")
        for key in keys:
            if key not in row_of:
                raise DataError(f"{path} line {number}: there is no picture {key}")
        first.append(row_of[keys[0]])
        second.append(row_of[keys[1]])
        same.append(len(words) == 3)
        fold.append((len(first) - 1) // (2 * per_fold))
    if len(first) != folds * per_fold * 2:
        raise DataError(f"{path}: line 1 announces {folds * per_fold * 2} pairs, the file has {len(first)}")
    return Pairs(np.array(first), np.array(second), np.array(same), np.array(fold))


@dataclass(frozen=True)
class Photos(Sequence[np.ndarray]):
    """The photographs of a pack, each (250, 250, 3) uint8 RGB, decoded when it is asked for.

    Raises DataError that names a corrupt photograph, or one of another size.
    """

    pack: Pack
    names: list[str]

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(self.pack.path)

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, which: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, which: slice) -> "Photos": ...

    def __getitem__(self, which: int | slice) -> "np.ndarray | Photos":
        if isinstance(which, slice):
            return Photos(self.pack, self.names[which])
        name = f"{self.pack.name}/{self.names[which]}"
        photo = decode_image(read_member(self._archive, self.pack.name, self.names[which]), name)
        if photo.shape[:2] != (PHOTO_PX, PHOTO_PX):
            height, width = photo.shape[:2]
            raise DataError(f"{name} is {width}x{height} px; LFW photographs are {PHOTO_PX}x{PHOTO_PX} px")
        return photo


@dataclass(frozen=True)
class LfwPhotos:
    """Unaligned LFW photographs and comparisons of them: for detector, alignment and embedder together."""

    names: list[str]
    images: Photos
    pairs: Pairs


def read_lfw_photos(data_dir: Path) -> LfwPhotos:
    """List the photographs of the first two folds. Raises DataError that names the missing or corrupt file."""
    faces = data_dir / "data" / "faces"
    pack = Pack(faces / "lfw_photos.zip", cache_dir=data_dir)  # not cached: 1,583 photographs
    names = [member.filename for member in pack.members()]
    return LfwPhotos(names, Photos(pack, names), read_pairs(faces / "lfw_photos_pairs.txt", names))


def read_lfw(data_dir: Path, cache_dir: Path) -> LfwPairs:
    """Read the crops of the 6,000 standard pairs."""
    faces = data_dir / "data" / "faces"
    pack = Pack(faces / "lfw_crops.zip", cache_dir)
    crops = pack.read()
    return LfwPairs(pack, crops.images, read_pairs(faces / "lfw_pairs.txt", [str(name) for name in crops.names]))
