"""Float against int8: what quantization cost, in cosines and in LFW points."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from training.data.training_set import TrainingSet
from training.embedding import embed_float
from training.evaluate.evaluation import Evaluation, compared


@dataclass(frozen=True)
class Parity:
    """Cosines between the float and the int8 encoding of the same crop, and accuracy of both on pairs (fractions)."""

    measured_on: str
    crops: int
    cosine_mean: float
    cosine_percentile_1: float
    cosine_min: float
    accuracy_float: float
    accuracy_int8: float


def parity(backbone: nn.Module, shipped: Evaluation, training_set: TrainingSet) -> Parity:
    """Compare on LFW where there is LFW, else on the held-out people: never on calibration crops."""
    lfw = training_set.lfw
    images = training_set.held_out.images() if lfw is None else lfw.images
    int8 = shipped.held_out if shipped.lfw is None else shipped.lfw
    as_trained = embed_float(backbone, images)
    cosines = (as_trained * int8.embeddings).sum(axis=1)
    return Parity(
        measured_on="held-out people" if lfw is None else "LFW",
        crops=len(cosines),
        cosine_mean=float(cosines.mean()),
        cosine_percentile_1=float(np.percentile(cosines, 1)),
        cosine_min=float(cosines.min()),
        accuracy_float=compared(as_trained, int8.pairs).result.accuracy,
        accuracy_int8=int8.result.accuracy,
    )
