import numpy as np
import pytest

from edge.core.views import every_nth, halved, mirrored, view


def test_a_view_that_shrinks_averages():
    image = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
    small = view(image, np.array([[0.125, 0, 0], [0, 0.125, 0]]), 75, 50)
    mean = image.reshape(50, 8, 75, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - mean).max() <= 2  # of noise whose every pixel is up to 128 off; rounded three times
    assert view(image, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 60, 40).std() < 12  # 37 without averages


@pytest.mark.parametrize("side", [64, 65])
def test_a_view_that_shrinks_moves_nothing(side):
    """A blot stays where the transform puts it, also where the picture is of an odd size."""
    across, down = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    blot = 200 * np.exp(-((across - 40) ** 2 + (down - 24) ** 2) / 50)
    small = view(np.repeat(blot[..., None], 3, axis=2).astype(np.uint8), np.array([[0.3, 0, 2], [0, 0.3, 1]]), 20, 20)
    weights = small[..., 0].astype(float)
    places = np.arange(20) + 0.5
    at = weights.sum(axis=0) @ places / weights.sum(), weights.sum(axis=1) @ places / weights.sum()
    assert at == pytest.approx((0.3 * 40 + 2, 0.3 * 24 + 1), abs=0.1)


@pytest.mark.parametrize("shape", [(480, 640), (1080, 1920), (721, 1283), (5, 7)])
@pytest.mark.parametrize("skip", [1, 2, 3, 4, 5])
def test_every_nth_pixel_is_that_of_a_slice(shape, skip):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    height, width = (side // skip for side in shape)
    sliced = image[skip // 2 :: skip, skip // 2 :: skip]
    assert np.array_equal(every_nth(image, skip), sliced[:height, :width])


def test_an_odd_side_ends_in_black_and_a_mirror_image_is_a_slice():
    image = np.full((3, 5, 3), 200, np.uint8)
    assert halved(image)[..., 0].tolist() == [[200, 200, 100], [100, 100, 50]]
    picture = np.random.default_rng(0).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    assert np.array_equal(mirrored(picture), picture[:, ::-1])
