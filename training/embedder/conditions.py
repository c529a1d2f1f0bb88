"""What the int8 embedder does at the tau that ships, by condition and by group of people."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from edge.inference.embedder import Embedder
from training.data.ages import PACK, RANKS, females_and_males
from training.data.conditions import CONDITIONS, Condition, turned_by, under
from training.data.crops import groups_of
from training.data.lfw import LfwPairs
from training.embedder.encoder import encode_on_device
from training.embedder.training_set import Rows
from training.evaluate.shares import Share

FMR = 1e-3  # of the threshold that is chosen for each condition alone
TURNS = {"turned by 90 degrees": 1, "upside down": 2}  # quarters
TURNED_EACH = 200  # women and men: the share is large, so fewer pairs measure it


@dataclass(frozen=True)
class UnderCondition:
    """The mated LFW pairs, the first picture of each under a condition.

    tar_at_fmr: share of the mated pairs that pass where one in a thousand non-mated pairs does
    tar_at_tau: share of the mated pairs that pass at the tau that ships
    fmr_at_tau: share of all non-mated pairs of a first and a second picture that pass there
    """

    condition: str
    pairs: int
    tar_at_fmr: float
    tar_at_tau: float
    tar_at_tau_interval: tuple[float, float]
    fmr_at_tau: float


@dataclass(frozen=True)
class GroupRate:
    """How many pairs of a female and a male of one group pass at the tau that ships. The pairs share crops."""

    group: str
    females: int
    males: int
    passed: int
    fmr_at_tau: float


def by_condition(embedder: Embedder, lfw: LfwPairs, tau: float) -> list[UnderCondition]:
    """Measure every condition on the mated LFW pairs."""
    people = groups_of(lfw.pack.read().names)
    first, second = lfw.pairs.first[lfw.pairs.same], lfw.pairs.second[lfw.pairs.same]
    references = encode_on_device(embedder, lfw.images[second], "references")
    different = people[first][:, None] != people[second][None]
    results = []
    for name, change in CONDITIONS.items():
        probes = encode_on_device(embedder, under(change, lfw.images[first]), name)
        results.append(_under_condition(name, probes, references, different, tau))
    return results


def _under_condition(
    name: str, probes: np.ndarray, references: np.ndarray, different: np.ndarray, tau: float
) -> UnderCondition:
    distances = distances_between(probes, references)
    mated, non_mated = np.diagonal(distances), distances[different]
    wanted = int(len(non_mated) * FMR)
    own_tau = np.partition(non_mated, wanted)[wanted]
    passed = Share(int((mated <= tau).sum()), len(mated))
    return UnderCondition(
        condition=name,
        pairs=len(mated),
        tar_at_fmr=float((mated < own_tau).mean()),
        tar_at_tau=passed.value,
        tar_at_tau_interval=passed.interval,
        fmr_at_tau=float((non_mated <= tau).mean()),
    )


def by_group(embedder: Embedder, set_aside: dict[str, Rows], tau: float) -> list[GroupRate]:
    """The rate of each group of All-Age-Faces, and of adults in turned pictures; [] where the pack is not set aside."""
    if PACK not in set_aside:
        return []
    rows = set_aside[PACK]
    ranks = rows.where[:, 1]
    groups: dict[str, tuple[np.ndarray, np.ndarray, Condition | None]] = {
        group: (*females_and_males(group, ranks), None) for group in RANKS
    }
    women, men = (first_of(mask, TURNED_EACH) for mask in females_and_males("adults", ranks))
    for name, quarters in TURNS.items():
        groups[f"adults, {name}"] = (women, men, partial(turned_by, quarters=quarters))
    return [
        _rate(embedder, group, rows.only(females), rows.only(males), tau, change)
        for group, (females, males, change) in groups.items()
        if females.any() and males.any()
    ]


def first_of(mask: np.ndarray, count: int) -> np.ndarray:
    """(N,) bool -> the same with at most so many true, evenly over the whole."""
    chosen = np.flatnonzero(mask)
    kept = np.zeros(len(mask), dtype=bool)
    kept[chosen[:: max(1, len(chosen) // count)][:count]] = True
    return kept


def _rate(
    embedder: Embedder, group: str, females: Rows, males: Rows, tau: float, change: Condition | None
) -> GroupRate:
    encodings = []
    for rows in (females, males):
        crops = rows.images()
        encodings.append(encode_on_device(embedder, under(change, crops) if change else crops, group))
    passes = distances_between(*encodings) <= tau
    return GroupRate(group, len(females), len(males), int(passes.sum()), float(passes.mean()))


def distances_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, D), (M, D) of unit length -> (N, M) float32, d of every pair."""
    distances: np.ndarray = np.clip(2.0 - 2.0 * first @ second.T, 0.0, 4.0)
    return distances
