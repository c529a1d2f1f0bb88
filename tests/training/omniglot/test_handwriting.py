import numpy as np
import pytest

from training.data.drawings import aligned, scaled
from training.data.drawn_characters import drawn_alphabets
from training.omniglot.handwriting import handwriting, kochs_distortion, recast


@pytest.fixture(scope="module")
def drawings():
    return drawn_alphabets("drawn", alphabets=2, drawers=2, prepare=lambda ink: aligned(ink, 32), seed=1).images


@pytest.mark.parametrize("strength", [0.0, 0.6])
def test_another_hand_draws_a_similar_drawing_of_the_same_character(drawings, strength):
    rng = np.random.default_rng(0)
    again = np.stack([handwriting(drawing, rng, strength) for drawing in drawings])
    assert again.shape == drawings.shape
    assert again.dtype == np.uint8
    flat, flat_again = (images.reshape(len(images), -1) / 255 for images in (drawings, again))
    assert not (flat == flat_again).all(axis=1).all()
    nearest = ((flat_again[:, None] - flat[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest // 2 == np.arange(len(drawings)) // 2).mean() > 0.5  # chance is 1 in 40


def test_the_same_generator_draws_the_same(drawings):
    first, second = (handwriting(drawings[0], np.random.default_rng(7), 0.6) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, handwriting(drawings[0], np.random.default_rng(8), 0.6))


def test_kochs_distortions_stay_within_the_published_limits_and_leave_one_in_128_unchanged():
    rng = np.random.default_rng(0)
    drawn = [kochs_distortion(rng) for _ in range(4000)]
    assert all(np.abs(shift).max() <= 2 / 105 for _, shift in drawn)
    assert all(0.5 < np.linalg.det(linear) < 1.6 for linear, _ in drawn)
    untouched = np.mean([np.array_equal(linear, np.eye(2)) and not shift.any() for linear, shift in drawn])
    assert untouched == pytest.approx(1 / 128, abs=0.006)


def test_an_alphabet_is_recast_by_one_transform_that_keeps_its_area():
    first, second = (recast(np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    determinants = [np.linalg.det(recast(np.random.default_rng(seed))) for seed in range(50)]
    assert determinants == pytest.approx(np.ones(50))


def test_characters_of_one_alphabet_are_recast_alike():
    blank = np.zeros((32, 32, 1), dtype=np.uint8)
    blank[10:20, 4:8] = 255
    hand = np.random.default_rng(5).bit_generator.state

    def drawn(alphabet_seed):
        rng = np.random.default_rng(5)
        rng.bit_generator.state = hand
        return handwriting(blank, rng, 0.6, np.random.default_rng(alphabet_seed))

    assert np.array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))


def test_a_scaled_drawing_keeps_its_share_of_ink():
    ink = np.zeros((105, 105), dtype=bool)
    ink[20:60, 30:40] = True
    assert scaled(ink, 35).mean() / 255 == pytest.approx(ink.mean(), abs=0.003)
