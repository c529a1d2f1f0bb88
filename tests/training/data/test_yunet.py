"""The teacher, decoded by us, against the same network run by OpenCV."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge.core.geometry import box_iou
from edge.errors import DataError
from training.data.faces import BOX, LANDMARKS, SCORE
from training.data.lfw import read_lfw_photos
from training.data.yunet import YuNet, tile_starts


@pytest.mark.slow
def test_it_detects_what_opencv_detects(shared):
    photos = read_lfw_photos(shared).images[:10]
    teacher = YuNet("yunet_n", 320, shared / "teachers", score_min=0.5)
    reference = cv2.FaceDetectorYN.create(str(teacher.path), "", (320, 320), 0.5, 0.45)
    compared = 0
    for photo in photos:
        square = cv2.resize(photo, (320, 320))
        ours = teacher.detect_square(square)
        theirs = reference.detect(np.ascontiguousarray(square[..., ::-1]))[1]
        assert len(ours) == len(theirs)
        for row in theirs:
            box = np.array([row[0], row[1], row[0] + row[2], row[1] + row[3]])
            best = int(box_iou(box[None], ours[:, BOX])[0].argmax())
            assert ours[best, BOX] == pytest.approx(box, abs=1.0)
            assert ours[best, LANDMARKS] == pytest.approx(row[4:14], abs=1.0)
            assert ours[best, SCORE] == pytest.approx(row[14], abs=0.01)
            compared += 1
    assert compared >= 10


def test_tiles_find_what_one_detection_finds(shared):
    photo = read_lfw_photos(shared).images[0]
    wide = np.zeros((640, 1280, 3), dtype=np.uint8)
    wide[300:550, 700:950] = photo
    teacher = YuNet("yunet_n", 640, shared / "teachers", score_min=0.8)
    (alone,), (among,) = teacher.detect_surely(photo), teacher.detect_surely(wide)
    assert among[BOX] == pytest.approx(alone[BOX] + [700, 300, 700, 300], abs=6)


@pytest.mark.parametrize("length", [100, 640, 641, 1280, 2560, 3001])
def test_tiles_cover_all_and_overlap_enough(length):
    starts = tile_starts(length, 640)
    assert starts[0] == 0
    assert starts[-1] + 640 >= length
    for one, after in pairwise(starts):
        assert one < after <= one + 640 - 160


def test_an_unknown_or_missing_teacher_is_named(tmp_path):
    with pytest.raises(DataError, match=r"'yolo' is unknown; known teachers: yunet_n, yunet_s"):
        YuNet("yolo", 320, tmp_path)
    with pytest.raises(DataError, match=r"takes \(320,\) px, not 640"):
        YuNet("yunet_s", 640, tmp_path)
    with pytest.raises(DataError, match=r"missing: no file .*yunet_n_320_320\.onnx"):
        YuNet("yunet_n", 320, tmp_path)
    (tmp_path / "yunet_n_320_320.onnx").write_bytes(b"no network")
    with pytest.raises(DataError, match="cannot be loaded"):
        YuNet("yunet_n", 320, tmp_path).detect_square(np.zeros((320, 320, 3), dtype=np.uint8))
