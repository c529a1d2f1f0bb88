import numpy as np
import pytest

from edge.errors import DataError
from training.data.drawings import scaled
from training.data.drawn_characters import drawn_alphabets
from training.data.omniglot import LakeRun
from training.embedder.encoder import Encoder, squared_distance
from training.omniglot.one_shot import correct
from training.omniglot.protocols import OneShotTest, over_seeds, trials_of
from training.omniglot.trials import Trials, drawn_trials


@pytest.fixture(scope="module")
def drawings():
    return drawn_alphabets("drawn", alphabets=3, drawers=6, prepare=lambda ink: scaled(ink, 12), seed=4)


@pytest.mark.parametrize("within", [True, False])
@pytest.mark.parametrize("shots", [1, 3])
def test_the_query_of_a_trial_is_the_first_character_by_another_drawer(drawings, within, shots):
    trials = drawn_trials(drawings, 200, ways=20, shots=shots, within_alphabet=within, seed=1)
    shown, asked = drawings.characters[trials.support], drawings.characters[trials.query]
    assert shown.shape == (200, 20, shots)
    assert (shown == shown[:, :, :1]).all()
    assert (shown[:, 0, 0] == asked).all()
    hands = drawings.drawers[trials.support]
    assert (hands == hands[:, :1]).all()  # the same people drew every character
    assert all(len(set(hand[0])) == shots for hand in hands)
    assert not (hands == drawings.drawers[trials.query][:, None, None]).any()
    assert all(len(set(row[:, 0])) == 20 for row in shown)
    alphabets = [len({name.split("/")[0] for name in row[:, 0]}) for row in shown]
    assert (set(alphabets) == {1}) == within


def test_impossible_trials_are_refused(drawings):
    with pytest.raises(DataError, match="21-way trials need 21 characters; there are 20"):
        drawn_trials(drawings, 1, ways=21)
    with pytest.raises(DataError, match="6-shot trials need 7 drawings of each character; there are 6"):
        drawn_trials(drawings, 1, ways=20, shots=6)
    with pytest.raises(DataError, match="each person must have drawn each character once"):
        drawn_trials(drawings.only(np.arange(len(drawings)) > 0), 1, ways=20)


def test_correct_is_what_a_plain_loop_finds(drawings):
    encodings = np.random.default_rng(0).standard_normal((len(drawings), 5)).astype(np.float32)
    trials = drawn_trials(drawings, 60, ways=4, shots=2, seed=3)
    expected = []
    for support, query in zip(trials.support, trials.query, strict=True):
        distances = [
            np.mean([((encodings[row] - encodings[query]) ** 2).sum() for row in character]) for character in support
        ]
        expected.append(distances[0] < min(distances[1:]))
    assert 0 < sum(expected) < 60
    assert correct(encodings, trials).tolist() == expected


def test_an_encoder_that_encodes_everything_alike_is_never_correct():
    trials = Trials(np.arange(8).reshape(2, 4, 1), np.array([8, 9]))
    assert not correct(np.ones((10, 3), dtype=np.float32), trials).any()


def test_lakes_runs_are_scored_by_their_answers():
    rng = np.random.default_rng(1)
    training = rng.integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
    answers = rng.permutation(20)
    swapped = answers.copy()
    swapped[[3, 7]] = answers[[7, 3]]
    runs = [LakeRun(training, training[answers], answers), LakeRun(training, training[answers], swapped)]
    trials = trials_of(runs, start=2)
    encodings = np.concatenate([training[:2], training, training[answers], training, training[answers]]).reshape(82, -1)
    right = correct(encodings.astype(np.float32), trials)
    assert np.flatnonzero(~right).tolist() == [23, 27]


def test_pixels_are_better_than_chance_and_worse_than_perfect(drawings):
    run = LakeRun(drawings.images[:120:6], drawings.images[1:120:6], np.arange(20))
    questions = OneShotTest(drawings, [run], count=300)
    encoder = Encoder(lambda images: images.reshape(len(images), -1).astype(np.float32), squared_distance)
    answers = questions.evaluate(encoder)
    assert set(answers) == {
        "verification",
        "lake",
        "unstructured_5",
        *(f"{kind}{shots}" for kind in ("within", "unstructured_20") for shots in ("", "_3shot", "_5shot")),
    }
    assert 0.1 < answers["within"] < 0.99
    assert answers["within"] < answers["within_5shot"]
    assert answers["unstructured_20"] < answers["unstructured_5"]


def test_the_interval_over_seeds_is_students():
    told = over_seeds([0.92, 0.94, 0.95])
    # By hand: mean 0.93667, standard deviation 0.015275, t(2) 4.3027, so 4.3027 * 0.015275 / sqrt(3) = 0.03795.
    assert told["mean"] == pytest.approx(0.93667, abs=1e-5)
    assert told["interval_95"] == pytest.approx([0.89872, 0.97461], abs=1e-5)
    assert over_seeds([0.9])["interval_95"] is None
