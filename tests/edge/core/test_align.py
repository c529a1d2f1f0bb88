import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.align import ARCFACE_TEMPLATE, CROP_PX, align
from edge.core.geometry import similarity_transform

finite = st.floats(-200, 200)


@given(st.floats(0.2, 5), st.floats(-np.pi, np.pi), finite, finite)
def test_a_similarity_that_was_applied_is_found_again(zoom, turn, right, down):
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = ARCFACE_TEMPLATE @ linear.T + [right, down]
    matrix = similarity_transform(ARCFACE_TEMPLATE, moved)
    assert matrix == pytest.approx(np.column_stack([linear, [right, down]]), abs=1e-8)


def test_it_is_the_least_squares_answer_when_no_answer_fits():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 2)) * 20, rng.normal(size=(5, 2)) * 20

    def misfit(matrix):
        return float(((source @ matrix[:, :2].T + matrix[:, 2] - target) ** 2).sum())

    found = similarity_transform(source, target)
    # The naive oracle: the same four unknowns as a general linear least-squares problem.
    rows = [*([x, -y, 1, 0] for x, y in source), *([y, x, 0, 1] for x, y in source)]
    a, b, c, d = np.linalg.lstsq(np.array(rows), np.concatenate([target[:, 0], target[:, 1]]), rcond=None)[0]
    assert found == pytest.approx(np.array([[a, -b, c], [b, a, d]]))
    for _ in range(100):
        nudge = rng.normal(size=2) * 0.01
        other = found + np.array([[nudge[0], -nudge[1], 0], [nudge[1], nudge[0], 0]])
        assert misfit(other) >= misfit(found)


@pytest.mark.parametrize(("source", "target"), [((5, 2), (4, 2)), ((5, 3), (5, 3)), ((1, 2), (1, 2))])
def test_points_of_another_shape_are_refused_with_both_shapes(source, target):
    with pytest.raises(ValueError, match=r"expected two \(N, 2\) arrays"):
        similarity_transform(np.ones(source), np.ones(target))


def test_points_that_are_one_point_are_refused():
    with pytest.raises(ValueError, match="all source points are one point"):
        similarity_transform(np.ones((5, 2)), ARCFACE_TEMPLATE)


def test_a_face_anywhere_in_a_frame_comes_out_as_its_crop(face):
    matrix = cv2.getRotationMatrix2D((56, 56), 20, 1.7)
    matrix[:, 2] += (150, 90)
    frame = cv2.warpAffine(face, matrix, (480, 360))
    landmarks = ARCFACE_TEMPLATE @ matrix[:, :2].T + matrix[:, 2]
    crop = align(frame, landmarks)
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    inside = slice(8, 104)
    assert np.abs(crop[inside, inside].astype(int) - face[inside, inside]).mean() < 4


def test_the_noise_of_a_large_picture_is_averaged_in_its_crop(face):
    """Of a telephone's picture the face may be ten times as wide as the crop."""
    noise = np.random.default_rng(0).normal(0, 25, (1120, 1120, 3))
    picture = np.clip(cv2.resize(face, (1120, 1120), interpolation=cv2.INTER_CUBIC) + noise, 0, 255).astype(np.uint8)
    crop = align(picture, (ARCFACE_TEMPLATE + 0.5) * 10 - 0.5)
    inside = slice(8, 104)
    assert np.abs(crop[inside, inside].astype(int) - face[inside, inside]).mean() < 6  # 9.5 where pixels are picked
