import numpy as np
import pytest

from training.data.scenes import Scene
from training.detector.turning import BANDS_DEG, by_yaw

PICTURE = np.zeros((240, 320, 3), dtype=np.uint8)


def head(nose, left=20.0):
    """A head of 60 px with eyes 20 px apart; a nose that is so many px aside is turned by arctan(nose / 10)."""
    points = left * np.array([1, 0]) + [[20, 40], [40, 40], [30 + nose, 55], [22, 65], [38, 65]]
    return np.array([left, 20, left + 60, 80, 0.9, *points.ravel()], dtype=np.float32)


def test_faces_are_counted_by_how_far_they_are_turned():
    scenes = [Scene("a/1", PICTURE, np.stack([head(0), head(-8, left=200)])), Scene("a/2", PICTURE, head(30)[None])]
    moved = head(-8, left=200)
    moved[5:] += 4
    bands = {band.from_deg: band for band in by_yaw(scenes, [moved[None], head(30)[None]])}
    assert list(bands) == list(BANDS_DEG[:-1])
    assert [(band.faces, band.found) for band in bands.values()] == [(1, 0), (0, 0), (1, 1), (0, 0), (1, 1)]
    assert bands[30].landmark_error == pytest.approx(4 * 2**0.5 / 20)
    assert bands[0].landmark_error is None
    assert bands[60].landmark_error == 0


def test_faces_that_do_not_count_are_in_no_band():
    unsure = head(0)
    unsure[4] = 0.5
    assert sum(band.faces for band in by_yaw([Scene("a/1", PICTURE, unsure[None])], [head(0)[None]])) == 0
    assert all(band.faces == 0 for band in by_yaw([], []))
