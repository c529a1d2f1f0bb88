"""The shipped detector against the shared scenes: the card's numbers again, by the code that ships."""

from dataclasses import asdict

import numpy as np
import pytest

from edge.inference.detector import STANDARD, Detector
from edge.inference.model_card import DetectorCard, read_card
from training.data.places import Places
from training.detector.evaluation import evaluate_detector
from training.detector.pipeline import central_face, is_right
from training.detector.scene_set import gather_scenes
from training.engine.experiment_files import load_experiment


@pytest.fixture(scope="module")
def scenes(shared, cache_dir):
    return gather_scenes(load_experiment("detector"), Places(shared, cache_dir), measure_only=True)


@pytest.fixture(scope="module")
def card():
    return read_card(STANDARD, DetectorCard)


def test_the_evaluation_scenes_of_the_shared_packs(scenes):
    held = {scene.name.split("@")[0] for scene in scenes.held_out}
    assert len(held) == scenes.split_stats["held_out_pictures"] > 400
    assert not scenes.train.scenes
    assert {source.split("/")[0] for source in held} == {"photos", "masks", "crowds", "negatives", "turned"}


def test_training_pictures_under_another_name_are_left_out_of_the_evaluation(scenes):
    """The shared packs overlap: photographs that are crops too, frames of one room, a picture twice."""
    assert scenes.split_stats["left_out_same_photograph_as_a_crop"] > 100
    assert scenes.split_stats["left_out_same_picture"] > 10
    assert len([scene for scene in scenes.held_out if scene.name.startswith("crowds/")]) < 40


def test_the_card_says_what_is_measured_again(scenes, card):
    measured, said = evaluate_detector(STANDARD, scenes), card.measured
    assert asdict(measured.face_free).items() <= said["face_free"].items()
    held_out = measured.matches()
    for name in ("hits", "misses", "false_alarms"):
        assert abs(said["held_out"][name] - getattr(held_out, name)) <= 2, name  # processors round differently
    assert held_out.landmark_error == pytest.approx(said["held_out"]["landmark_error"], abs=0.002)
    assert measured.landmark_error_closer() == pytest.approx(said["held_out"]["landmark_error_closer"], abs=0.002)


def test_the_face_in_the_middle_of_a_photograph_is_found_as_the_card_says(scenes, card):
    """How many of their pairs match: tests/test_readme.py."""
    detector, photographs = Detector(STANDARD), scenes.photographs
    right = [
        is_right(central_face(detector, image), truth)
        for image, truth in zip(photographs.images, photographs.faces, strict=True)
        if truth is not None
    ]
    assert len(right) == card.measured["pipeline"]["teacher_sure_of"]
    assert np.mean(right) == pytest.approx(card.measured["pipeline"]["right_face"], abs=0.002)


def test_the_card_is_of_the_experiment_that_is_committed(card):
    assert card.learned_from["fingerprint"] == load_experiment("detector").fingerprint()
    assert card.learned_from["started_from"]["fingerprint"] == load_experiment("detector-first").fingerprint()
