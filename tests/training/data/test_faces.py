import numpy as np
import pytest

from training.data.faces import BOX, LANDMARKS, SCORE, mirrored, moved, sizes, turned, visible_share

FACE = np.array([[10, 20, 50, 80, 0.9, 20, 40, 40, 41, 30, 50, 22, 65, 38, 66]], dtype=np.float32)


def test_the_mirror_image_keeps_left_left():
    seen = mirrored(FACE, 100)
    assert seen[0, BOX].tolist() == [50, 20, 90, 80]
    # left eye, right eye, nose, left and right corner of the mouth, as the mirror shows them
    assert seen[0, LANDMARKS].reshape(5, 2).tolist() == [[60, 41], [80, 40], [70, 50], [62, 66], [78, 65]]
    assert seen[0, SCORE] == FACE[0, SCORE]
    assert mirrored(seen, 100).tolist() == FACE.tolist()


def test_moving_scales_and_shifts_every_point():
    seen = moved(FACE, np.array([2.0, 1.0]), np.array([5.0, -20.0]))
    assert seen[0, BOX].tolist() == [25, 0, 105, 60]
    assert seen[0, LANDMARKS].reshape(5, 2)[2].tolist() == [65, 30]


def test_turning_by_a_quarter_carries_the_landmarks_and_keeps_the_box_upright():
    quarter = np.array([[0.0, -2.0, 300.0], [2.0, 0.0, 0.0]])  # a quarter turn, twice as large
    seen = turned(FACE, quarter)
    for before, after in zip(FACE[0, LANDMARKS].reshape(5, 2), seen[0, LANDMARKS].reshape(5, 2), strict=True):
        assert after.tolist() == [300 - 2 * before[1], 2 * before[0]]
    assert sizes(seen)[0] == pytest.approx(2 * sizes(FACE)[0])
    assert ((seen[0, 0:2] + seen[0, 2:4]) / 2).tolist() == [300 - 2 * 50, 2 * 30]


def test_the_visible_share_of_a_box():
    assert visible_share(FACE, (100, 100)).tolist() == [1.0]
    assert visible_share(FACE, (50, 30)).tolist() == pytest.approx([0.25])
    assert visible_share(FACE, (10, 10)).tolist() == [0.0]
