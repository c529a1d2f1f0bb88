"""The quality gate, on a real face and on what is done to it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.align import align
from edge.core.quality import QualityRules, laplacian, yaw_deg
from edge.core.types import Face
from edge.inference.detector import Detector

RULES = QualityRules()


@pytest.fixture(scope="module")
def portrait():
    image = astronaut()
    (face,) = Detector().detect(image)
    return align(image, face.landmarks), face


def test_a_good_portrait_passes(portrait):
    quality = RULES.assess(*portrait)
    assert quality.problem is None
    assert quality.score > 0.7
    assert abs(quality.yaw_deg) < 25


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda crop: cv2.GaussianBlur(crop, (0, 0), 5), "blurred"),
        (lambda crop: (crop * 0.12).astype(np.uint8), "dark"),
    ],
)
def test_a_spoiled_one_is_refused_by_name(portrait, spoil, problem):
    crop, face = portrait
    spoiled = RULES.assess(spoil(crop), face)
    assert spoiled.problem == problem
    assert spoiled.score < RULES.assess(crop, face).score


def test_a_face_far_away_is_too_small(portrait):
    crop, face = portrait
    quality = RULES.assess(crop, face.scaled(np.array([0.3, 0.3])))
    assert quality.problem == "too_small"
    assert quality.face_px == pytest.approx(0.3 * face.size_px)


@pytest.mark.parametrize("degrees", [-60, -20, 0, 20, 60])
def test_the_angle_of_a_turned_head(degrees):
    """Points of a head in space, turned and seen from the front."""
    points = np.array([[-30, 0, 0], [30, 0, 0], [0, 30, 30], [-20, 55, 5], [20, 55, 5]], dtype=float)
    turn = np.deg2rad(degrees)
    seen = np.stack([points[:, 0] * np.cos(turn) + points[:, 2] * np.sin(turn), points[:, 1]], axis=1)
    for roll in (0.0, 0.4):
        rolled = seen @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
        if abs(degrees) <= 20 or roll == 0:
            assert yaw_deg(rolled) == pytest.approx(degrees, abs=12 if roll else 1)


def test_a_head_in_profile_is_turned_away(portrait):
    crop, face = portrait
    points = face.landmarks.copy()
    points[2] = points[1]  # the nose over an eye
    assert RULES.assess(crop, Face(face.box, face.score, points)).problem == "turned_away"


def test_an_encoding_that_is_not_clear_is_refused_and_lowers_the_score(portrait):
    quality = RULES.assess(*portrait)
    clear, barely, unclear = (RULES.encoded(quality, clarity) for clarity in (2.0, 1.0, 0.9))
    assert [one.problem for one in (clear, barely, unclear)] == [None, None, "unclear"]
    assert clear.score == pytest.approx(np.sqrt(quality.score))
    assert barely.score == pytest.approx(np.sqrt(quality.score / 2))
    assert unclear.clarity == 0.9
    assert "clarity 0.90" in unclear.summary()
    assert RULES.encoded(quality, None) == quality
    assert RULES.encoded(replace(quality, problem="dark"), 0.9).problem == "dark"
    assert replace(RULES, clarity_min=0.8).encoded(quality, 0.9).problem is None
    assert replace(RULES, clarity_min=0.0).encoded(quality, 0.1).problem is None


def test_the_laplacian_is_opencvs():
    grey = np.random.default_rng(0).uniform(0, 255, (20, 30)).astype(np.float32)
    assert laplacian(grey) == pytest.approx(cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1], abs=1e-3)
