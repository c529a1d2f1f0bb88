"""The closer look at a face, and the one crop that every part of limen cuts of it."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.commands.recognition import crop_of
from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.gallery import Gallery
from edge.core.quality import QualityRules
from edge.core.recognizer import Recognizer, RecognizerRules
from edge.core.stills import find_faces
from edge.core.thresholds import OneThreshold
from edge.core.turning import TURNS_DEG, turned, turned_back
from edge.core.types import Face, Frame
from edge.core.views import view
from edge.demo.scene import people
from edge.inference.detector import Detector
from edge.storage.gallery import SqliteGallery
from tests.edge.core.asking import found_in
from tests.edge.core.fakes import ColourEmbedder


@pytest.fixture(scope="module")
def detector():
    return Detector()


def shown(person, px, left, top):
    """Somebody drawn, in 320x240, and the transform from the picture to the drawn crop."""
    image = np.full((240, 320, 3), 90, np.uint8)
    image[top : top + px, left : left + px] = cv2.resize(people()[person, 0], (px, px), interpolation=cv2.INTER_AREA)
    return image, lambda points: (points - (left, top)) * 112 / px


def test_the_landmarks_depend_less_on_size_and_place(detector):
    for person in range(3):
        once, closer = [], []
        for number in range(12):
            image, in_crop = shown(person, 40 + 5 * number, 37 + 11 * number % 60, 41 + 7 * number % 50)
            (face,) = detector.detect(image)
            once.append(in_crop(face.landmarks))
            closer.append(in_crop(look_closer(image, face, detector).landmarks))
        before, after = (np.std(rows, axis=0).mean() for rows in (once, closer))
        assert after < 0.5 * before


@pytest.mark.parametrize("degrees", TURNS_DEG)
def test_the_landmarks_are_the_same_however_the_picture_is_turned(degrees, detector):
    portrait = astronaut()[:400]
    (face,) = detector.detect(portrait)
    still = turned(portrait, degrees)
    height, width = still.shape[:2]
    there = turned_back(face, (360 - degrees) % 360, width, height)
    near = turned_back(look_closer(still, there, detector), degrees, *portrait.shape[1::-1])
    assert near.landmarks == pytest.approx(look_closer(portrait, face, detector).landmarks, abs=0.3)  # of rounding


def test_box_and_score_stay_and_a_face_that_is_not_seen_again_is_as_it_was(detector):
    image, _ = shown(0, 120, 90, 50)
    (face,) = detector.detect(image)
    near = look_closer(image, face, detector)
    assert (near.box is face.box, near.score) == (True, face.score)
    assert (near.landmarks != face.landmarks).any()
    assert near.landmarks.dtype == np.float32
    assert (look_closer(image, face, detector).landmarks == near.landmarks).all()
    assert look_closer(np.zeros_like(image), face, detector) is face
    outside = face.moved(np.array([1000, 0], np.float32))
    assert look_closer(image, outside, detector) is outside
    nothing = Face(np.zeros(4, np.float32), 0.9, np.zeros((5, 2), np.float32))
    assert look_closer(image, nothing, detector) is nothing


def test_two_people_side_by_side_keep_their_own_landmarks(detector):
    one, other = (shown(person, 100, 30, 60)[0] for person in (0, 1))
    both = one.copy()
    both[:, 140:] = other[:, :180]
    for face in detector.detect(both):
        near = look_closer(both, face, detector)
        assert np.abs(near.landmarks - face.landmarks).max() < 0.1 * face.size_px


def test_every_part_of_limen_cuts_the_same_crop(detector, tmp_path):
    """The crop of a still that is enrolled, identified and verified, of a track and of a live enrollment."""
    portrait = shown(1, 110, 100, 60)[0]
    (face,) = find_faces(portrait, detector)
    wanted, asked = align(portrait, look_closer(portrait, face, detector).landmarks), []

    class Noting(ColourEmbedder):
        def embed(self, crop):
            asked.append(crop)
            return np.array([1, 0, 0], np.float32)

    gallery = Gallery("a" * 64, OneThreshold(lambda _fmr: 0.5))
    store = SqliteGallery(tmp_path / "gallery.db", "a" * 64, 3)
    rules = RecognizerRules(QualityRules(sharpness_min=0))
    door = Recognizer(detector, Noting(), gallery, store, rules)
    door.samples("anna", [portrait])
    found_in(door, portrait)
    for step in range(3):
        door.process(Frame(portrait, step / 10))
    door.start_enrollment("bob", 1)
    door.process(Frame(portrait, 0.3))
    assert len(door.live.samples) == 1
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait[..., ::-1])
    asked.append(crop_of(door, tmp_path / "portrait.png"))
    assert len(asked) >= 5
    for crop in asked:
        assert np.abs(crop.astype(int) - wanted).max() <= 2


def test_a_view_is_a_part_of_the_picture_and_black_around_it():
    image = np.random.default_rng(0).integers(1, 256, (40, 60, 3), dtype=np.uint8)

    def seen(linear, shift, width, height):
        return view(image, np.column_stack([np.array(linear, float), np.array(shift, float)]), width, height)

    as_it_is = [[1, 0], [0, 1]]
    assert (seen(as_it_is, (-7, -5), 20, 10) == image[5:15, 7:27]).all()
    assert (seen([[-1, 0], [0, 1]], (60, 0), 60, 40) == image[:, ::-1]).all()
    assert (seen([[0, -1], [1, 0]], (40, 0), 40, 60) == turned(image, 90)).all()
    edge = seen(as_it_is, (4, 3), 10, 10)
    assert not edge[:3].any()
    assert not edge[:, :4].any()
    assert (edge[3:, 4:] == image[:7, :6]).all()
    assert not seen(as_it_is, (500, 0), 10, 10).any()
