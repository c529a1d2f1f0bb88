"""The cohort of an embedder: encodings of people who do not exist.

They are drawn from normal distributions, one for each group of training crops: each pack, children, degraded crops, and
crops turned by a quarter, a half and three quarters. So the encodings that such pictures share have near neighbours.

Compared on held-out people, All-Age-Faces and LFW: encodings of training crops themselves pass 1 to 2 % more pairs of
LFW at one rate within LFW, centroids of them about 3 % fewer, and both are farther from the same rate on LFW.
"""

from pathlib import Path

import numpy as np

from edge.inference.embedder import Embedder
from edge.inference.model_card import Normalization, cohort_path, sha256_of
from training.data.ages import PACK, is_of_a_child
from training.data.augment import door_camera
from training.data.conditions import turned_by
from training.data.teacher import unit_length
from training.embedder.encoder import encode_on_device
from training.embedder.training_set import Rows
from training.engine.encoder_experiment import EncoderExperiment

ENCODINGS, NEAREST = 4000, 300
GROUP_CROPS = 3000  # at most, to estimate a group's mean and covariance
GROUP_CROPS_MIN = 500  # fewer do not determine a covariance


def write_cohort(embedder: Embedder, model: Path, train: Rows, experiment: EncoderExperiment) -> Normalization | None:
    """Write the cohort beside the model; None where there are too few training crops for one.

    What it says of the scores between strangers is empty: the evaluation measures that.
    """
    rng = np.random.default_rng(experiment.seed)
    groups = _groups(embedder, train, experiment, rng)
    if not groups:
        return None
    drawn = np.concatenate([_drawn(group, -(-ENCODINGS // len(groups)), rng) for group in groups])[:ENCODINGS]
    path = cohort_path(model)
    np.save(path, np.round(127 / np.abs(drawn).max(axis=1, keepdims=True) * drawn).astype(np.int8))
    return Normalization(sha256_of(path), len(drawn), NEAREST, (0.0, 1.0), {})


def _drawn(encodings: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(N, D) -> (count, D) float32 of unit length, from the normal distribution of the group."""
    rows = rng.multivariate_normal(encodings.mean(axis=0), np.cov(encodings.T), count)
    return unit_length(rows.astype(np.float32))


def _groups(
    embedder: Embedder, train: Rows, experiment: EncoderExperiment, rng: np.random.Generator
) -> list[np.ndarray]:
    """The encodings of each group, (N, D); none of a group with too few crops."""
    sources, packs = train.where[:, 0], experiment.data.packs
    groups = [np.flatnonzero(sources == source) for source in np.unique(sources)]
    if PACK in packs:
        of_pack = sources == packs.index(PACK)
        groups.append(np.flatnonzero(of_pack & is_of_a_child(train.where[:, 1])))
    chosen = [
        rng.choice(rows, min(GROUP_CROPS, len(rows)), replace=False) for rows in groups if len(rows) >= GROUP_CROPS_MIN
    ]
    if not chosen:
        return []
    pictures = [[np.asarray(train.crop(row)) for row in rows] for rows in chosen]
    some = [crop for crops in pictures for crop in crops]
    few = [some[row] for row in rng.choice(len(some), min(GROUP_CROPS, len(some)), replace=False)]
    pictures.append([door_camera(crop, rng) for crop in few])
    pictures += [[turned_by(crop, rng, quarters) for crop in few[: GROUP_CROPS // 3]] for quarters in (1, 2, 3)]
    return [encode_on_device(embedder, np.stack(crops), "cohort") for crops in pictures]
