"""The oracles try every threshold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from edge.errors import DataError
from training.data.lfw import Pairs
from training.data.teacher import unit_length
from training.evaluate.calibration import cross_person_distances, impostors
from training.evaluate.pairs import drawn_pairs
from training.evaluate.verification import best_tau, pair_distances, ten_fold_accuracy, verify_pairs

measured = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=30)


def split(pairs):
    return np.array([pair[0] / 4 for pair in pairs], dtype=np.float32), np.array([pair[1] for pair in pairs])


@given(measured)
def test_no_threshold_judges_more_pairs_right_than_the_best_tau(pairs):
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


def test_drawn_pairs_tell_the_truth():
    people = np.array(["a"] * 5 + ["b"] * 4 + ["c"])
    pairs = drawn_pairs(people)
    assert pairs.same.sum() == 10 + 6  # all there are
    assert (~pairs.same).sum() == 16
    assert ((people[pairs.first] == people[pairs.second]) == pairs.same).all()
    assert (pairs.first != pairs.second)[pairs.same].all()


def test_pairs_cannot_be_drawn_from_single_crops():
    with pytest.raises(DataError, match=r"10 mated pairs and two people .*; there are 0 pairs of 3 people"):
        drawn_pairs(np.array(["a", "b", "c"]))


def test_impostors_are_all_cross_person_pairs_and_their_quantiles():
    rng = np.random.default_rng(3)
    embeddings = unit_length(rng.normal(size=(120, 8)))
    people = np.array([f"p{number // 3}" for number in range(120)])
    by_hand = sorted(
        ((embeddings[i] - embeddings[j]) ** 2).sum() for i in range(120) for j in range(i) if people[i] != people[j]
    )
    assert np.sort(cross_person_distances(embeddings, people)) == pytest.approx(by_hand, abs=1e-5)
    found = impostors(cross_person_distances(embeddings, people), people, teacher=embeddings)
    assert (found.people, found.crops, found.pairs) == (40, 120, len(by_hand)) == (40, 120, 7020)
    assert found.suspected_same_person == sum(d < 2 - 2 * 0.55 for d in by_hand)
    assert list(found.distance_at_fmr) == ["0.01", "0.003"]  # 7 pairs do not measure one in a thousand
    assert found.distance_at_fmr["0.01"] == pytest.approx(by_hand[69], abs=1e-4)


def test_impostors_need_two_people():
    with pytest.raises(DataError, match="two people held out"):
        impostors(np.empty(0, dtype=np.float32), np.array(["a", "a"]))
