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
from training.data.teacher import unit_length
from training.embedder.clarity import ErrorAfterDiscard, errors_after_discard
from training.embedder.encoder import outputs_on_device
from training.embedder.training_set import Rows
from training.evaluate.shares import Share

FMR = 1e-3  # of the threshold that is chosen for each condition alone
TURNS = {"turned by 90 degrees": 1, "upside down": 2}  # quarters
TURNED_EACH = 200  # women and men: the share is large, so fewer pairs measure it


@dataclass(frozen=True)
class Rules:
    """How the model ships: its thresholds at an FMR; and one tau for all at that rate, to compare with.

    length_min: of an output that is clear enough to be compared as the model ships
    """

    shipped: Thresholds
    one: Thresholds
    fmr: float
    length_min: float = 0.0


@dataclass(frozen=True)
class Encoded:
    """embeddings: (N, D) float32 of unit length; lengths: (N,) of the outputs that they are made of."""

    embeddings: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True)
class UnderCondition:
    """The mated LFW pairs, the first picture of each under a condition.

    unclear:     share of the first pictures that are not compared as the model ships: the face is not clear enough
    tar_shipped: share of the mated pairs that pass as the model ships, with its 95 % interval
    fmr_shipped: share of all non-mated pairs of a first and a second picture that pass there
    tar_one_tau: share of the mated pairs that pass one tau for all, at the same rate
    tar_at_fmr:  share of the mated pairs that pass where one in a thousand non-mated pairs of this condition does
    """

    condition: str
    pairs: int
    unclear: float
    tar_shipped: float
    tar_shipped_interval: tuple[float, float]
    fmr_shipped: float
    tar_one_tau: float
    tar_at_fmr: float


@dataclass(frozen=True)
class GroupRate:
    """How many pairs of a female and a male of one group pass as the model ships, and at one tau for all.

    The pairs share crops, so no interval of independent trials holds.
    unclear: share of the crops that are not compared as the model ships
    """

    group: str
    females: int
    males: int
    unclear: float
    passed: int
    fmr_shipped: float
    fmr_one_tau: float


def encoded(embedder: Embedder, images: np.ndarray, what: str) -> Encoded:
    """Encode (N, 112, 112, 3) uint8 with the int8 model."""
    outputs = outputs_on_device(embedder, images, what)
    return Encoded(unit_length(outputs), np.linalg.norm(outputs, axis=1))


def by_condition(
    embedder: Embedder, lfw: LfwPairs, rules: Rules
) -> tuple[list[UnderCondition], list[ErrorAfterDiscard]]:
    """Measure every condition on the mated LFW pairs, and the error after discard over all of them together."""
    people = groups_of(lfw.pack.read().names)
    first, second = lfw.pairs.first[lfw.pairs.same], lfw.pairs.second[lfw.pairs.same]
    references = encoded(embedder, lfw.images[second], "references")
    different = people[first][:, None] != people[second][None]
    results, lengths, passed = [], [], []
    for name, change in CONDITIONS.items():
        probes = encoded(embedder, under(change, lfw.images[first]), name)
        shipped, one = _beyond_both(probes, references, rules)
        clear = _both_clear(probes, references, rules)
        results.append(_under_condition(name, probes.lengths < rules.length_min, shipped, one, clear, different))
        lengths.append(np.minimum(probes.lengths, references.lengths))
        passed.append(np.diagonal(shipped) <= 0)
    return results, errors_after_discard(np.concatenate(lengths), np.concatenate(passed))


def _beyond_both(first: Encoded, second: Encoded, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """(N, M) each: how far beyond tau every pair is, as the model ships and with one tau for all."""
    shipped, one = (beyond(first.embeddings, second.embeddings, rule, rules.fmr) for rule in (rules.shipped, rules.one))
    return shipped, one


def _both_clear(first: Encoded, second: Encoded, rules: Rules) -> np.ndarray:
    """(N, M) bool: whether both sides are clear enough to be compared as the model ships."""
    clear: np.ndarray = np.minimum(first.lengths[:, None], second.lengths[None]) >= rules.length_min
    return clear


def _under_condition(
    name: str, unclear: np.ndarray, shipped: np.ndarray, one: np.ndarray, clear: np.ndarray, different: np.ndarray
) -> UnderCondition:
    passes = (shipped <= 0) & clear
    mated, non_mated = np.diagonal(shipped), shipped[different]
    wanted = int(len(non_mated) * FMR)
    passed = Share(int(np.diagonal(passes).sum()), len(mated))
    return UnderCondition(
        condition=name,
        pairs=len(mated),
        unclear=float(unclear.mean()),
        tar_shipped=passed.value,
        tar_shipped_interval=passed.interval,
        fmr_shipped=float(passes[different].mean()),
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
        encoded(embedder, under(change or as_it_is, rows.images()), group) for rows in (females, males)
    )
    shipped, one = _beyond_both(females_encoded, males_encoded, rules)
    passes = (shipped <= 0) & _both_clear(females_encoded, males_encoded, rules)
    lengths = np.concatenate([females_encoded.lengths, males_encoded.lengths])
    return GroupRate(
        group=group,
        females=len(females),
        males=len(males),
        unclear=float((lengths < rules.length_min).mean()),
        passed=int(passes.sum()),
        fmr_shipped=float(passes.mean()),
        fmr_one_tau=float((one <= 0).mean()),
    )
