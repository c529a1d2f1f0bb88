"""Pictures turned by quarters, and where their faces are."""

import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.align import align
from edge.core.stills import find_faces
from edge.core.turning import TURNS_DEG, turned, upright
from edge.inference.detector import Detector


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
