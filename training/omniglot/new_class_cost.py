"""The cost of a new class: for a classifier, which is trained again, and for a similarity function, which is not."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge.errors import ExperimentError
from training.embedder.encoder import Encoder
from training.engine.checkpoints import trained_weights
from training.engine.encoder_experiment import EmbedderExperiment
from training.engine.learner import to_network
from training.engine.optimizers import make_optimizers
from training.omniglot.character_set import CharacterSet
from training.omniglot.task import CharacterTask
from training.omniglot.trials import rows_by_character_and_drawer

BATCH, SHARE = 128, 8  # one picture in eight is of the new class: with fewer it is forgotten, with more it dominates
KNOWN_TESTED = 2000


@dataclass(frozen=True)
class NewClassCost:
    """Means over some new classes, each added alone to K known ones. Accuracies are fractions.

    A drawing of the new class is correct where it is the nearest or likeliest of all K + 1 classes. The known classes
    are tested on training drawings, so their accuracy is optimistic, before and after alike.
    """

    known_classes: int
    new_classes: int
    drawings_tested: int
    retraining_steps: int
    classifier_seconds: float
    classifier_new_accuracy: float
    classifier_known_accuracy_before: float
    classifier_known_accuracy_after: float
    similarity_seconds: float
    similarity_new_accuracy: float


@dataclass(frozen=True)
class Side:
    """One side of the comparison: an experiment, and the drawings in its form."""

    experiment: EmbedderExperiment
    data: CharacterSet


def compare(classifier: Side, similarity: Side, runs_dir: Path, new_classes: int, steps: int) -> NewClassCost:
    """Add characters of the held-out alphabets one at a time, each with one drawing, and test their other drawings.

    The similarity function also stores one drawing of each known character: it knows K + 1 vectors.
    Raises ExperimentError where the classifier has no softmax over known characters, or a run is not finished.
    """
    if not classifier.experiment.loss.softmax:
        raise ExperimentError(f"experiment '{classifier.experiment.name}' has no softmax: it is not a classifier")
    encoder = CharacterTask(similarity.experiment).trained_encoder(runs_dir)
    known = np.unique(classifier.data.train.people)
    row_of = {name: row for row, name in reversed(list(enumerate(similarity.data.train.people)))}
    gallery = encoder.encode(np.stack([similarity.data.train.crop(row_of[name]) for name in known]))
    table = rows_by_character_and_drawer(classifier.data.held_out_drawings)  # (C, drawers)
    chosen = table[np.random.default_rng(classifier.experiment.seed).choice(len(table), new_classes, replace=False)]
    retrained, stored = [], []
    for number, (first, *others) in enumerate(chosen):
        images = classifier.data.held_out_drawings.images
        retrained.append(retrain(classifier, runs_dir, images[first], images[others], steps, seed=number))
        images = similarity.data.held_out_drawings.images
        started = time.perf_counter()
        template = encoder.encode(images[[first]])
        seconds = time.perf_counter() - started
        named = nearest(encoder, np.concatenate([gallery, template]), encoder.encode(images[others]))
        stored.append((seconds, float((named == len(gallery)).mean())))
    classifier_seconds, new_accuracy, before, after = np.mean(retrained, axis=0).tolist()
    similarity_seconds, similarity_accuracy = np.mean(stored, axis=0).tolist()
    return NewClassCost(
        known_classes=len(known),
        new_classes=new_classes,
        drawings_tested=new_classes * (table.shape[1] - 1),
        retraining_steps=steps,
        classifier_seconds=classifier_seconds,
        classifier_new_accuracy=new_accuracy,
        classifier_known_accuracy_before=before,
        classifier_known_accuracy_after=after,
        similarity_seconds=similarity_seconds,
        similarity_new_accuracy=similarity_accuracy,
    )


def nearest(encoder: Encoder, gallery: np.ndarray, probes: np.ndarray) -> np.ndarray:
    """(N, D), (P, D) -> (P,) int64, the row of the gallery that is nearest to each probe."""
    return np.array([int(np.argmin(encoder.distance(probe[None], gallery))) for probe in probes])


def retrain(
    classifier: Side, runs_dir: Path, example: np.ndarray, tested: np.ndarray, steps: int, seed: int
) -> tuple[float, float, float, float]:
    """Train the classifier further with one more output; all weights train, at a tenth of the peak rate.

    Known characters stay in every batch, or they would be forgotten.
    Returns the seconds, the accuracy of the new class, and that of the known classes before and after.
    """
    experiment, data = classifier.experiment, classifier.data
    torch.manual_seed(seed)
    learner = CharacterTask(experiment).learner(data)
    learner.load_state_dict(trained_weights(runs_dir / experiment.name, experiment, ""))
    network, head = learner.backbone, learner.loss.softmax
    if head is None:
        raise ExperimentError(f"experiment '{experiment.name}' has no softmax: it is not a classifier")
    rng = np.random.default_rng([experiment.seed, seed])
    numbers = data.person_numbers
    known_rows = rng.choice(len(numbers), min(KNOWN_TESTED, len(numbers)), replace=False)
    known_images = np.stack([data.train.crop(row) for row in known_rows])

    before = float((likeliest(network, head, known_images) == numbers[known_rows]).mean())
    started = time.perf_counter()
    wider = nn.Linear(head.in_features, head.out_features + 1)
    with torch.no_grad():
        wider.weight[:-1], wider.bias[:-1] = head.weight, head.bias
    optimizers = make_optimizers(nn.ModuleList([network, wider]), experiment.optimizer)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] / 10
    network.train()
    for _ in range(steps):
        rows = rng.integers(0, len(numbers), BATCH - BATCH // SHARE)
        pictures = [data.train.crop(row) for row in rows] + [example] * (BATCH // SHARE)
        images = np.stack([data.augment(picture, rng, experiment.data.augmentation_strength) for picture in pictures])
        labels = torch.from_numpy(np.r_[numbers[rows], np.full(BATCH // SHARE, head.out_features)])
        loss = functional.cross_entropy(wider(network(to_network(torch.from_numpy(images)))), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
    network.eval()
    seconds = time.perf_counter() - started
    new = float((likeliest(network, wider, tested) == head.out_features).mean())
    after = float((likeliest(network, wider, known_images) == numbers[known_rows]).mean())
    return seconds, new, before, after


@torch.no_grad()
def likeliest(network: nn.Module, head: nn.Linear, images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N,) int64, the likeliest class of each."""
    network.eval()
    blocks = np.array_split(images, max(1, len(images) // 256))
    return np.concatenate(
        [head(network(to_network(torch.from_numpy(np.array(block))))).argmax(dim=1).numpy() for block in blocks]
    )
