"""What is wrong with frames is named after ten seconds of it, and not before; what only looks odd is not."""

import cv2
import numpy as np
import pytest

from edge.capture.health import LASTING_SECONDS as SECONDS
from edge.capture.health import FrameHealth
from edge.core.types import Frame

FPS = 2.0
RNG = np.random.default_rng(0)
SCENE = cv2.GaussianBlur(RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 6)


def noisy(image, deviation=2.0):
    """As a sensor sees it: never twice the same."""
    noise = RNG.normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def flat(*colour):
    return np.full((120, 160, 3), colour, np.uint8)


def night():
    """A street without light, seen without infrared: noise of a few levels, and one far window."""
    image = noisy(flat(3, 3, 4), 2.5)
    image[50:60, 100:108] = 90
    return image


def watched(health, make, seconds, begin=0.0):
    """What was said of every frame."""
    return [health.update(Frame(make(), begin + number / FPS)) for number in range(int(seconds * FPS) + 1)]


PROBLEMS = {
    "black": lambda: flat(0, 0, 0),
    "black, with the noise of a covered sensor": lambda: noisy(flat(1, 1, 1), 1.5),
    "single_colour": lambda: flat(0, 135, 0),  # a decoder without data
    "single_colour, dazzled": lambda: noisy(flat(255, 255, 255), 0.3),
    "frozen": lambda: SCENE,
}


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_a_problem_is_named_when_it_has_lasted(name):
    said = watched(FrameHealth(), PROBLEMS[name], 2 * SECONDS)
    first = int(SECONDS * FPS)
    assert set(said[:first]) == {None}
    assert set(said[first:]) == {name.split(",")[0]}


GOOD = {
    "a scene where nothing moves": lambda: noisy(SCENE),
    "a white wall": lambda: noisy(flat(200, 198, 195)),
    "fog": lambda: noisy(flat(128, 128, 128), 1.5),
    "a dark night": night,
    "a dark hall of noise alone": lambda: noisy(flat(5, 5, 6), 4.0),
}


@pytest.mark.parametrize("name", sorted(GOOD))
def test_what_a_sensor_sees_is_no_problem(name):
    assert set(watched(FrameHealth(), GOOD[name], 3 * SECONDS)) == {None}


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_it_recovers_at_once_and_must_last_again(name):
    health = FrameHealth()
    assert watched(health, PROBLEMS[name], SECONDS)[-1] is not None
    assert health.problem is not None
    assert health.update(Frame(noisy(SCENE), SECONDS + 1)) is None
    assert health.problem is None
    assert set(watched(health, PROBLEMS[name], SECONDS - 0.5, begin=SECONDS + 2)) == {None}


def test_a_problem_that_comes_and_goes_does_not_add_up():
    health = FrameHealth()
    for begin in range(0, 60, 8):
        assert set(watched(health, PROBLEMS["black"], 6.0, begin=begin)) == {None}
        health.update(Frame(noisy(SCENE), begin + 7.0))


def test_a_privacy_zone_does_not_hide_a_single_colour():
    image = flat(0, 135, 0)
    image[:, :50] = 0
    assert watched(FrameHealth(), lambda: image, SECONDS)[-1] == "single_colour"


def test_a_change_of_one_pixel_is_not_frozen():
    frames = iter(range(10_000))

    def one_pixel():
        image = SCENE.copy()
        image[3, 5, 0] ^= next(frames) % 2
        return image

    assert set(watched(FrameHealth(), one_pixel, 2 * SECONDS)) == {None}


def test_time_is_the_frames_own_also_with_few_frames():
    health = FrameHealth()
    assert health.update(Frame(flat(0, 0, 0), 100.0)) is None
    assert health.update(Frame(flat(0, 0, 0), 109.9)) is None
    assert health.update(Frame(flat(0, 0, 0), 160.0)) == "black"


def test_a_picture_of_another_size_is_not_frozen():
    health = FrameHealth()
    health.update(Frame(SCENE, 0.0))
    assert health.update(Frame(np.ascontiguousarray(SCENE.transpose(1, 0, 2)), 20.0)) is None
