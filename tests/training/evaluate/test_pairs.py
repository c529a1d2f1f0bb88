import numpy as np
import pytest

from edge.errors import DataError
from training.evaluate.pairs import drawn_pairs, mated_pairs


@pytest.mark.parametrize(("crops", "people"), [(50, 7), (200, 30), (5, 1), (30, 29)])
def test_mated_pairs_are_those_of_a_plain_loop_in_its_order(crops, people):
    who = np.array([f"p{number}" for number in np.random.default_rng(crops).integers(0, people, crops)])
    by_hand = [(i, j) for i in range(crops) for j in range(i + 1, crops) if who[i] == who[j]]
    assert mated_pairs(who).tolist() == [list(pair) for pair in by_hand]


def test_drawn_pairs_have_the_correct_answers():
    people = np.array(["a"] * 5 + ["b"] * 4 + ["c"])
    pairs = drawn_pairs(people)
    assert pairs.same.sum() == 10 + 6  # every mated pair
    assert (~pairs.same).sum() == 16
    assert ((people[pairs.first] == people[pairs.second]) == pairs.same).all()
    assert (pairs.first != pairs.second)[pairs.same].all()


def test_pairs_cannot_be_drawn_from_single_crops():
    with pytest.raises(DataError, match=r"10 mated pairs and two people .*; there are 0 pairs of 3 people"):
        drawn_pairs(np.array(["a", "b", "c"]))
