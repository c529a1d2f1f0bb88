"""The shipped detector against the shared scenes: the card's numbers again, by the code that ships."""

import pytest

from edge.inference.detector import STANDARD
from edge.inference.model_card import DetectorCard, read_card
from training.data.places import Places
from training.detector.evaluation import evaluate_detector
from training.detector.scene_set import gather_scenes
from training.engine.experiment_files import load_experiment


@pytest.fixture(scope="module")
def measured(shared, cache_dir):
    experiment = load_experiment("detector")
    scenes = gather_scenes(experiment, Places(shared, cache_dir), measure_only=True)
    return evaluate_detector(STANDARD, scenes).numbers()


def test_the_card_says_what_is_measured_again(measured):
    card = read_card(STANDARD, DetectorCard)
    said = {name: card.measured[name] for name in measured}
    assert said["face_free"] == measured["face_free"]
    for name in ("hits", "misses", "false_alarms"):
        assert abs(said["held_out"][name] - measured["held_out"][name]) <= 2, name  # processors round differently
    for name in ("landmark_error", "landmark_error_closer"):
        assert measured["held_out"][name] == pytest.approx(said["held_out"][name], abs=0.002), name
    assert measured["pipeline"]["right_face"] == pytest.approx(said["pipeline"]["right_face"], abs=0.002)
    assert measured["pipeline"]["accuracy"] == pytest.approx(said["pipeline"]["accuracy"], abs=0.005)


def test_the_card_is_of_the_experiment_that_is_committed():
    card = read_card(STANDARD, DetectorCard)
    assert card.learned_from["fingerprint"] == load_experiment("detector").fingerprint()
    assert card.learned_from["started_from"]["fingerprint"] == load_experiment("detector-first").fingerprint()
