"""Still pictures of 12 megapixels, as a phone takes them: one person of 160 px is enrolled, 20 people are found.

    python -m tests.bench.stills [--data ../shared] [--pictures 20]

Each picture is a scene without people (`negatives.zip`, enlarged to 4000x3000, with the noise of a sensor) into which
photographs of LFW are pasted, zoomed so that each face has the wanted width, and is stored as JPEG. One: a face of
160 px anywhere; `limen enroll` runs as a process of its own, and its seconds, start included, and its peak RSS are
those of that process. Group: 20 faces of 60 to 200 px in four rows; what `find_faces` gives is compared with where they
are. The people are those of `footage`. Intervals are exact, of 95 %.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from edge.core.geometry import box_iou
from edge.core.ports import Detector
from edge.core.stills import find_faces
from edge.errors import DataError
from tests.bench.footage import Somebody, cast, cut_out, door, paste
from training.data.packs import Pack
from training.data.scenes import picture_names, read_negatives
from training.evaluate.shares import Share

WIDTH, HEIGHT = 4000, 3000
FACE_PX = 160
GROUP = 20
GROUP_PX = (60, 200)
COLUMNS, ROWS = 5, 4
SAME_PLACE_IOU = 0.3
NOISE = 3.0
# A process begins with the peak of the one that started it, and this one is large.
LAUNCHER = """
import resource, subprocess, sys, time
begun = time.perf_counter()
status = subprocess.run(sys.argv[1:]).returncode
seconds = time.perf_counter() - begun
print(status, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
JPEG_QUALITY = 92


def scenes(data: Path, rng: np.random.Generator, count: int) -> list[np.ndarray]:
    """So many pictures without faces."""
    pack = Pack(data / "data" / "scenes" / "negatives.zip", cache_dir=data)  # read once, nothing is cached
    negatives = read_negatives(pack, picture_names(pack))
    return [negatives[row].image for row in rng.permutation(len(negatives))[:count]]


def enlarged(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3000, 4000, 3) uint8 RGB: a scene as a phone's sensor would see it."""
    picture = cv2.resize(scene, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * NOISE
    return np.asarray(np.clip(picture, 0, 255), dtype=np.uint8)


def put(
    picture: np.ndarray, who: Somebody, width_px: int, cell: tuple[int, int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """Paste somebody into a cell (left, top, width, height) of a picture; returns the box of the face, (4,)."""
    photo, mask = cut_out(who, width_px)
    left, top, wide, high = cell
    x = left + int(rng.integers(0, max(1, wide - photo.shape[1])))
    y = top + int(rng.integers(0, max(1, high - photo.shape[0])))
    paste(picture, photo, mask, x, y)
    return who.face.box * width_px / who.face.width_px + np.array([x, y, x, y])


def enroll(path: Path, gallery: Path) -> tuple[bool, float, float]:
    """Enroll by the command line: whether it did, in how many seconds, and the peak RSS in MB."""
    limen = [sys.executable, "-m", "edge", "--gallery", str(gallery), "enroll", path.stem, str(path)]
    run = subprocess.run([sys.executable, "-c", LAUNCHER, *limen], capture_output=True, text=True, check=True)
    status, seconds, peak_kib = run.stdout.split()[-3:]
    if int(status):
        click.echo(f"{path.name}: {run.stderr.strip()}")
    return int(status) == 0, float(seconds), int(peak_kib) * 1024 / 1e6


@dataclass(frozen=True)
class Enrolled:
    """How pictures of one person each were enrolled: a row for each of them."""

    good: np.ndarray
    seconds: np.ndarray
    peak_mb: np.ndarray


def one_person(folder: Path, people: list[Somebody], places: list[np.ndarray], rng: np.random.Generator) -> Enrolled:
    """Enroll a picture of one person for each place."""
    rows = []
    for number, place in enumerate(places):
        picture = enlarged(place, rng)
        put(picture, people[number % len(people)], FACE_PX, (0, 0, WIDTH, HEIGHT), rng)
        path = folder / f"person{number}.jpg"
        cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        rows.append(enroll(path, folder / f"person{number}.db"))
    return Enrolled(*(np.array(column) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Grouped:
    """What was found in pictures of a group, a row for each: how many of its people, and how many other boxes."""

    found: np.ndarray
    wrong: np.ndarray
    seconds: np.ndarray


def groups(detector: Detector, people: list[Somebody], places: list[np.ndarray], rng: np.random.Generator) -> Grouped:
    """Look for the people of a group picture at each place."""
    rows = []
    wide, high = WIDTH // COLUMNS, HEIGHT // ROWS
    for place in places:
        picture, boxes = enlarged(place, rng), []
        for cell, row in enumerate(rng.permutation(len(people))[:GROUP]):
            corner = wide * (cell % COLUMNS), high * (cell // COLUMNS)
            boxes.append(put(picture, people[row], int(rng.integers(*GROUP_PX)), (*corner, wide, high), rng))
        begun = time.perf_counter()
        faces = find_faces(picture, detector)
        seconds = time.perf_counter() - begun
        near = np.array([box_iou(face.box[None], np.array(boxes))[0] for face in faces]).reshape(-1, GROUP)
        seen = int((near.max(axis=0, initial=0) >= SAME_PLACE_IOU).sum())
        rows.append((seen, len(faces) - seen, seconds))
    return Grouped(*(np.array(column) for column in zip(*rows, strict=True)))


def spread(values: np.ndarray, digits: int) -> str:
    """The median, and the most."""
    return f"median {np.median(values):.{digits}f}, at most {values.max():.{digits}f}"


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--pictures", type=click.IntRange(1), default=20, show_default=True, help="Of each kind.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, pictures: int, seed: int) -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder, door(Path(folder)) as recognizer:
        try:
            people, places = cast(data, recognizer, rng), scenes(data, rng, 2 * pictures)
        except DataError as error:
            click.echo(f"skipped: {error}")
            return
        one = one_person(Path(folder), people, places[:pictures], rng)
        click.echo(f"one face of {FACE_PX} px in {WIDTH}x{HEIGHT}: enrolled {Share(int(one.good.sum()), pictures)}")
        click.echo(f"  seconds: {spread(one.seconds, 2)}; peak RSS, MB: {spread(one.peak_mb, 0)}")
        group = groups(recognizer.detector, people, places[pictures:], rng)
        whole = int(((group.found == GROUP) & (group.wrong == 0)).sum())
        found = Share(int(group.found.sum()), GROUP * pictures)
        click.echo(
            f"{GROUP} faces of {GROUP_PX[0]} to {GROUP_PX[1]} px: found {found}, {group.wrong.sum()} other boxes"
        )
        click.echo(f"  exactly {GROUP} in {whole} of {pictures} pictures; seconds: {spread(group.seconds, 2)}")


if __name__ == "__main__":
    main()
