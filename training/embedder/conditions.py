"""What the int8 embedder does as it ships, by condition and by group of people."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from edge.core.thresholds import Thresholds, beyond
from edge.inference.embedder import Embedder
from training.data.ages import PACK, RANKS, females_and_males
from training.data.conditions import CONDITIONS, Condition, as_it_is, turned_by, under
from training.data.crops import groups_of
from training.data.lfw import LfwPairs
from training.embedder.encoder import encode_on_device
from training.embedder.training_set import Rows
from training.evaluate.shares import Share

FMR = 1e-3  # of the threshold that is chosen for each condition alone
TURNS = {"turned by 90 degrees": 1, "upside down": 2}  # quarters
TURNED_EACH = 200  # women and men: the share is large, so fewer pairs measure it


@dataclass(frozen=True)
class Rules:
    """How the model ships: its thresholds at an FMR; and one tau for all at that rate, to compare with."""

    shipped: Thresholds
    one: Thresholds
    fmr: float


@dataclass(frozen=True)
class UnderCondition:
    """The mated LFW pairs, the first picture of each under a condition.

    tar_shipped: share of the mated pairs that pass as the model ships, with its 95 % interval
    fmr_shipped: share of all non-mated pairs of a first and a second picture that pass there
    tar_one_tau: share of the mated pairs that pass one tau for all, at the same rate
    tar_at_fmr:  share of the mated pairs that pass where one in a thousand non-mated pairs of this condition does
    """

    condition: str
    pairs: int
    tar_shipped: float
    tar_shipped_interval: tuple[float, float]
    fmr_shipped: float
    tar_one_tau: float
    tar_at_fmr: float


@dataclass(frozen=True)
class GroupRate:
    """How many pairs of a female and a male of one group pass as the model ships, and at one tau for all.

    The pairs share crops, so no interval of independent trials holds.
    """

    group: str
    females: int
    males: int
    passed: int
    fmr_shipped: float
    fmr_one_tau: float


def by_condition(embedder: Embedder, lfw: LfwPairs, rules: Rules) -> list[UnderCondition]:
    """Measure every condition on the mated LFW pairs."""
    people = groups_of(lfw.pack.read().names)
    first, second = lfw.pairs.first[lfw.pairs.same], lfw.pairs.second[lfw.pairs.same]
    references = encode_on_device(embedder, lfw.images[second], "references")
    different = people[first][:, None] != people[second][None]
    results = []
    for name, change in CONDITIONS.items():
        probes = encode_on_device(embedder, under(change, lfw.images[first]), name)
        results.append(_under_condition(name, probes, references, different, rules))
    return results


def _under_condition(
    name: str, probes: np.ndarray, references: np.ndarray, different: np.ndarray, rules: Rules
) -> UnderCondition:
    shipped, one = (beyond(probes, references, rule, rules.fmr) for rule in (rules.shipped, rules.one))
    mated, non_mated = np.diagonal(shipped), shipped[different]
    wanted = int(len(non_mated) * FMR)
    passed = Share(int((mated <= 0).sum()), len(mated))
    return UnderCondition(
        condition=name,
        pairs=len(mated),
        tar_shipped=passed.value,
        tar_shipped_interval=passed.interval,
        fmr_shipped=float((non_mated <= 0).mean()),
        tar_one_tau=float((np.diagonal(one) <= 0).mean()),
        tar_at_fmr=float((mated < np.partition(non_mated, wanted)[wanted]).mean()),
    )


def by_group(embedder: Embedder, set_aside: dict[str, Rows], rules: Rules) -> list[GroupRate]:
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
        _rate(embedder, group, rows.only(females), rows.only(males), rules, change)
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
    embedder: Embedder, group: str, females: Rows, males: Rows, rules: Rules, change: Condition | None
) -> GroupRate:
    females_encoded, males_encoded = (
        encode_on_device(embedder, under(change or as_it_is, rows.images()), group) for rows in (females, males)
    )
    passes, passes_one = (
        beyond(females_encoded, males_encoded, rule, rules.fmr) <= 0 for rule in (rules.shipped, rules.one)
    )
    return GroupRate(group, len(females), len(males), int(passes.sum()), float(passes.mean()), float(passes_one.mean()))
