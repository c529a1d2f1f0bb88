import numpy as np
import pytest

from edge.inference.detector import STRIDES, grid
from training.detector.steps import FACE, IGNORED, NO_FACE, assign

CENTRES, CELL_STRIDES = grid(240, 320)


def face(x, y, size, score=0.9):
    half = size / 2
    return np.array([x - half, y - half, x + half, y + half, score, *([x, y] * 5)], dtype=np.float32)


def test_the_cells_of_each_stride_lie_row_by_row_at_the_middle_of_their_squares():
    assert len(CENTRES) == 40 * 30 + 20 * 15 + 10 * 8
    assert CENTRES[0].tolist() == [4, 4]
    assert CENTRES[1].tolist() == [12, 4]
    assert CENTRES[40].tolist() == [4, 12]
    assert CENTRES[1200].tolist() == [8, 8]
    assert CENTRES[-1].tolist() == [304, 240]


@pytest.mark.parametrize(
    ("size", "levels"), [(16, {8}), (30, {8}), (45, {8, 16}), (64, {16}), (90, {16, 32}), (200, {32})]
)
def test_a_face_belongs_to_the_level_of_its_size(size, levels):
    state, truth = assign(face(160, 120, size)[None], CENTRES, CELL_STRIDES)
    cells = state == FACE
    assert set(CELL_STRIDES[cells].astype(int)) == levels
    assert np.abs(CENTRES[cells] - [160, 120]).max() <= 1.5 * max(levels)
    assert (truth[cells, :4] == face(160, 120, size)[:4]).all()


def test_every_face_has_a_cell_at_every_place():
    rng = np.random.default_rng(0)
    for _ in range(300):
        one = face(*rng.uniform([0, 0], [320, 240]), np.exp(rng.uniform(np.log(14), np.log(230))))
        assert (assign(one[None], CENTRES, CELL_STRIDES)[0] == FACE).any()


def test_every_target_is_within_the_range_of_the_outputs():
    """The outputs are in 0 to 6: three to both sides of the middle."""
    from edge.inference.detector import CENTRE_UNIT, FACE_STRIDES, LANDMARK_UNIT, SIZE_UNIT

    rng = np.random.default_rng(1)
    for _ in range(300):
        size = np.exp(rng.uniform(np.log(14), np.log(230)))
        one = face(*rng.uniform([0, 0], [320, 240]), size)
        one[5:] += rng.uniform(-0.45, 0.45, 10) * size
        state, truth = assign(one[None], CENTRES, CELL_STRIDES)
        cells = state == FACE
        strides = CELL_STRIDES[cells, None]
        middle = (truth[cells, 0:2] + truth[cells, 2:4]) / 2 - CENTRES[cells]
        assert np.abs(middle / (CENTRE_UNIT * strides)).max() <= 3
        assert np.abs(np.log((truth[cells, 2:4] - truth[cells, 0:2]) / (FACE_STRIDES * strides)) / SIZE_UNIT).max() <= 3
        points = truth[cells, 4:].reshape(-1, 5, 2) - CENTRES[cells, None]
        assert np.abs(points / (LANDMARK_UNIT * strides[..., None])).max() <= 3


def test_an_unsure_face_is_ignored_and_a_sure_one_on_it_counts():
    unsure = face(100, 100, 60, score=0.5)
    state, _ = assign(unsure[None], CENTRES, CELL_STRIDES)
    inside = (np.abs(CENTRES - 100) <= 30).all(axis=1)
    assert (state[inside] == IGNORED).all()
    assert (state == FACE).sum() == 0
    far = (np.abs(CENTRES - 100) > 30 + max(STRIDES)).any(axis=1)
    assert (state[far] == NO_FACE).all()
    both, _ = assign(np.stack([unsure, face(104, 100, 20)]), CENTRES, CELL_STRIDES)
    assert (both == FACE).any()


def test_of_two_faces_on_one_cell_the_smaller_is_the_target():
    large, small = face(100, 100, 40), face(100, 100, 24)
    for order in ([large, small], [small, large]):
        state, truth = assign(np.stack(order), CENTRES, CELL_STRIDES)
        nearest = np.abs(CENTRES - 100).max(axis=1) <= 4
        assert (truth[nearest & (state == FACE) & (CELL_STRIDES == 8), :4] == small[:4]).all()


def test_without_faces_every_cell_is_background():
    state, truth = assign(np.zeros((0, 15), dtype=np.float32), CENTRES, CELL_STRIDES)
    assert (state == NO_FACE).all()
    assert not truth.any()
