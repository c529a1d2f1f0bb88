"""What the closer look at a face is worth: LFW photographs matched with the landmarks of one detection, and of it.

    python -m tests.bench.closer [--data ../shared]

Every two of the 1,583 photographs of folds 1 and 2, as they are and small in a frame of 640x480; at the tau of a
household of five and the default decision.fpir. Of the pairs of one person each person counts once: the share is the
mean of the people's shares, and the standard error is between people.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np

from edge.config import DecisionConfig
from edge.core.align import CROP_PX, align
from edge.core.closer import look_closer
from edge.core.rates import fmr_of
from edge.inference.cohort import thresholds_of
from edge.inference.detector import Detector
from edge.inference.embedder import LITE, STANDARD, Embedder
from tests.bench.accuracy import PEOPLE
from training.data.lfw import read_lfw_photos
from training.data.photographs import most_central

SCORE_MIN = 0.5  # of the detector, at which a track goes on
SIZES_PX = (None, 200, 125)  # of the photograph in the frame; None: it is the picture


@dataclass(frozen=True)
class Crops:
    """The face in the middle of each photograph, aligned by one detection and by the closer look.

    once, closer: (N, 112, 112, 3) uint8 RGB, black where there is no face; found: (N,) bool; face_px: the median
    """

    once: np.ndarray
    closer: np.ndarray
    found: np.ndarray
    face_px: float


def crops_of(images: np.ndarray, px: int | None) -> Crops:
    """Of photographs, (N, 250, 250, 3) uint8 RGB, each shown px wide in a black frame."""
    detector, sizes = Detector(), []
    crops = np.zeros((2, len(images), CROP_PX, CROP_PX, 3), np.uint8)
    found = np.zeros(len(images), dtype=bool)
    for row, photograph in enumerate(images):
        picture = photograph if px is None else framed(photograph, px)
        faces = detector.detect(picture, SCORE_MIN)
        if not faces:
            continue
        face = faces[most_central(np.array([face.box for face in faces]), picture.shape[:2])]
        crops[0, row] = align(picture, face.landmarks)
        crops[1, row] = align(picture, look_closer(picture, face, detector).landmarks)
        found[row] = True
        sizes.append(face.size_px)
    return Crops(crops[0], crops[1], found, float(np.median(sizes)))


def framed(photograph: np.ndarray, px: int) -> np.ndarray:
    """The photograph, px wide, in the middle of 640x480."""
    frame, top, left = np.zeros((480, 640, 3), np.uint8), (480 - px) // 2, (640 - px) // 2
    frame[top : top + px, left : left + px] = cv2.resize(photograph, (px, px), interpolation=cv2.INTER_AREA)
    return frame


def passes(crops: np.ndarray, model: Path, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(P,) bool: which pairs of crops are within tau."""
    embedder = Embedder(model)
    thresholds = thresholds_of(model, embedder.card)
    embeddings = np.stack([embedder.embed(crop) for crop in crops])
    around = thresholds.neighbourhoods(embeddings)
    taus = thresholds.taus(fmr_of(DecisionConfig().fpir, PEOPLE), around[first], around[second])
    within: np.ndarray = (2 - 2 * embeddings @ embeddings.T)[first, second] <= taus
    return within


def by_person(within: np.ndarray, person: np.ndarray) -> np.ndarray:
    """(M,) bool, (M,) numbers of people -> the share of each person."""
    return np.bincount(person, within.astype(float)) / np.bincount(person)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
def main(data: Path) -> None:
    photos = read_lfw_photos(data)
    who = np.array([Path(name).parent.name for name in photos.names])
    for px in SIZES_PX:
        crops = crops_of(photos.images, px)
        first, second = np.triu_indices(len(who), 1)
        both = crops.found[first] & crops.found[second]
        first, second = first[both], second[both]
        same = who[first] == who[second]
        _, person = np.unique(who[first[same]], return_inverse=True)
        print(f"faces of {crops.face_px:.0f} px: {same.sum():,} pairs of one person, {(~same).sum():,} of two")
        for model in (STANDARD, LITE):
            once, closer = (passes(some, model, first, second) for some in (crops.once, crops.closer))
            shares = by_person(once[same], person), by_person(closer[same], person)
            change = shares[1] - shares[0]
            error = change.std(ddof=1) / np.sqrt(len(change))
            print(
                f"    {model.stem}: {100 * shares[0].mean():.1f} -> {100 * shares[1].mean():.1f} % "
                f"({100 * change.mean():+.1f}, standard error {100 * error:.1f}, of {len(change)} people); "
                f"of two {once[~same].sum()} -> {closer[~same].sum()} pairs"
            )


if __name__ == "__main__":
    main()
