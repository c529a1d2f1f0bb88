import numpy as np
import pytest

from edge.core.geometry import box_iou
from edge.errors import DataError
from tests.conftest import webp
from training.data.faces import NO_FACES
from training.data.packs import Pack
from training.data.places import Places
from training.data.scenes import (
    NEGATIVES_WITH_FACES,
    Scene,
    cached_faces,
    face_free_windows,
    picture_names,
    read_negatives,
)
from training.detector.scene_set import gather_scenes, is_grey, tiles
from training.engine.experiment_files import load_experiment


@pytest.fixture
def drawn(tmp_path):
    return gather_scenes(load_experiment("smoke-detector"), Places(tmp_path, tmp_path))


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


def test_labels_are_computed_once_and_stored_by_picture(tmp_path):
    rows = [np.full((count, 15), count, dtype=np.float32) for count in (2, 0, 1)]
    path = tmp_path / "deep" / "faces.npy"
    first = cached_faces(path, iter(rows), 3, "ask")
    second = cached_faces(path, (1 / 0 for _ in range(1)), 3, "ask")
    for answer in (first, second):
        assert [faces.tolist() for faces in answer] == [faces.tolist() for faces in rows]


def test_negatives_with_a_face_are_left_out(make_pack, face, tmp_path):
    members = {f"{number:05d}.webp": webp(face) for number in (281, 282, 283)}
    pack = Pack(make_pack("negatives", members), tmp_path)
    scenes = read_negatives(pack, picture_names(pack))
    assert [scene.name for scene in scenes] == ["negatives/00281.webp", "negatives/00283.webp"]
    assert all(not len(scene.faces) for scene in scenes)


def test_every_negative_with_a_face_is_in_the_pack(shared, tmp_path):
    pack = Pack(shared / "data" / "scenes" / "negatives.zip", tmp_path)
    assert {f"negatives/{member.filename}" for member in pack.members()} >= NEGATIVES_WITH_FACES


def test_a_panorama_is_evaluated_in_tiles_that_keep_its_faces():
    face = np.array([[250, 200, 290, 250, 0.9, *([270, 225] * 5)]], dtype=np.float32)
    panorama = Scene("a/1", np.zeros((400, 1000, 3), dtype=np.uint8), face)
    parts = tiles(panorama)
    assert {part.image.shape for part in parts} == {(180, 240, 3)}
    assert len(parts) == 3 * 5  # the last row and column reach back, so that nothing is left out
    for part in parts:
        left, top = (int(number) for number in part.name.split("@")[1].split(","))
        expected = [250 - left, 200 - top, 290 - left, 250 - top]
        seen = [row[:4].tolist() for row in part.faces if row[4] > 0.8]
        inside = max(0, min(240, expected[2]) - max(0, expected[0])) * max(
            0, min(180, expected[3]) - max(0, expected[1])
        )
        assert seen == ([expected] if inside >= 0.5 * 40 * 50 else [])
    small = Scene("a/2", np.zeros((100, 100, 3), dtype=np.uint8), NO_FACES)
    assert [part.name for part in tiles(small)] == ["a/2"]


def test_the_three_parts_share_no_picture(drawn):
    train = {scene.name for scene in drawn.train.scenes}
    choosing, held = ({scene.name.split("@")[0] for scene in part} for part in (drawn.calibration, drawn.held_out))
    assert train
    assert choosing
    assert held
    assert not train & choosing
    assert not train & held
    assert not choosing & held
    assert drawn.split_stats["held_out_pictures"] == len(held)
    out_of = [scene.image for part in (drawn.calibration, drawn.held_out) for scene in part]
    for backdrop in drawn.train.backdrops:
        assert not any(np.may_share_memory(backdrop, image) for image in out_of)
    assert all(is_grey(image) for image in drawn.train.backdrops[: drawn.train.greys])
    assert not any(is_grey(image) for image in drawn.train.backdrops[drawn.train.greys :])


def test_the_evaluation_scenes_of_the_shared_packs(shared, cache_dir):
    scenes = gather_scenes(load_experiment("detector"), Places(shared, cache_dir), measure_only=True)
    held = {scene.name.split("@")[0] for scene in scenes.held_out}
    assert len(held) == scenes.split_stats["held_out_pictures"] > 400
    assert not scenes.train.scenes
    assert {source.split("/")[0] for source in held} == {"photos", "masks", "crowds", "negatives"}


def test_missing_sources_are_named(tmp_path):
    (tmp_path / "teachers").mkdir()
    for px in (320, 640):
        (tmp_path / "teachers" / f"yunet_n_{px}_{px}.onnx").write_bytes(b"")
    with pytest.raises(DataError, match="pack 'photos' is missing"):
        gather_scenes(load_experiment("detector"), Places(tmp_path, tmp_path))
    with pytest.raises(DataError, match="'yunet_n' is missing"):
        gather_scenes(load_experiment("detector"), Places(tmp_path / "nowhere", tmp_path))
