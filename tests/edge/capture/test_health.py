"""What is wrong with frames is named after ten seconds of it, and not before; what only looks odd is not."""

from itertools import cycle
from typing import get_args

import cv2
import numpy as np
import pytest

from edge.capture.health import LASTING_SECONDS as SECONDS
from edge.capture.health import REMEDIES, FrameHealth, FrameProblem, problem_of
from edge.core.types import Frame

FPS = 2.0
RNG = np.random.default_rng(0)
SCENE = cv2.GaussianBlur(RNG.integers(0, 256, (120, 160, 3), dtype=np.uint8), (0, 0), 6)


def torn(share=0.5):
    """The lower part was lost, and is of the colour that a decoder fills in."""
    image = noisy(SCENE)
    image[int(len(image) * (1 - share)) :] = (0, 135, 0)
    return image


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
    "a sky that is clipped to white": lambda: with_rows(slice(0, 60), (255, 255, 255)),
    "a privacy zone from edge to edge": lambda: with_rows(slice(60, 120), (0, 0, 0)),
    "a bar of a camera's own writing": lambda: with_rows(slice(0, 16), (40, 40, 40)),
    "a grey zone that is no row": lambda: with_rows(slice(30, 120), (128, 128, 128), slice(0, 150)),
}


def with_rows(rows, colour, columns=slice(None)):
    image = noisy(SCENE)
    image[rows, columns] = colour
    return image


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


def mixed(*makers):
    """In turn."""
    turn = cycle(makers)

    def make():
        return next(turn)()

    return make


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (torn, True),
        (lambda: torn(0.3), True),
        (lambda: torn(0.2), False),
        (mixed(torn, torn, lambda: noisy(SCENE)), True),
        (mixed(torn, lambda: noisy(SCENE), lambda: noisy(SCENE)), False),  # a packet is lost now and then
    ],
)
def test_frames_that_are_torn_are_named_where_half_of_them_are(make, named):
    said = watched(FrameHealth(), make, 3 * SECONDS)
    assert set(said[: int(SECONDS * FPS)]) == {None}
    assert set(said[int(1.5 * SECONDS * FPS) :]) == ({"torn"} if named else {None})


def test_what_a_decoder_says_is_damaged_is_torn_and_recovers_without_flapping():
    health = FrameHealth()

    def see(begin, seconds, share):
        frames = int(seconds * FPS)
        damaged = [number % 10 < 10 * share for number in range(frames)]
        return [health.update(Frame(noisy(SCENE), begin + n / FPS, damaged=damaged[n])) for n in range(frames)]

    assert set(see(0, 30, 0.0)) == {None}
    assert see(30, 15, 1.0)[-1] == "torn"
    assert set(see(45, 30, 0.4)) == {"torn"}  # less than what begins it, more than what ends it
    said = see(75, 30, 0.0)
    assert said[0] == "torn"
    assert said[-1] is None
    assert set(said[int(SECONDS * FPS) :]) == {None}


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_a_few_frames_have_the_problem_that_all_of_them_have(name):
    problem = name.split(",")[0]
    frames = [Frame(PROBLEMS[name](), number / 10) for number in range(5)]
    assert problem_of(frames) == problem
    assert problem_of(frames[:1]) == (None if problem == "frozen" else problem)
    assert problem_of([*frames[:4], Frame(noisy(SCENE), 0.4)]) is None
    assert problem_of([Frame(noisy(SCENE), 0.0), *frames[1:]]) is None
    assert problem_of([]) is None


def test_every_problem_has_a_remedy():
    assert set(REMEDIES) == set(get_args(FrameProblem))
