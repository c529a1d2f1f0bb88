import numpy as np

from edge.core.geometry import box_iou
from tests.conftest import webp
from training.data.faces import FACE_SCORE_MIN
from training.data.packs import Pack
from training.data.scenes import (
    DRAWN_FACES,
    NEGATIVES_WITH_FACES,
    Scene,
    face_free_windows,
    picture_names,
    read_negatives,
    with_drawn_face,
)


def test_face_free_windows_touch_no_face():
    face = np.array([[100, 60, 200, 180, 0.5, *range(10)]], dtype=np.float32)
    scene = Scene("a/1", np.zeros((240, 400, 3), dtype=np.uint8), face)
    rng = np.random.default_rng(0)
    windows = [window for _ in range(40) for window in face_free_windows(scene, 2, rng)]
    assert len(windows) > 20
    base = scene.image.__array_interface__["data"][0]
    for window in windows:
        top, left = divmod((window.__array_interface__["data"][0] - base) // 3, 400)
        height, width = window.shape[:2]
        assert min(height, width) >= 80
        assert not box_iou(np.array([[left, top, left + width, top + height]]), face[:, :4]).any()


def test_a_scene_full_of_face_has_no_window():
    face = np.array([[0, 0, 400, 240, 0.9, *range(10)]], dtype=np.float32)
    scene = Scene("a/1", np.zeros((240, 400, 3), dtype=np.uint8), face)
    assert face_free_windows(scene, 3, np.random.default_rng(0)) == []


def test_negatives_with_a_face_are_left_out(make_pack, face, tmp_path):
    members = {f"{number:05d}.webp": webp(face) for number in (281, 282, 283)}
    pack = Pack(make_pack("negatives", members), tmp_path)
    scenes = read_negatives(pack, picture_names(pack))
    assert [scene.name for scene in scenes] == ["negatives/00281.webp", "negatives/00283.webp"]
    assert all(not len(scene.faces) for scene in scenes)


def test_every_negative_with_a_face_is_in_the_pack(shared, tmp_path):
    pack = Pack(shared / "data" / "scenes" / "negatives.zip", tmp_path)
    assert {f"negatives/{member.filename}" for member in pack.members()} >= NEGATIVES_WITH_FACES


def test_a_drawn_face_is_ignored_and_other_pictures_keep_their_faces():
    faces = np.zeros((1, 15), dtype=np.float32)
    (name, box), *_ = DRAWN_FACES.items()
    assert with_drawn_face("photos/00001.webp", faces) is faces
    found = with_drawn_face(name, faces)
    assert len(found) == 2
    assert found[1, :4].tolist() == list(box)
    assert 0.4 <= found[1, 4] < FACE_SCORE_MIN
