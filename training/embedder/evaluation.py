"""One measurement of a shipped model: always through edge.inference, so that the number is what the device does."""

from dataclasses import asdict, dataclass

import numpy as np
from tqdm import tqdm

from edge.inference.embedder import Embedder
from edge.inference.model_card import Impostors
from training.data.lfw import Pairs
from training.embedder.training_set import TrainingSet
from training.evaluate.calibration import cross_person_distances, impostors
from training.evaluate.pairs import drawn_pairs
from training.evaluate.rounding import rounded
from training.evaluate.verification import Verification, pair_distances, verify_pairs


@dataclass(frozen=True)
class Comparisons:
    """Distances of pairs and their truth, kept for the figures."""

    pairs: Pairs
    embeddings: np.ndarray  # (N, D) float32 of unit length, what the pairs' rows point into
    distances: np.ndarray  # (P,) float32
    result: Verification


@dataclass(frozen=True)
class Evaluation:
    """LFW where there is LFW, the held-out people, and how far apart strangers are."""

    lfw: Comparisons | None
    held_out: Comparisons
    impostors: Impostors
    impostor_distances: np.ndarray

    def numbers(self) -> dict[str, object]:
        """For JSON; fractions, not percent."""
        return {
            "lfw": None if self.lfw is None else rounded(asdict(self.lfw.result)),
            "held_out": rounded(asdict(self.held_out.result)),
        }


def embed_all(embedder: Embedder, images: np.ndarray, what: str) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32 of unit length, one by one as the device does."""
    return np.stack([embedder.embed(np.asarray(image)) for image in tqdm(images, desc=f"embed {what}", unit="crop")])


def evaluate(embedder: Embedder, training_set: TrainingSet, seed: int = 0) -> Evaluation:
    """Measure the model on everything that it did not learn from.

    Raises DataError where fewer than two people were held out.
    """
    held_out = training_set.held_out
    embeddings = embed_all(embedder, held_out.images(), "held-out people")
    distances = cross_person_distances(embeddings, held_out.people)
    strangers = impostors(distances, held_out.people, held_out.teacher)
    pairs = drawn_pairs(held_out.people, seed=seed)
    lfw = None
    if training_set.lfw is not None:
        faces = embed_all(embedder, training_set.lfw.images, "LFW")
        lfw = compared(faces, training_set.lfw.pairs)
    return Evaluation(lfw, compared(embeddings, pairs), strangers, distances)


def compared(embeddings: np.ndarray, pairs: Pairs) -> Comparisons:
    """The pairs' distances and what they say."""
    distances = pair_distances(embeddings, pairs)
    return Comparisons(pairs, embeddings, distances, verify_pairs(distances, pairs))
