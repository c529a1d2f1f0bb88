"""Pictures turned by quarters, and where their faces are."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.align import align
from edge.core.gallery import Gallery
from edge.core.quality import QualityRules
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.core.stills import find_faces
from edge.core.thresholds import OneThreshold
from edge.core.turning import TURNS_DEG, is_upright, turned, upright
from edge.core.types import Frame
from edge.demo.scene import people
from edge.errors import RefusedError
from edge.inference.detector import Detector
from edge.storage.gallery import SqliteGallery
from tests.edge.core.asking import found_in
from tests.edge.core.fakes import ColourEmbedder


@pytest.fixture(scope="module")
def detector():
    return Detector()


def test_a_picture_is_turned_clockwise_and_then_mirrored():
    image = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)  # 0 1 2 / 3 4 5
    assert turned(image, 90)[..., 0].tolist() == [[3, 0], [4, 1], [5, 2]]
    assert turned(image, 180)[..., 0].tolist() == [[5, 4, 3], [2, 1, 0]]
    assert turned(image, 270)[..., 0].tolist() == [[2, 5], [1, 4], [0, 3]]
    assert turned(image, 0, mirror=True)[..., 0].tolist() == [[2, 1, 0], [5, 4, 3]]
    assert turned(image, 90, mirror=True)[..., 0].tolist() == [[0, 3], [1, 4], [2, 5]]


@pytest.mark.parametrize("degrees", TURNS_DEG)
def test_a_face_of_a_turned_still_is_found_where_it_is_and_cut_upright(degrees, detector):
    portrait = astronaut()[:400]  # wider than high
    still = turned(portrait, (360 - degrees) % 360)
    assert upright(still, detector.detect) == degrees
    (upright_face,), (found,) = find_faces(portrait, detector), find_faces(still, detector)
    cut, wanted = align(still, found.landmarks), align(portrait, upright_face.landmarks)
    assert np.abs(cut.astype(int) - wanted).max() <= 1  # rounding; a shift by one pixel is d = 0.05 to 0.12
    middle = found.landmarks.mean(axis=0)
    assert (found.box[:2] < middle).all()
    assert (middle < found.box[2:]).all()
    assert found.size_px == pytest.approx(upright_face.size_px, abs=0.1)


def test_a_still_without_a_face_has_none_however_it_is_turned(detector):
    wall = np.full((480, 640, 3), 128, np.uint8)
    assert upright(wall, detector.detect) is None
    assert find_faces(wall, detector) == []


def portrait(person, px=160, border=80, look=0):
    """Somebody drawn whose face the detector finds upside down too, in the looks and sizes that are asked for here."""
    crop = cv2.resize(people()[person, look], (px, px))
    return cv2.copyMakeBorder(crop, *[border] * 4, cv2.BORDER_REPLICATE)


@pytest.fixture
def door(detector, tmp_path):
    gallery = Gallery("a" * 64, OneThreshold(lambda _fmr: 0.5))
    store = SqliteGallery(tmp_path / "gallery.db", "a" * 64, 3)
    return Recognizer(detector, ColourEmbedder(), gallery, store, RecognizerRules(QualityRules(sharpness_min=0)))


@pytest.mark.parametrize(
    ("person", "px", "border", "look"), [(0, 160, 80, 0), (0, 120, 100, 3), (1, 200, 60, 1), (3, 200, 60, 0)]
)
def test_a_face_that_is_found_upside_down_is_told_from_an_upright_one(person, px, border, look, detector):
    picture = portrait(person, px, border, look)
    for image, is_so in ((picture, True), (turned(picture, 180), False)):
        (face, *_) = detector.detect(image)
        assert is_upright(image, face, detector) is is_so


def test_an_upside_down_still_is_turned_also_where_a_face_is_found_in_it(detector):
    picture = portrait(0)
    (face,), (found,) = find_faces(picture, detector), find_faces(turned(picture, 180), detector)
    cut, wanted = align(turned(picture, 180), found.landmarks), align(picture, face.landmarks)
    assert np.abs(cut.astype(int) - wanted).max() <= 1


def test_who_is_upside_down_in_a_picture_with_somebody_upright_is_neither_enrolled_nor_named(door):
    both = np.hstack([portrait(0, px=80, border=80), turned(portrait(0, px=112, border=64, look=1), 180)])
    with pytest.raises(RefusedError, match=r"not upright.*eyes above the mouth") as refused:
        door.samples("anna", [both], largest=True)
    assert refused.value.code == "not_upright"
    door.enroll("bob", [portrait(0, look=2)])  # by colour all are alike
    told = {face.problem: face.name for face in door.recognize(found_in(door, both))}
    assert told == {None: "bob", "not_upright": None}


def test_a_camera_that_hangs_upside_down_names_nobody_and_says_why(door):
    frame = np.full((240, 320, 3), 90, np.uint8)
    frame[45:195, 85:235] = portrait(0, px=110, border=20)  # less than half: motion is what most of a frame does not do
    hanging, asked, detect = turned(frame, 180), [], door.detector.detect
    door.detector.detect = lambda image, score_min=None: asked.append(image) or detect(image, score_min)
    events = [event for step in range(20) for event in door.process(Frame(hanging, step / 10))]
    events += door.flush(Frame(hanging, 2.0))
    door.detector.detect = detect
    (event,) = events
    assert event.event_type == "low_quality"
    assert "not upright" in event.why
    assert len(asked) <= 20 + 2 * 7  # twice for each sample, not for each frame
    events = [event for step in range(20) for event in door.process(Frame(frame, 3 + step / 10))]
    assert [event.event_type for event in events] == ["unknown"]
