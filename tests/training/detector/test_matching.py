import numpy as np
import pytest

from training.data.scenes import Scene
from training.detector.matching import at_model_scale, count_matches, judge, landmark_error


def face(left, top, size=40.0, score=0.9):
    points = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]]) * size + [left, top]
    return np.array([left, top, left + size, top + size, score, *points.ravel()], dtype=np.float32)


NOBODY = np.zeros((0, 15), dtype=np.float32)
PICTURE = np.zeros((240, 320, 3), dtype=np.uint8)


def matches(faces, detections):
    return count_matches(
        [Scene("a/1", PICTURE, np.array(faces).reshape(-1, 15))], [np.array(detections).reshape(-1, 15)]
    )


def test_a_hit_a_miss_and_a_false_alarm():
    found = matches([face(10, 10), face(100, 100)], [face(12, 10), face(200, 200)])
    assert (found.hits, found.misses, found.false_alarms, found.alarmed) == (1, 1, 1, 1)
    assert found.recall == 0.5
    assert found.false_per_100 == 100


def test_two_detections_of_one_face_are_a_hit_and_a_false_alarm():
    found = matches([face(10, 10)], [face(10, 10), face(14, 10)])
    assert (found.hits, found.misses, found.false_alarms) == (1, 0, 1)


def test_the_better_detection_is_the_hit():
    verdicts = judge(face(10, 10)[None], np.stack([face(18, 10), face(11, 10)]))
    assert verdicts.hit.tolist() == [1]
    assert verdicts.false.tolist() == [True, False]


def test_a_loose_box_is_a_miss_and_a_false_alarm():
    found = matches([face(10, 10)], [face(34, 10)])  # IoU 0.25
    assert (found.hits, found.misses, found.false_alarms) == (0, 1, 1)


@pytest.mark.parametrize("excuse", [face(10, 10, score=0.6), face(10, 10, size=20)])
def test_unsure_and_small_faces_do_not_count_and_excuse_a_detection(excuse):
    assert matches([excuse], NOBODY).misses == 0
    found = matches([excuse], [face(10, 10, size=float(excuse[2] - excuse[0]))])
    assert (found.hits, found.misses, found.false_alarms, found.excused) == (0, 0, 0, 1)
    assert matches([excuse], [face(200, 100)]).false_alarms == 1


def test_a_picture_without_faces_and_detections():
    found = matches(NOBODY, NOBODY)
    assert (found.pictures, found.hits, found.misses, found.false_alarms) == (1, 0, 0, 0)
    assert np.isnan(found.landmark_error)


def test_the_landmark_error_is_in_distances_between_the_eyes():
    truth, seen = face(10, 10), face(10, 10)
    seen[5:] += np.tile([0, 8], 5)  # eyes are 16 px apart
    assert landmark_error(truth, seen) == pytest.approx(0.5)
    assert matches([truth], [seen]).landmark_error == pytest.approx(0.5)


def test_a_scene_at_model_scale_keeps_its_faces_in_place():
    scene = at_model_scale(Scene("a/1", np.zeros((480, 320, 3), dtype=np.uint8), face(100, 200)[None]), (240, 320))
    assert scene.image.shape == (240, 320, 3)
    assert scene.faces[0, :4].tolist() == [50, 100, 70, 120]
