import numpy as np
import pytest

from edge.errors import DataError
from training.data.faces import NO_FACES
from training.data.places import Places
from training.data.scenes import Scene
from training.detector.scene_set import gather_scenes, is_grey, tiles
from training.engine.experiment_files import load_experiment


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nothing")
    return gather_scenes(load_experiment("smoke-detector"), Places(folder, folder))


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


def test_missing_sources_are_named(tmp_path):
    (tmp_path / "teachers").mkdir()
    for px in (320, 640):
        (tmp_path / "teachers" / f"yunet_n_{px}_{px}.onnx").write_bytes(b"")
    with pytest.raises(DataError, match="pack 'photos' is missing"):
        gather_scenes(load_experiment("detector"), Places(tmp_path, tmp_path))
    with pytest.raises(DataError, match="'yunet_n' is missing"):
        gather_scenes(load_experiment("detector"), Places(tmp_path / "nowhere", tmp_path))
