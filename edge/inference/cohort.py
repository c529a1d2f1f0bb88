"""The cohort that ships beside an embedder: int8 encodings, one row each, as a .npy file."""

from pathlib import Path

import numpy as np

from edge.core.thresholds import Cohort, NormalizedThresholds, OneThreshold, Thresholds
from edge.errors import ModelError
from edge.inference.model_card import EmbedderCard, cohort_path, sha256_of


def read_cohort(model: Path, card: EmbedderCard) -> Cohort | None:
    """The cohort of a model, or None where its card names none.

    Raises ModelError where the file is missing, is of another model, or has another shape.
    """
    if card.normalization is None:
        return None
    path = cohort_path(model)
    if sha256_of(path) != card.normalization.cohort_sha256:
        raise ModelError(f"cohort {path} is not the one that the card of {card.name} names")
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"cohort {path} cannot be read: {error}") from error
    if rows.shape != (card.normalization.encodings, card.dimension) or rows.dtype != np.int8:
        raise ModelError(
            f"cohort {path} has {rows.shape} {rows.dtype}, the card of {card.name} says "
            f"({card.normalization.encodings}, {card.dimension}) int8"
        )
    encodings = rows.astype(np.float32)
    encodings /= np.maximum(np.linalg.norm(encodings, axis=1, keepdims=True), 1.0)
    return Cohort(encodings, card.normalization.nearest)


def thresholds_of(model: Path, card: EmbedderCard) -> Thresholds:
    """The match thresholds of a model: normalised where it has a cohort. Raises ModelError as read_cohort does."""
    cohort, normalization = read_cohort(model, card), card.normalization
    if cohort is None or normalization is None or not normalization.score_at_fmr:
        return OneThreshold(card.tau_within)
    typical = np.array(normalization.typical, dtype=np.float32)
    return NormalizedThresholds(cohort, normalization.score_within, typical)
