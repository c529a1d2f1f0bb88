"""What somebody new costs a classifier, and what it costs a similarity function: the argument of the whole project."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edge.errors import ExperimentError
from training.embedder.task import EmbedderTask
from training.engine.experiment import EmbedderExperiment
from training.engine.learner import EmbeddingLearner, to_network
from training.engine.trainer import make_optimizer, trained_weights
from training.omniglot.character_set import CharacterSet
from training.omniglot.one_shot import Encoder
from training.omniglot.trials import rows_by_character_and_drawer

BATCH, SHARE = 128, 8  # one picture in eight is the newcomer's: fewer are forgotten, more drown the others
KNOWN_ASKED = 2000


@dataclass(frozen=True)
class Newcomer:
    """Means over some newcomers, each the one more that K known characters get. Fractions and seconds.

    A newcomer is right where it is named among all K + 1. Those known are asked about drawings that were learned from,
    so their share is flattering, before and after alike.
    """

    known: int
    newcomers: int
    drawings_asked: int
    retraining_steps: int
    classifier_seconds: float
    classifier_newcomer: float
    classifier_known_before: float
    classifier_known_after: float
    siamese_seconds: float
    siamese_newcomer: float


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: its experiment, and the drawings as it takes them."""

    experiment: EmbedderExperiment
    data: CharacterSet


def compare(classifier: Side, siamese: Side, runs_dir: Path, newcomers: int, steps: int) -> Newcomer:
    """Let characters of the held-out alphabets come one at a time, each with one drawing; all others are then asked.

    The similarity function stores one drawing of each known character too: K + 1 vectors are all it knows of them.
    Raises ExperimentError where the classifier has no softmax over known characters, or either is not finished.
    """
    if not classifier.experiment.loss.softmax:
        raise ExperimentError(f"experiment '{classifier.experiment.name}' learns no softmax: it is no classifier")
    encoder = EmbedderTask(siamese.experiment).trained_encoder(runs_dir)
    known = np.unique(classifier.data.train.people)
    row_of = {name: row for row, name in reversed(list(enumerate(siamese.data.train.people)))}
    gallery = encoder.encode(np.stack([siamese.data.train.crop(row_of[name]) for name in known]))
    table = rows_by_character_and_drawer(classifier.data.held_out_drawings)  # (C, drawers)
    chosen = table[np.random.default_rng(classifier.experiment.seed).choice(len(table), newcomers, replace=False)]
    retrained, stored = [], []
    for newcomer, (first, *others) in enumerate(chosen):
        images = classifier.data.held_out_drawings.images
        retrained.append(retrain(classifier, runs_dir, images[first], images[others], steps, seed=newcomer))
        images = siamese.data.held_out_drawings.images
        started = time.perf_counter()
        template = encoder.encode(images[[first]])
        seconds = time.perf_counter() - started
        named = nearest(encoder, np.concatenate([gallery, template]), encoder.encode(images[others]))
        stored.append((seconds, float((named == len(gallery)).mean())))
    seconds, right, before, after = np.mean(retrained, axis=0).tolist()
    stored_seconds, stored_right = np.mean(stored, axis=0).tolist()
    return Newcomer(
        known=len(known),
        newcomers=newcomers,
        drawings_asked=newcomers * (table.shape[1] - 1),
        retraining_steps=steps,
        classifier_seconds=seconds,
        classifier_newcomer=right,
        classifier_known_before=before,
        classifier_known_after=after,
        siamese_seconds=stored_seconds,
        siamese_newcomer=stored_right,
    )


def nearest(encoder: Encoder, gallery: np.ndarray, probes: np.ndarray) -> np.ndarray:
    """(N, D), (P, D) -> (P,) the row of the gallery that is nearest to each probe."""
    return np.array([int(np.argmin(encoder.distance(probe[None], gallery))) for probe in probes])


def retrain(
    classifier: Side, runs_dir: Path, example: np.ndarray, asked: np.ndarray, steps: int, seed: int
) -> tuple[float, float, float, float]:
    """Go on learning with one output more; answers seconds, the newcomer's share right, and the known's before, after.

    All weights learn on, at a tenth of the peak rate; known characters stay in every batch, or they would be forgotten.
    """
    experiment, data = classifier.experiment, classifier.data
    task = EmbedderTask(experiment)
    torch.manual_seed(seed)
    learner: EmbeddingLearner = task.learner(data)
    learner.load_state_dict(trained_weights(runs_dir / experiment.name, experiment, ""))
    network, head = learner.backbone, learner.loss.softmax
    rng = np.random.default_rng([experiment.seed, seed])
    numbers = data.person_numbers
    known_rows = rng.choice(len(numbers), min(KNOWN_ASKED, len(numbers)), replace=False)
    known_images = np.stack([data.train.crop(row) for row in known_rows])

    before = float((named(network, head, known_images) == numbers[known_rows]).mean())
    started = time.perf_counter()
    wider = nn.Linear(head.in_features, head.out_features + 1)
    with torch.no_grad():
        wider.weight[:-1], wider.bias[:-1] = head.weight, head.bias
    optimizer = make_optimizer(nn.ModuleList([network, wider]), experiment.optimizer)
    for group in optimizer.param_groups:
        group["lr"] = experiment.optimizer.peak_learning_rate / 10
    network.train()
    for _ in range(steps):
        rows = rng.integers(0, len(numbers), BATCH - BATCH // SHARE)
        pictures = [data.train.crop(row) for row in rows] + [example] * (BATCH // SHARE)
        images = np.stack([data.seen(picture, rng, experiment.data.augmentation_strength) for picture in pictures])
        who = np.r_[numbers[rows], np.full(BATCH // SHARE, head.out_features)]
        loss = functional.cross_entropy(wider(network(to_network(torch.from_numpy(images)))), torch.from_numpy(who))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    network.eval()
    seconds = time.perf_counter() - started
    right = float((named(network, wider, asked) == head.out_features).mean())
    after = float((named(network, wider, known_images) == numbers[known_rows]).mean())
    return seconds, right, before, after


@torch.no_grad()
def named(network: nn.Module, head: nn.Linear, images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N,) int64, the likeliest class of each."""
    network.eval()
    blocks = np.array_split(images, max(1, len(images) // 256))
    return np.concatenate(
        [head(network(to_network(torch.from_numpy(np.array(block))))).argmax(dim=1).numpy() for block in blocks]
    )
