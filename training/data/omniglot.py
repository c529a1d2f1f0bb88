"""Omniglot: 1,623 characters of 50 alphabets, each drawn once by 20 people (Lake, Salakhutdinov, Tenenbaum 2015).

The folder has the files of its authors (images_background.zip, images_evaluation.zip, all_runs.zip), or packed drawings
in place of the first two: images.npz (bits, character, drawer) and alphabets.csv.
"""

import csv
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from edge.errors import DataError
from training.data.drawings import Drawings, Prepare
from training.data.packs import read_member

SIDE_PX = 105
RUNS, WAYS = 20, 20  # Lake's 20 runs: 20 drawings, each to be classified among 20 characters
HOW_TO_GET_IT = (
    "from https://github.com/brendenlake/omniglot take python/images_background.zip, python/images_evaluation.zip and "
    "python/one-shot-classification/all_runs.zip, put them into one folder and name it with --data"
)

Half = Literal["background", "evaluation"]


@dataclass(frozen=True)
class LakeRun:
    """One of Lake's runs: classify 20 drawings by one person among the same 20 characters by another.

    training: (20, px, px, 1) uint8, one drawing of each character
    test:     (20, px, px, 1) uint8
    answers:  (20,) int64, for each test drawing the index of its character in training
    """

    training: np.ndarray
    test: np.ndarray
    answers: np.ndarray


def omniglot_folder(data_dir: Path) -> Path:
    """Find Omniglot in data_dir or in data/omniglot below it. Raises DataError that tells how to get it."""
    for folder in (data_dir, data_dir / "data" / "omniglot"):
        if any((folder / name).is_file() for name in ("images.npz", "images_background.zip")):
            return folder
    raise DataError(f"Omniglot is in neither {data_dir} nor {data_dir / 'data' / 'omniglot'}: {HOW_TO_GET_IT}")


def read_drawings(folder: Path, half: Half, prepare: Prepare) -> Drawings:
    """Read the drawings of the 30 background or of the 20 evaluation alphabets.

    Raises DataError that names the missing or invalid file.
    """
    if (folder / "images.npz").is_file():
        return _from_pack(folder, half, prepare)
    return _from_zip(folder / f"images_{half}.zip", prepare)


def _from_pack(folder: Path, half: Half, prepare: Prepare) -> Drawings:
    path = folder / "images.npz"
    alphabet_of = _alphabet_of(folder / "alphabets.csv", half)
    try:
        with np.load(path) as pack:
            bits, numbers, drawers = pack["bits"], pack["character"], pack["drawer"]
        rows = np.flatnonzero([int(number) in alphabet_of for number in numbers])
        ink = np.unpackbits(bits[rows], axis=1)[:, : SIDE_PX**2].reshape(-1, SIDE_PX, SIDE_PX)
        names = [alphabet_of[int(number)] for number in numbers[rows]]
        images = np.stack([prepare(picture) for picture in ink])
        return Drawings(images, np.array(names), drawers[rows].astype(np.int64))
    except (ValueError, OSError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a pack of Omniglot's drawings: {error}") from error


def _alphabet_of(path: Path, half: Half) -> dict[int, str]:
    """Map each character number of one half to "alphabet/character"."""
    if not path.is_file():
        raise DataError(f"{path} is missing: it gives the alphabet of each character of images.npz")
    names: dict[int, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                first, last = int(row["first_character"]), int(row["last_character"])
                alphabet, belongs_to = row["alphabet"], row["set"]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{path} line {reader.line_num}: expected alphabet,first_character,last_character,set"
                ) from error
            if belongs_to == half:
                names |= {number: f"{alphabet}/{number - first + 1:02d}" for number in range(first, last + 1)}
    return names


def _from_zip(path: Path, prepare: Prepare) -> Drawings:
    """Read `images_background/Greek/character07/0400_13.png`: alphabet, character, drawer."""
    images, characters, drawers = [], [], []
    with _opened(path) as archive:
        for name in sorted(archive.namelist()):
            parts = name.split("/")
            if not name.endswith(".png") or len(parts) != 4:
                continue
            drawer = parts[3].removesuffix(".png").rpartition("_")[2]
            if not parts[2].startswith("character") or not drawer.isdigit():
                raise DataError(f"{path}: {name} is not alphabet/characterNN/NNNN_NN.png")
            images.append(_read_png(archive, path, name, prepare))
            characters.append(f"{parts[1]}/{parts[2].removeprefix('character')}")
            drawers.append(int(drawer))
    if not images:
        raise DataError(f"{path} has no drawing of Omniglot")
    return Drawings(np.stack(images), np.array(characters), np.array(drawers))


def read_runs(folder: Path, prepare: Prepare) -> list[LakeRun]:
    """Read Lake's 20 runs of 20-way one-shot classification within an alphabet.

    Raises DataError that names the missing or invalid file.
    """
    path = folder / "all_runs.zip"
    runs = []
    with _opened(path) as archive:
        for number in range(1, RUNS + 1):
            labels = f"run{number:02d}/class_labels.txt"
            pairs = [line.split() for line in read_member(archive, path.stem, labels).decode("ascii").splitlines()]
            if len(pairs) != WAYS or any(len(pair) != 2 for pair in pairs):
                raise DataError(f"{path}: {labels} is not {WAYS} lines of a test and a training drawing")
            classes = sorted({training for _, training in pairs})
            runs.append(
                LakeRun(
                    training=np.stack([_read_png(archive, path, name, prepare) for name in classes]),
                    test=np.stack([_read_png(archive, path, name, prepare) for name, _ in pairs]),
                    answers=np.array([classes.index(training) for _, training in pairs]),
                )
            )
    return runs


def _opened(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise DataError(f"{path} is missing: {HOW_TO_GET_IT}")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise DataError(f"{path} is not a readable zip ({error})") from error


def _read_png(archive: zipfile.ZipFile, path: Path, name: str, prepare: Prepare) -> np.ndarray:
    """Read a drawing, (px, px, 1) uint8; ink is black in the file."""
    picture = cv2.imdecode(np.frombuffer(read_member(archive, path.stem, name), np.uint8), cv2.IMREAD_GRAYSCALE)
    if picture is None:
        raise DataError(f"{path}: {name} is not a readable picture")
    return prepare(picture < 128)
