"""Faces of every size in still pictures."""

import numpy as np
import pytest

from edge.core.stills import find_faces, least_px
from tests.edge.core.fakes import square
from tests.edge.core.test_attention import RED, SmallDetector


@pytest.mark.parametrize("size", [40, 100, 160, 400, 1500])
@pytest.mark.parametrize("shape", [(3000, 4000), (2400, 1600)])
def test_a_face_of_any_size_is_found_once_and_whole(size, shape):
    image = np.full((*shape, 3), 40, dtype=np.uint8)
    square(image, RED, 60, 80, size)
    (face,) = find_faces(image, SmallDetector())
    assert face.box == pytest.approx([60, 80, 60 + size, 80 + size])


def test_the_smallest_face_that_is_found_is_said():
    assert least_px(320, 240) == 16
    assert least_px(1920, 1080) == 16
    assert least_px(4000, 3000) == 32


class Seldom(SmallDetector):
    """Finds a face in the upper left of any tile, and nothing where it looks again."""

    def detect(self, image, score_min=None):
        return super().detect(image, score_min) if score_min == 0.5 else []


def test_what_is_not_found_again_is_no_face():
    image = np.full((3000, 4000, 3), 40, dtype=np.uint8)
    square(image, RED, 1000, 900, 60)
    assert find_faces(image, SmallDetector())
    assert not find_faces(image, Seldom())
