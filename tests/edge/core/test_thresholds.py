"""The oracle is the formula of adaptive S-norm, written out for one pair."""

import numpy as np
import pytest

from edge.core.thresholds import Cohort, NormalizedThresholds, OneThreshold, normalized_scores

NEAREST = 5


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def cohort():
    return Cohort(unit(np.random.default_rng(1).normal(size=(60, 16))), NEAREST)


@pytest.fixture
def pairs():
    return unit(np.random.default_rng(2).normal(size=(7, 16))), unit(np.random.default_rng(3).normal(size=(7, 16)))


def score_by_hand(first, second, cohort):
    def centred(vector):
        near = sorted((float(vector @ other) for other in cohort.encodings), reverse=True)[:NEAREST]
        return (float(first @ second) - np.mean(near)) / np.std(near)

    return (centred(first) + centred(second)) / 2


def test_a_score_is_that_of_adaptive_s_norm(cohort, pairs):
    first, second = pairs
    cosines = (first * second).sum(axis=1)
    scores = normalized_scores(cosines, cohort.neighbourhoods(first), cohort.neighbourhoods(second))
    by_hand = [score_by_hand(one, other, cohort) for one, other in zip(first, second, strict=True)]
    assert scores == pytest.approx(by_hand, abs=1e-4)


@pytest.mark.parametrize("wanted", [-1.0, 0.5, 2.0])
def test_a_pair_is_within_its_tau_exactly_where_its_score_reaches_the_one_of_the_rate(cohort, pairs, wanted):
    thresholds = NormalizedThresholds(cohort, lambda _fmr: wanted, np.array([0.3, 0.1], dtype=np.float32))
    first, second = (thresholds.neighbourhoods(side) for side in pairs)
    distances = np.square(pairs[0] - pairs[1]).sum(axis=1)
    within = distances <= thresholds.taus(1e-3, first, second)
    scores = [score_by_hand(one, other, cohort) for one, other in zip(*pairs, strict=True)]
    assert within.tolist() == [score >= wanted for score in scores]


def test_who_has_many_near_neighbours_gets_a_stricter_tau(cohort):
    thresholds = NormalizedThresholds(cohort, lambda _fmr: 1.0, np.array([0.3, 0.1], dtype=np.float32))
    crowded, lonely = np.array([0.8, 0.05], dtype=np.float32), np.array([0.2, 0.05], dtype=np.float32)
    assert thresholds.taus(1e-3, crowded, crowded) < thresholds.taus(1e-3, lonely, lonely)


def test_every_probe_is_compared_with_every_template_at_once(cohort, pairs):
    thresholds = NormalizedThresholds(cohort, lambda _fmr: 1.0, np.array([0.3, 0.1], dtype=np.float32))
    first, second = (thresholds.neighbourhoods(side) for side in pairs)
    table = thresholds.taus(1e-3, first[:, None], second[None])
    assert table.shape == (7, 7)
    assert table[2, 5] == pytest.approx(thresholds.taus(1e-3, first[2], second[5]))


def test_many_rows_have_the_neighbourhoods_of_each_alone(cohort):
    rows = unit(np.random.default_rng(4).normal(size=(600, 16)))
    together = cohort.neighbourhoods(rows)
    assert together[[0, 255, 256, 599]] == pytest.approx(
        np.concatenate([cohort.neighbourhoods(rows[row : row + 1]) for row in (0, 255, 256, 599)]), abs=1e-6
    )


def test_a_neighbourhood_of_one_point_gives_a_finite_tau():
    same = Cohort(np.tile(np.eye(1, 16, dtype=np.float32), (NEAREST, 1)), NEAREST)
    thresholds = NormalizedThresholds(same, lambda _fmr: 3.0, np.array([0.3, 0.1], dtype=np.float32))
    (found,) = thresholds.neighbourhoods(np.eye(1, 16, dtype=np.float32))
    assert np.isfinite(thresholds.taus(1e-3, found, found))


def test_without_a_cohort_there_is_one_tau_for_all():
    thresholds = OneThreshold(lambda fmr: {1e-3: 1.2}[fmr])
    first, second = (thresholds.neighbourhoods(np.zeros((count, 16), np.float32)) for count in (4, 3))
    assert thresholds.nominal(1e-3) == 1.2
    assert thresholds.taus(1e-3, first[:, None], second[None]).tolist() == [[1.2] * 3] * 4
