"""How clear a face the model sees: the length of its output, and what that is worth as a quality."""

from dataclasses import dataclass

import numpy as np

from edge.inference.embedder import Embedder
from edge.inference.model_card import Clarity
from training.data.augment import door_camera
from training.embedder.encoder import outputs_on_device
from training.embedder.training_set import TrainingSet

# Of the held-out crops as a door sees them. Looked at with the embedder of 2.0 million crops, at FMR 1e-4: below the
# third percentile 2 % of the comparisons with the same person pass, between it and the tenth 23 %, of all about half.
SHARE_BELOW = 0.03
STRENGTH = 0.4  # of the degradations, as in training
DISCARDED = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True)
class ErrorAfterDiscard:
    """The share of mated pairs that do not pass, after the least clear pairs were left out.

    The error-versus-discard characteristic of ISO/IEC 29794-1 at one point; a pair is as clear as its less clear crop.
    fnmr_best: what a quality would reach that leaves out first what does not pass
    """

    discarded: float
    pairs: int
    fnmr: float
    fnmr_best: float


def measured_clarity(embedder: Embedder, training_set: TrainingSet, seed: int = 0) -> Clarity | None:
    """The length below which SHARE_BELOW of the held-out crops lie, as a door sees them; None of other than faces."""
    if not training_set.of_faces:
        return None
    rng, held_out = np.random.default_rng(seed), training_set.held_out
    crops = np.stack([door_camera(held_out.crop(row), rng, STRENGTH) for row in range(len(held_out))])
    lengths = np.linalg.norm(outputs_on_device(embedder, crops, "held-out people at a door"), axis=1)
    return Clarity(len(crops), SHARE_BELOW, round(float(np.quantile(lengths, SHARE_BELOW)), 3))


def errors_after_discard(lengths: np.ndarray, passed: np.ndarray) -> list[ErrorAfterDiscard]:
    """The characteristic of mated pairs; lengths: (P,), of the less clear crop of each, passed: (P,) bool."""
    by_clarity = passed[np.argsort(lengths, kind="stable")]
    failed, results = int((~passed).sum()), []
    for share in DISCARDED:
        first = int(share * len(passed))
        kept = by_clarity[first:]
        results.append(ErrorAfterDiscard(share, len(kept), float(1 - kept.mean()), max(0, failed - first) / len(kept)))
    return results
