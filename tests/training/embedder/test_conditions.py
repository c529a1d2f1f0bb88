"""By plain loops over the pairs, on drawn faces, with the shipped embedder."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from edge.core.thresholds import OneThreshold
from edge.inference.embedder import Embedder
from training.data.conditions import CONDITIONS, under
from training.data.crops import UNLABELLED
from training.data.generated import generated_people
from training.data.lfw import LfwPairs, Pairs
from training.embedder.clarity import errors_after_discard
from training.embedder.conditions import Rules, by_condition, by_group, first_of
from training.embedder.nearest import nearest_pairs
from training.embedder.training_set import Rows

PEOPLE = 12
TAU = 1.0
RULES = Rules(OneThreshold(lambda _fmr: TAU), OneThreshold(lambda _fmr: 0.5), 1e-3)


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


@pytest.fixture(scope="module")
def lfw():
    crops = generated_people(people=PEOPLE, pictures=2, seed=8)
    first, second = np.arange(0, 2 * PEOPLE, 2), np.arange(1, 2 * PEOPLE, 2)
    names = np.array([f"lfw_crops/p{row // 2}/p{row // 2}_{row % 2}.webp" for row in range(2 * PEOPLE)])
    pairs = Pairs(
        first=np.concatenate([first, first[:-1]]),
        second=np.concatenate([second, second[1:]]),
        same=np.arange(2 * PEOPLE - 1) < PEOPLE,
        fold=np.zeros(2 * PEOPLE - 1, dtype=int),
    )
    return LfwPairs(SimpleNamespace(read=lambda: SimpleNamespace(names=names)), crops.images, pairs)


@pytest.mark.parametrize("name", ["as it is", "hat's brim"])
def test_the_rates_of_a_condition_are_those_of_all_pairs(embedder, lfw, name):
    (result,) = [result for result in by_condition(embedder, lfw, RULES)[0] if result.condition == name]
    probes = [embedder.embed(crop) for crop in under(CONDITIONS[name], lfw.images[0::2])]
    references = [embedder.embed(crop) for crop in lfw.images[1::2]]
    distance = {
        (i, j): float(((probe - reference) ** 2).sum())
        for i, probe in enumerate(probes)
        for j, reference in enumerate(references)
    }
    mated = [distance[i, i] for i in range(PEOPLE)]
    non_mated = [d for (i, j), d in distance.items() if i != j]
    assert result.pairs == PEOPLE
    assert result.tar_shipped == np.mean([d <= TAU for d in mated])
    assert result.fmr_shipped == pytest.approx(np.mean([d <= TAU for d in non_mated]))
    assert result.tar_one_tau == np.mean([d <= 0.5 for d in mated])
    assert result.tar_at_fmr == np.mean([d < min(non_mated) for d in mated])  # 1e-3 of 132 pairs is none of them


def test_what_is_not_clear_does_not_pass(embedder, lfw):
    probes = under(CONDITIONS["as it is"], lfw.images[0::2])
    lengths = np.array([np.linalg.norm(embedder.raw(crop)) for crop in probes])
    references = np.array([np.linalg.norm(embedder.raw(crop)) for crop in lfw.images[1::2]])
    least = float(np.median(lengths))
    plain, discarded = by_condition(embedder, lfw, RULES)
    gated, same = by_condition(embedder, lfw, replace(RULES, length_min=least))
    assert plain[0].unclear == 0
    assert gated[0].unclear == np.mean(lengths < least)
    assert gated[0].tar_shipped <= np.mean(np.minimum(lengths, references) >= least)
    assert gated[0].tar_at_fmr == plain[0].tar_at_fmr  # of the encodings, not of the device's rules
    assert same == discarded  # whatever is clear enough
    assert discarded[0].fnmr == pytest.approx(1 - np.mean([result.tar_shipped for result in plain]))


def test_the_error_after_discard_is_that_of_the_clearest_pairs():
    lengths = np.array([3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
    passed = np.array([True, False, True, True, True, True, True, True, True, False])
    errors = {error.discarded: error for error in errors_after_discard(lengths, passed)}
    assert (errors[0.0].pairs, errors[0.0].fnmr, errors[0.0].fnmr_best) == (10, pytest.approx(0.2), pytest.approx(0.2))
    assert (errors[0.1].pairs, errors[0.1].fnmr, errors[0.1].fnmr_best) == (
        9,
        pytest.approx(1 / 9),
        pytest.approx(1 / 9),
    )
    assert (errors[0.5].pairs, errors[0.5].fnmr, errors[0.5].fnmr_best) == (5, pytest.approx(1 / 5), 0)


def test_every_condition_is_measured(embedder, lfw):
    assert [result.condition for result in by_condition(embedder, lfw, RULES)[0]] == list(CONDITIONS)


def test_a_group_is_of_pairs_of_a_female_and_a_male(embedder):
    drawn = generated_people(people=8, pictures=1, seed=3).images
    ranks = np.array([0, 10, 20, 30, 7021, 7030, 7040, 7050])

    class Pack:  # has only the ranks that are read
        def __getitem__(self, rank):
            return drawn[list(ranks).index(rank)]

    rows = Rows([Pack()], np.column_stack([np.zeros(8, dtype=int), ranks]), np.full(8, UNLABELLED), None)
    rates = {rate.group: rate for rate in by_group(embedder, {"aaf": rows}, RULES)}
    assert list(rates) == ["children under 4"]
    encodings = [embedder.embed(crop) for crop in drawn]
    passed = sum(((girl - boy) ** 2).sum() <= TAU for girl in encodings[:4] for boy in encodings[4:])
    assert (rates["children under 4"].females, rates["children under 4"].males) == (4, 4)
    assert rates["children under 4"].passed == passed


def test_no_group_is_measured_without_the_pack(embedder):
    assert by_group(embedder, {}, RULES) == []


def test_the_first_of_a_mask_are_spread_over_it():
    mask = np.ones(100, dtype=bool)
    assert np.flatnonzero(first_of(mask, 4)).tolist() == [0, 25, 50, 75]
    assert first_of(mask, 1000).sum() == 100


def test_the_nearest_pairs_are_of_different_people_and_in_order():
    rng = np.random.default_rng(2)
    embeddings = rng.normal(size=(20, 8)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    people = np.array([f"p{row // 2}" for row in range(20)])
    images = np.zeros((20, 4, 4, 3), np.uint8)
    rows = Rows([images], np.column_stack([np.zeros(20, dtype=int), np.arange(20)]), people, embeddings)
    found = nearest_pairs(embeddings, rows, 5)
    by_hand = sorted(
        float(((embeddings[i] - embeddings[j]) ** 2).sum())
        for i in range(20)
        for j in range(i)
        if people[i] != people[j]
    )
    assert [pair.distance for pair in found] == pytest.approx(by_hand[:5], abs=1e-5)
    assert all(pair.first != pair.second for pair in found)
    assert found[0].cosine == pytest.approx(1 - by_hand[0] / 2, abs=1e-3)
