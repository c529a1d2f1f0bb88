"""The oracles try every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.data.lfw import Pairs
from training.data.teacher import unit_length
from training.evaluate.verification import best_tau, pair_distances, ten_fold_accuracy, verify_pairs

measured = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30)


def split(pairs):
    return np.array([pair[0] / 4 for pair in pairs], dtype=np.float32), np.array([pair[1] for pair in pairs])


@given(measured)
def test_no_threshold_decides_more_pairs_correctly_than_the_best_tau(pairs):
    distances, same = split(pairs)
    tries = [-1.0, *distances.tolist(), 4.0]
    most = max(((distances <= tau) == same).sum() for tau in tries)
    assert ((distances <= best_tau(distances, same)) == same).sum() == most


def pairs_of(same, folds=10):
    rows = np.arange(len(same))
    return Pairs(rows, rows, same, rows % folds)


def test_ten_fold_accuracy_chooses_tau_on_the_other_nine_folds():
    rng = np.random.default_rng(0)
    same = rng.random(400) < 0.5
    distances = np.where(same, rng.normal(0.8, 0.3, 400), rng.normal(1.4, 0.3, 400)).astype(np.float32)
    pairs = pairs_of(same)
    accuracies = []
    for fold in range(10):
        test = pairs.fold == fold
        right = {tau: ((distances[~test] <= tau) == same[~test]).sum() for tau in distances[~test]}
        tau = max(right, key=right.get)
        accuracies.append(((distances[test] <= tau) == same[test]).mean())
    mean, spread = ten_fold_accuracy(distances, pairs)
    assert mean == pytest.approx(np.mean(accuracies), abs=0.01)  # ties between thresholds may fall either way
    assert spread == pytest.approx(np.std(accuracies), abs=0.02)


def test_eer_auc_and_tar_against_independent_counts():
    rng = np.random.default_rng(1)
    same = rng.random(2000) < 0.5
    distances = np.where(same, rng.normal(0.8, 0.3, 2000), rng.normal(1.4, 0.3, 2000)).astype(np.float32)
    result = verify_pairs(distances, pairs_of(same))
    assert result.auc == pytest.approx(roc_auc_score(same, -distances), abs=1e-9)
    taus = np.sort(distances)
    far = np.array([(distances[~same] <= tau).mean() for tau in taus])
    frr = np.array([(distances[same] > tau).mean() for tau in taus])
    assert result.eer == pytest.approx(((far + frr) / 2)[np.argmin(abs(far - frr))], abs=2e-3)
    assert result.tar_at_far["0.01"] == pytest.approx(max(1 - frr[far <= 0.01]), abs=1e-9)


def test_a_perfect_encoding_is_perfect():
    same = np.array([True, False] * 20)
    result = verify_pairs(np.where(same, 0.1, 1.5).astype(np.float32), pairs_of(same))
    assert (result.accuracy, result.eer, result.auc, result.tar_at_far["0.001"]) == (1, 0, 1, 1)


def test_pair_distances_are_squared_euclidean():
    rows = unit_length(np.random.default_rng(0).normal(size=(3, 8)))
    pairs = Pairs(np.array([0, 1]), np.array([2, 1]), np.array([False, True]), np.array([0, 1]))
    assert pair_distances(rows, pairs) == pytest.approx([((rows[0] - rows[2]) ** 2).sum(), 0], abs=1e-6)
