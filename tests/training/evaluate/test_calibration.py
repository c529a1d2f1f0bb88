"""The oracles are plain loops over all pairs."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from edge.errors import DataError
from training.data.teacher import unit_length
from training.evaluate.calibration import (
    FMRS,
    ImpostorTail,
    count_non_mated,
    impostor_tail,
    impostors,
    non_mated_blocks,
    pairs_at,
    quantiles,
)


def crops(count, people, dimension=8, seed=3):
    rng = np.random.default_rng(seed)
    who = np.array([f"p{number}" for number in rng.integers(0, people, count)])
    return unit_length(rng.normal(size=(count, dimension))), who


def distances_by_hand(embeddings, people):
    return sorted(
        float(((embeddings[i] - embeddings[j]) ** 2).sum())
        for i in range(len(people))
        for j in range(i)
        if people[i] != people[j]
    )


@pytest.mark.parametrize("block_rows", [1, 7, 64, 1000])
def test_the_blocks_have_every_pair_of_different_people_once(block_rows):
    embeddings, people = crops(65, 9)
    blocks = np.concatenate(list(non_mated_blocks(embeddings, people, block_rows)))
    by_hand = distances_by_hand(embeddings, people)
    assert np.sort(blocks) == pytest.approx(by_hand, abs=1e-5)
    assert count_non_mated(people) == len(by_hand)


@pytest.mark.parametrize("block_rows", [1, 13, 1024])
def test_the_tail_and_the_quantiles_are_those_of_all_sorted_distances(block_rows):
    embeddings, people = crops(180, 40)
    by_hand = distances_by_hand(embeddings, people)
    tail = impostor_tail(embeddings, people, block_rows)
    assert tail.pairs == len(by_hand)
    assert tail.distances == pytest.approx(by_hand[: len(by_hand) // 100], abs=1e-5)
    found = impostors(tail, people, teacher=embeddings)
    assert (found.people, found.crops, found.pairs) == (40, 180, len(by_hand))
    assert found.suspected_same_person == sum(d < 2 - 2 * 0.55 for d in by_hand)
    assert list(found.distance_at_fmr) == ["0.01", "0.003", "0.001"]  # 4 pairs do not measure a rate of 3e-4
    for fmr, distance in found.distance_at_fmr.items():
        count = len(by_hand) * Fraction(fmr) // 1
        assert distance == pytest.approx(by_hand[count - 1], abs=1e-4)
        assert sum(d <= by_hand[count - 1] for d in by_hand) / len(by_hand) <= float(fmr)


def test_a_float_product_does_not_lose_a_pair():
    assert int(3e-4 * 10_000) == 2
    assert pairs_at(Fraction("3e-4"), 10_000) == 3
    for fmr in FMRS:
        for pairs in (1, 9_999, 10_000, 1_000_000, 123_456_789):
            count = pairs_at(fmr, pairs)
            assert Fraction(count, pairs) <= fmr < Fraction(count + 1, pairs)


def test_the_memory_does_not_grow_with_the_square_of_the_crops():
    embeddings, people = crops(6000, 500, dimension=16)
    tracemalloc.start()
    tail = impostor_tail(embeddings, people, block_rows=64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tail.pairs > 17_000_000
    assert peak < 6000 * 6000  # bytes: less than one for each pair


def test_rates_that_too_few_pairs_measure_are_extrapolated_from_the_tail():
    pairs, found = 2_000_000, []
    for seed in range(20):
        depths = np.sort(np.random.default_rng(seed).exponential(0.06, pairs // 100))[::-1]  # of the nearest hundredth
        found.append(quantiles(ImpostorTail(pairs, (1.5 - depths).astype(np.float32))))
    assert list(found[0])[-3:] == ["1e-05", "3e-06", "1e-06"]
    for fmr in ("3e-06", "1e-06"):
        truth = 1.5 - 0.06 * np.log(1e-2 / float(fmr))
        assert np.mean([values[fmr] for values in found]) == pytest.approx(truth, abs=0.01)
        assert np.std([values[fmr] for values in found]) < 0.03
    for values in found:
        assert list(values.values()) == sorted(values.values(), reverse=True)


def test_nothing_is_extrapolated_where_the_lowest_rate_is_not_measured():
    depths = np.linspace(0, 1, 9_000)[::-1].astype(np.float32)
    assert list(quantiles(ImpostorTail(900_000, depths)))[-1] == "3e-05"


def test_few_pairs_give_no_quantile():
    embeddings, people = crops(8, 3)
    found = impostors(impostor_tail(embeddings, people), people)
    assert found.distance_at_fmr == {}
    assert found.suspected_same_person is None


def test_impostors_need_two_people():
    with pytest.raises(DataError, match="two people held out"):
        impostor_tail(np.ones((2, 3), dtype=np.float32), np.array(["a", "a"]))


def test_normalised_scores_of_every_pair_take_the_place_of_distances():
    embeddings, people = crops(65, 9)
    neighbourhoods = np.random.default_rng(5).uniform(0.05, 0.3, (65, 2)).astype(np.float32)

    def score(i, j):
        cosine = float(embeddings[i] @ embeddings[j])
        return np.mean([(cosine - mean) / deviation for mean, deviation in neighbourhoods[[i, j]].tolist()])

    by_hand = sorted(-score(i, j) for i in range(65) for j in range(i) if people[i] != people[j])
    blocks = np.concatenate(list(non_mated_blocks(embeddings, people, 7, neighbourhoods)))
    assert np.sort(blocks) == pytest.approx(by_hand, abs=1e-3)
    tail = impostor_tail(embeddings, people, 7, neighbourhoods)
    assert tail.distances == pytest.approx(by_hand[: len(tail.distances)], abs=1e-3)
