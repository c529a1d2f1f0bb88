"""Boxes: each rule against a plain loop that anyone can check."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.core.geometry import blend_weights, box_area, box_iou, letterbox_scale, non_maximum_suppression

corners = st.floats(-50, 350, width=32)
boxes = (
    st.integers(0, 12)
    .flatmap(lambda count: arrays(np.float32, (count, 4), elements=corners))
    .map(
        lambda rows: np.concatenate(
            [np.minimum(rows[:, :2], rows[:, 2:]), np.maximum(rows[:, :2], rows[:, 2:])], axis=1
        )
    )
)


def naive_iou(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    areas = [float(box[2] - box[0]) * float(box[3] - box[1]) for box in (first, second)]
    union = areas[0] + areas[1] - shared
    return shared / max(union, 1e-9)  # of a box with next to no area, next to nothing


def naive_suppression(rows, scores, iou_max):
    waiting = sorted(range(len(rows)), key=lambda row: (-scores[row], row))
    kept = []
    for row in waiting:
        if all(naive_iou(rows[row], rows[other]) <= iou_max for other in kept):
            kept.append(row)
    return kept


@given(boxes, boxes)
def test_iou_is_what_a_loop_says(first, second):
    expected = [[naive_iou(one, other) for other in second] for one in first]
    assert box_iou(first, second) == pytest.approx(np.array(expected).reshape(len(first), len(second)), abs=1e-3)


@given(boxes, st.randoms(use_true_random=False))
def test_suppression_is_what_a_loop_says(rows, random):
    scores = np.array([random.random() for _ in rows])
    overlaps = box_iou(rows, rows)
    if (np.abs(overlaps - 0.4) < 1e-3).any():
        return  # on the edge itself float32 and float64 may differ
    assert non_maximum_suppression(box_iou(rows, rows), scores, 0.4).tolist() == naive_suppression(rows, scores, 0.4)


@given(boxes, st.randoms(use_true_random=False))
def test_blending_is_what_a_loop_says(rows, random):
    scores = np.array([random.uniform(0.1, 1) for _ in rows])
    overlap = box_iou(rows, rows)
    kept = non_maximum_suppression(overlap, scores, 0.4)
    for row, found in zip(kept, blend_weights(overlap, scores, kept, 0.6), strict=True):
        alike = [other == row or naive_iou(rows[row], rows[other]) >= 0.6 for other in range(len(rows))]
        said = np.square(scores) * alike
        if (np.abs(box_iou(rows[[row]], rows) - 0.6) < 1e-3).any():
            continue  # on the edge itself float32 and float64 may differ
        assert found == pytest.approx(said / said.sum(), abs=1e-6)


def test_of_equal_scores_the_earlier_row_stays():
    rows = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], dtype=np.float32)
    assert non_maximum_suppression(box_iou(rows, rows), np.array([0.5, 0.5, 0.5]), 0.4).tolist() == [0, 2]


def test_no_boxes_are_no_trouble():
    none = np.zeros((0, 4), dtype=np.float32)
    assert non_maximum_suppression(box_iou(none, none), np.zeros(0), 0.4).tolist() == []
    assert box_iou(none, none).shape == (0, 0)
    assert box_area(none).shape == (0,)


def test_a_letterbox_fits_the_longer_side():
    assert letterbox_scale((480, 640), (240, 320)) == 0.5
    assert letterbox_scale((1000, 100), (240, 320)) == 0.24
    assert letterbox_scale((100, 1000), (240, 320)) == 0.32
