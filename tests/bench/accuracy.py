"""What the shipped match thresholds let pass: LFW photographs through own detection, alignment and embedder.

    python -m tests.bench.accuracy [--data ../shared] [--fpir 1e-4]

Of the 1,200 pairs of folds 1 and 2, half are of one person and half of two. Intervals are exact, of 95 %. A
photograph without a face matches nothing. tau is that of a household of five at the default decision.fpir.
"""

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge.config import DecisionConfig
from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.rates import fmr_of
from edge.inference.cohort import thresholds_of
from edge.inference.detector import Detector
from edge.inference.embedder import LITE, STANDARD, Embedder
from training.data.lfw import LfwPhotos, read_lfw_photos
from training.detector.pipeline import central_face
from training.evaluate.shares import Share
from training.evaluate.verification import pair_distances, ten_fold_accuracy

PEOPLE = 5


@dataclass(frozen=True)
class Passed:
    """What passes, of pairs of one person and of pairs of two.

    tau:      of an ordinary comparison
    accuracy: of all pairs with the best one threshold, by the ten-fold protocol; the detector's card has it too
    """

    model: str
    tau: float
    accuracy: float
    mated: Share
    non_mated: Share


def crops_of(photos: LfwPhotos) -> list[np.ndarray | None]:
    """The aligned face in the middle of each photograph, or None."""
    detector, crops = Detector(), []
    for image in photos.images:
        face = central_face(detector, image)
        crops.append(None if face is None else align(image, look_closer(image, face, detector).landmarks))
    return crops


def measure(
    photos: LfwPhotos, model: Path, crops: list[np.ndarray | None], fpir: float = DecisionConfig.fpir
) -> Passed:
    """At the FMR that follows from decision.fpir with PEOPLE enrolled."""
    embedder, pairs = Embedder(model), photos.pairs
    thresholds, fmr = thresholds_of(model, embedder.card), fmr_of(fpir, PEOPLE)
    found = np.array([crop is not None for crop in crops])
    nothing = np.zeros(embedder.card.dimension, np.float32)
    embeddings = np.stack([nothing if crop is None else embedder.embed(crop) for crop in crops])
    around = thresholds.neighbourhoods(embeddings)
    distances = pair_distances(embeddings, pairs)
    both = found[pairs.first] & found[pairs.second]
    distances[~both] = 4.0  # the largest there is
    passes = both & (distances <= thresholds.taus(fmr, around[pairs.first], around[pairs.second]))
    mated, non_mated = (Share(int(passes[kind].sum()), int(kind.sum())) for kind in (pairs.same, ~pairs.same))
    return Passed(model.stem, thresholds.nominal(fmr), ten_fold_accuracy(distances, pairs)[0], mated, non_mated)


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--fpir", default=DecisionConfig.fpir, show_default=True, help="How often a stranger may be named.")
def main(data: Path, fpir: float) -> None:
    photos = read_lfw_photos(data)
    crops = crops_of(photos)
    for model in (STANDARD, LITE):
        found = measure(photos, model, crops, fpir)
        print(f"{found.model}, tau {found.tau:.3f}: of {found.mated.trials} pairs of one person {found.mated} match,")
        print(f"    of {found.non_mated.trials} pairs of two people {found.non_mated}; accuracy {found.accuracy:.2%}")


if __name__ == "__main__":
    main()
