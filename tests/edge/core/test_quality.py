"""The quality gate, on a real face and on what is done to it."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.align import align
from edge.core.motion import MotionGate
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


def test_the_laplacian_is_opencvs():
    grey = np.random.default_rng(0).uniform(0, 255, (20, 30)).astype(np.float32)
    assert laplacian(grey) == pytest.approx(cv2.Laplacian(grey, cv2.CV_32F)[1:-1, 1:-1], abs=1e-3)


def test_noise_and_clouds_do_not_move_but_a_person_does():
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 180, (240, 320, 3)).astype(np.float32)

    def frame(light=0.0, person=None):
        image = scene + light + rng.normal(0, 3, scene.shape)
        if person is not None:
            image[80:200, person : person + 40] = 220
        return np.clip(image, 0, 255).astype(np.uint8)

    gate = MotionGate(look_every_seconds=1000)
    assert gate.passes(frame(), 0.0)
    assert not any(gate.passes(frame(light=2 * step), 0.1 * step) for step in range(1, 15))
    assert all(gate.passes(frame(light=28, person=20 + 10 * step), 2 + 0.1 * step) for step in range(10))


def test_somebody_who_stands_still_is_looked_for_now_and_then():
    gate, image = MotionGate(look_every_seconds=5), np.full((240, 320, 3), 90, dtype=np.uint8)
    passed = [step for step in range(200) if gate.passes(image, step / 10)]
    assert passed == [0, 50, 100, 150]
