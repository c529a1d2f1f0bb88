"""What the shipped match threshold tau lets pass: LFW photographs through own detection, alignment and embedder.

    python -m tests.bench.accuracy [--data ../shared]

Of the 1,200 pairs of folds 1 and 2, half are of one person and half of two. Intervals are exact, of 95 %. A
photograph without a face matches nothing.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge.core.align import align
from edge.inference.detector import Detector
from edge.inference.embedder import LITE, STANDARD, Embedder
from training.data.lfw import LfwPhotos, read_lfw_photos
from training.data.photographs import most_central
from training.evaluate.shares import Share
from training.evaluate.verification import pair_distances


@dataclass(frozen=True)
class Passed:
    """What passes at tau, of pairs of one person and of pairs of two."""

    model: str
    tau: float
    mated: Share
    non_mated: Share


def crops_of(photos: LfwPhotos) -> list[np.ndarray | None]:
    """The aligned face in the middle of each photograph, or None."""
    detector, crops = Detector(), []
    for image in photos.images:
        faces = detector.detect(image)
        face = faces[most_central(np.array([face.box for face in faces]), image.shape[:2])] if faces else None
        crops.append(None if face is None else align(image, face.landmarks))
    return crops


def measure(photos: LfwPhotos, model: Path, crops: list[np.ndarray | None]) -> Passed:
    """At the tau of the default decision.fpir, which is the lowest FMR on the card."""
    embedder = Embedder(model)
    tau = embedder.card.tau(embedder.card.fmr_min)
    nothing = np.full(embedder.card.dimension, np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        distances = pair_distances(
            np.stack([nothing if crop is None else embedder.embed(crop) for crop in crops]), photos.pairs
        )
    passes, same = distances <= tau, photos.pairs.same
    mated, non_mated = (Share(int(passes[kind].sum()), int(kind.sum())) for kind in (same, ~same))
    return Passed(model.stem, tau, mated, non_mated)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
def main(data: Path) -> None:
    photos = read_lfw_photos(data)
    crops = crops_of(photos)
    for model in (STANDARD, LITE):
        found = measure(photos, model, crops)
        print(f"{found.model}, tau {found.tau:.3f}: of {found.mated.trials} pairs of one person {found.mated} match,")
        print(f"    of {found.non_mated.trials} pairs of two people {found.non_mated}")


if __name__ == "__main__":
    main()
