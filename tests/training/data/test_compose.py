import numpy as np
import pytest

from training.data.compose import Composer, Scenery, oval_mask, paste, settled, tinted
from training.data.faces import FACE_SCORE_MIN, LANDMARKS, SCORE, sizes, visible_share
from training.data.generated_scenes import drawn_scenery
from training.data.scene_set import is_grey

SHAPE = (120, 160)


@pytest.fixture(scope="module")
def scenery():
    scenes, (crops, crop_faces) = drawn_scenery(30, seed=1)
    greys = [np.repeat(scene.image[..., :1], 3, axis=2) for scene in scenes if not len(scene.faces)]
    colours = [scene.image for scene in scenes if not len(scene.faces)]
    return Scenery([scene for scene in scenes if len(scene.faces)], greys + colours, len(greys), crops, crop_faces)


def drawn(scenery, count=120):
    compose = Composer(scenery, SHAPE)
    return [compose(np.random.default_rng([3, number])) for number in range(count)]


def test_the_same_generator_gives_the_same_picture(scenery):
    compose = Composer(scenery, SHAPE)
    first, second = (compose(np.random.default_rng([1, 2, 3])) for _ in range(2))
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()
    assert any((first[0] != compose(np.random.default_rng([1, 2, 4]))[0]).ravel())


def test_pictures_and_faces_are_what_the_network_takes(scenery):
    for image, faces in drawn(scenery):
        assert image.shape == (*SHAPE, 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert faces.shape[1] == 15
        assert np.isfinite(faces).all()
        sure = faces[faces[:, SCORE] >= FACE_SCORE_MIN]
        assert (visible_share(sure, SHAPE) >= 0.5 - 1e-6).all()
        assert (sizes(sure) >= 14).all()


def test_there_are_faces_of_all_sizes_and_pictures_of_nobody(scenery):
    pictures = drawn(scenery, 300)
    sure = np.concatenate([sizes(faces[faces[:, SCORE] >= FACE_SCORE_MIN]) for _, faces in pictures])
    assert np.percentile(sure, 10) < 25
    assert np.percentile(sure, 90) > 60
    assert 0.05 < np.mean([len(faces) == 0 for _, faces in pictures]) < 0.5


def test_grey_does_not_tell_who_is_there(scenery):
    pictures = drawn(scenery, 600)
    grey = [np.mean([is_grey(image) for image, faces in pictures if bool(len(faces)) == there]) for there in (0, 1)]
    assert abs(grey[0] - grey[1]) < 0.12


def test_the_label_lies_on_the_pasted_face():
    """A crop that is white on black but for a red nose: the red must lie where the label says the nose is."""
    crop = np.full((112, 112, 3), 255, dtype=np.uint8)
    crop[66:77, 51:62] = [255, 0, 0]
    for seed in range(30):
        image = np.zeros((240, 320, 3), dtype=np.uint8)
        matrix = paste(image, crop, 0.8, np.random.default_rng(seed), np.zeros((240, 320), dtype=bool))
        x, y = matrix @ [56.5, 71.5, 1]
        red = (image[..., 0] > 150) & (image[..., 1] < 100)
        if not (20 < x < 300 and 20 < y < 220):
            continue
        rows, columns = np.nonzero(red)
        assert abs(columns.mean() - x) < 1.5
        assert abs(rows.mean() - y) < 1.5


def test_the_label_lies_on_the_face_of_a_moved_scene(scenery):
    """Each drawn scene with a marker on its nose: after moving, turning, mirroring it is where the label says."""
    from dataclasses import replace

    scenes = []
    for scene in scenery.scenes:
        image = np.zeros_like(scene.image)
        x, y = scene.faces[0, LANDMARKS].reshape(5, 2)[2].round().astype(int)
        image[y - 5 : y + 6, x - 5 : x + 6] = [255, 0, 255]
        scenes.append(replace(scene, image=image))
    compose = Composer(Scenery(scenes, [np.zeros((50, 50, 3), np.uint8)], 1, [], np.zeros((0, 15))), (240, 320))
    compose.behind = lambda _rng, shape: np.zeros((*shape, 3), dtype=np.uint8)
    seen = 0
    for number in range(60):
        image, faces = compose.placed(np.random.default_rng(number), (240, 320))
        rows, columns = np.nonzero(image[..., 0] > 128)
        x, y = faces[0, LANDMARKS].reshape(5, 2)[2]
        if len(rows) and 30 < x < 290 and 30 < y < 210:
            zoom = sizes(faces)[0] / 77
            assert abs(columns.mean() - x) < 1.5 + zoom
            assert abs(rows.mean() - y) < 1.5 + zoom
            seen += 1
    assert seen > 20


def test_small_and_hidden_faces_are_ignored_and_those_outside_dropped():
    face = np.array([0, 0, 40, 40, 0.9, *range(10)], dtype=np.float32)
    small = face.copy()
    small[0:4] = [10, 10, 20, 20]
    hidden, outside = face.copy(), face.copy()
    hidden[0:4] = [-30, 0, 10, 40]
    outside[0:4] = [-90, 0, -50, 40]
    kept = settled(np.stack([face, small, hidden, outside]), SHAPE)
    assert kept[:, SCORE] == pytest.approx([0.9, 0.5, 0.5])


def test_a_tinted_picture_keeps_its_shapes_and_gains_colour():
    grey = np.tile(np.arange(0, 250, 10, dtype=np.uint8)[None, :, None], (20, 1, 3))
    image = tinted(grey, np.random.default_rng(0))
    assert not is_grey(image)
    assert (np.diff(image[0].astype(int).sum(axis=1)) >= 0).all()


def test_the_oval_is_soft_and_covers_the_features():
    mask = oval_mask()
    assert mask[52, 38] > 0.95
    assert mask[92, 70] > 0.95
    assert mask[0, 0] == 0
    assert np.abs(np.diff(mask, axis=1)).max() < 0.2
