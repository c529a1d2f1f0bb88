from dataclasses import replace

import numpy as np
import pytest

from training.data.augment import tinted
from training.data.faces import FACE_SCORE_MIN, LANDMARKS, SCORE, sizes, visible_share
from training.data.generated_scenes import drawn_scenery
from training.detector.compose import Composer, Scenery, oval_mask, paste, settled
from training.detector.scene_set import is_grey

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


def test_pictures_and_faces_have_the_form_of_the_networks_input(scenery):
    for image, faces in drawn(scenery):
        assert image.shape == (*SHAPE, 3)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        assert faces.shape[1] == 15
        assert np.isfinite(faces).all()
        sure = faces[faces[:, SCORE] >= FACE_SCORE_MIN]
        assert (visible_share(sure, SHAPE) >= 0.5 - 1e-6).all()
        assert (sizes(sure) >= 12).all()


def test_there_are_faces_of_all_sizes_and_pictures_without_faces(scenery):
    pictures = drawn(scenery, 300)
    sure = np.concatenate([sizes(faces[faces[:, SCORE] >= FACE_SCORE_MIN]) for _, faces in pictures])
    assert np.percentile(sure, 10) < 25
    assert np.percentile(sure, 90) > 60
    assert 0.05 < np.mean([len(faces) == 0 for _, faces in pictures]) < 0.5


def test_grey_pictures_have_faces_as_often_as_others(scenery):
    pictures = drawn(scenery, 600)
    grey = [np.mean([is_grey(image) for image, faces in pictures if bool(len(faces)) == there]) for there in (0, 1)]
    assert abs(grey[0] - grey[1]) < 0.12


@pytest.mark.parametrize("zoom", [0.3, 0.8, 1.0, 2.0])
def test_the_label_lies_on_the_pasted_face(zoom):
    """A white crop with a red square around (56.5, 71.5): the red must lie where the transform says."""
    crop = np.full((112, 112, 3), 255, dtype=np.uint8)
    crop[61:82, 46:67] = [255, 0, 0]
    seen = 0
    for seed in range(40):
        image = np.zeros((400, 500, 3), dtype=np.uint8)
        matrix = paste(image, crop, zoom, np.random.default_rng(seed), np.zeros((400, 500), dtype=bool))
        x, y = matrix @ [56.5, 71.5, 1]
        if 80 < x < 420 and 80 < y < 320:
            near = np.hypot(np.arange(500) + 0.5 - x, (np.arange(400) + 0.5 - y)[:, None]) < 20 * zoom
            assert centre_of(255 - image[..., 1].astype(float), near) == pytest.approx([x, y], abs=0.2)
            seen += 1
    assert seen > 5


def centre_of(weight, where):
    """The centre of a bright spot in continuous coordinates: the middle of a pixel lies at a half."""
    rows, columns = np.nonzero(where & (weight > 8))
    share = weight[rows, columns] / weight[rows, columns].sum()
    return [float((columns + 0.5) @ share), float((rows + 0.5) @ share)]


def test_the_label_lies_on_the_face_of_a_moved_scene(scenery):
    """A marker on each nose: after moving, turning and mirroring it is where the label says, at any zoom."""
    scenes = []
    for scene in scenery.scenes:
        image = np.zeros_like(scene.image)
        x, y = scene.faces[0, LANDMARKS].reshape(5, 2)[2].astype(int)
        image[y - 8 : y + 9, x - 8 : x + 9] = 255
        faces = scene.faces.copy()
        faces[0, LANDMARKS] = np.tile([x + 0.5, y + 0.5], 5)
        scenes.append(replace(scene, image=image, faces=faces))
    compose = Composer(Scenery(scenes, [np.zeros((50, 50, 3), np.uint8)], 1, [], np.zeros((0, 15))), (240, 320))
    compose.behind = lambda _rng, shape: np.zeros((*shape, 3), dtype=np.uint8)
    zooms = []
    for number in range(200):
        image, faces = compose.placed(np.random.default_rng(number), (240, 320))
        x, y = faces[0, LANDMARKS].reshape(5, 2)[2]
        if 40 < x < 280 and 40 < y < 200:
            grey = image[..., 0].astype(float)
            assert centre_of(grey, grey > 0) == pytest.approx([x, y], abs=0.35)
            zooms.append(sizes(faces)[0] / 77)
    assert len(zooms) > 40
    assert min(zooms) < 0.4
    assert max(zooms) > 1.5


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
