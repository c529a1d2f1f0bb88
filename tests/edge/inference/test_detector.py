"""The shipped detector, through its public calls."""

import math

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.geometry import box_iou
from edge.errors import ImageError, ModelError
from edge.inference.detector import (
    CENTRE_UNIT,
    FACE_STRIDES,
    LANDMARK_UNIT,
    SIZE_UNIT,
    STANDARD,
    STRIDES,
    Detector,
    decode,
    grid,
    letterboxed,
)
from edge.inference.embedder import STANDARD as EMBEDDER
from edge.inference.model_card import DetectorCard, read_card
from training.data.augment import tinted


@pytest.fixture(scope="module")
def detector():
    return Detector()


@pytest.fixture(scope="module")
def portrait():
    """A public-domain NASA portrait: one face, looking at us, (512, 512, 3)."""
    return astronaut()


@pytest.fixture(scope="module")
def face(detector, portrait):
    (found,) = detector.detect(portrait)
    return found


def test_it_finds_the_face_and_its_five_points_where_its_teacher_does(face):
    """YuNet, at this picture's own size, mirrored too: box 179, 64, 269, 176."""
    assert box_iou(face.box[None], np.array([[179, 64, 269, 176]]))[0, 0] > 0.75
    expected = [(203, 103), (247, 104), (224, 128), (205, 143), (243, 144)]
    apart = [math.dist(seen, point) for seen, point in zip(face.landmarks, expected, strict=True)]
    assert max(apart) < 5  # the eyes are 44 px apart
    assert face.score > 0.8


@pytest.mark.parametrize(("width", "height"), [(320, 240), (640, 480), (512, 512), (360, 640), (1280, 720), (200, 150)])
def test_coordinates_are_those_of_the_picture_that_came_in(detector, portrait, face, width, height):
    zoom = min(width, height) / 512
    picture = np.full((height, width, 3), 90, dtype=np.uint8)
    small = cv2.resize(portrait, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    picture[-small.shape[0] :, -small.shape[1] :] = small
    (found,) = detector.detect(picture)
    shift = np.array([width - small.shape[1], height - small.shape[0]])
    expected = face.box * zoom + np.tile(shift, 2)
    assert box_iou(found.box[None], expected[None])[0, 0] > 0.75
    assert np.linalg.norm(found.landmarks - (face.landmarks * zoom + shift), axis=1).max() < 0.2 * found.width_px


def test_it_finds_the_face_without_colour_mirrored_and_in_the_dark(detector, portrait, face):
    grey = cv2.cvtColor(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    (without_colour,) = detector.detect(grey)
    (in_the_dark,) = detector.detect((portrait * 0.25).astype(np.uint8))
    (tinted_one,) = detector.detect(tinted(grey, np.random.default_rng(2)))
    for found in (without_colour, in_the_dark, tinted_one):
        assert box_iou(found.box[None], face.box[None])[0, 0] > 0.7
    (mirrored,) = detector.detect(np.ascontiguousarray(portrait[:, ::-1]))
    assert mirrored.box[0] == pytest.approx(512 - face.box[2], abs=12)


def test_two_faces_are_two_and_the_better_comes_first(detector, portrait):
    both = np.concatenate([portrait[:300, 50:370], cv2.GaussianBlur(portrait[:300, 50:370], (0, 0), 3)], axis=1)
    found = detector.detect(both)
    assert len(found) == 2
    assert found[0].score >= found[1].score
    assert abs(found[0].box[0] - found[1].box[0]) > 200


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_picture_holds_nobody(detector, level):
    assert detector.detect(np.full((240, 320, 3), level, dtype=np.uint8)) == []
    noise = np.random.default_rng(level).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert detector.detect(noise) == []


def test_the_threshold_is_the_callers_to_choose(portrait):
    assert len(Detector(score_min=0.99).detect(portrait)) == 0
    assert len(Detector(score_min=0.05).detect(portrait)) >= 1
    with pytest.raises(ModelError, match=r"a score lies in \(0, 1\), so score_min 1"):
        Detector(score_min=1.0)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((240, 320), np.uint8),
        np.zeros((240, 320, 4), np.uint8),
        np.zeros((240, 320, 3), np.float32),
        np.zeros((0, 320, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused_by_shape(detector, image):
    with pytest.raises(ImageError, match=r"expected a picture \(H, W, 3\) uint8, got"):
        detector.detect(image)


def test_a_sliver_of_a_picture_is_no_trouble(detector):
    assert detector.detect(np.zeros((1, 1, 3), np.uint8)) == []
    assert detector.detect(np.zeros((1, 3000, 3), np.uint8)) == []


def test_an_embedder_is_no_detector():
    with pytest.raises(ModelError, match=r"embedder\.json is not the card of a detector"):
        Detector(EMBEDDER)


def test_a_picture_of_the_models_size_is_not_copied():
    picture = np.zeros((240, 320, 3), dtype=np.uint8)
    canvas, zoom = letterboxed(picture, (240, 320))
    assert canvas is picture
    assert zoom.tolist() == [1, 1]


def test_a_letterbox_leaves_the_rest_black_and_distorts_nothing():
    picture = np.full((100, 333, 3), 200, dtype=np.uint8)
    canvas, zoom = letterboxed(picture, (240, 320))
    assert canvas.shape == (240, 320, 3)
    assert (canvas[:96] == 200).all()
    assert not canvas[96:].any()
    assert zoom == pytest.approx([320 / 333, 96 / 100])


def test_decoding_is_what_a_loop_says():
    centres, strides = grid(64, 96)
    places = np.random.default_rng(0).uniform(0, 6, (len(centres), 14)).astype(np.float32)
    boxes, landmarks = decode(places, centres, strides)
    row = 0
    for stride in STRIDES:
        for y in range(-(-64 // stride)):
            for x in range(-(-96 // stride)):
                values = places[row] - 3
                middle = [(x + 0.5 + values[0] * CENTRE_UNIT) * stride, (y + 0.5 + values[1] * CENTRE_UNIT) * stride]
                size = [FACE_STRIDES * stride * math.exp(values[axis] * SIZE_UNIT) for axis in (2, 3)]
                expected = [middle[axis] + side * size[axis] / 2 for side in (-1, 1) for axis in (0, 1)]
                assert boxes[row] == pytest.approx(expected, rel=1e-4, abs=1e-3)
                for point in range(5):
                    offset = values[4 + 2 * point : 6 + 2 * point] * LANDMARK_UNIT
                    assert landmarks[row, point] == pytest.approx(
                        [(x + 0.5 + offset[0]) * stride, (y + 0.5 + offset[1]) * stride], rel=1e-4, abs=1e-3
                    )
                row += 1
    assert row == len(places)


def test_the_card_says_what_was_measured():
    card = read_card(STANDARD, DetectorCard)
    assert (card.input.width, card.input.height) == (320, 240)
    assert card.measured["held_out"]["recall"] >= 0.95
    assert card.measured["held_out"]["false_per_100"] <= 1.0
    assert card.measured["per_source"]["photos"]["landmark_error_closer"] <= 0.05
    assert card.measured["face_free"]["claimed_share"] <= 0.01
    assert card.measured["parity"]["iou_mean"] >= 0.95
    assert card.measured["pipeline"]["right_face"] >= 0.99
    assert card.measured["pipeline"]["accuracy_on_crops"] - card.measured["pipeline"]["accuracy"] <= 0.01
    assert card.measured["xnnpack"]["whole"] is True
    assert card.bytes <= 700_000
    assert "research" in card.terms
