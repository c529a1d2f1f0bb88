"""What moves, and where is looked."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from edge.core.attention import Attention, AttentionRules, one_of_each, tiles, window_of
from edge.core.motion import MotionMap
from edge.core.types import Face, Frame
from tests.edge.core.fakes import SquareDetector, square

RED = (255, 20, 20)
POINTS = np.zeros((5, 2), dtype=np.float32)
RULES = AttentionRules()


class SmallDetector(SquareDetector):
    """Sees what the real one sees: nothing narrower than 16 px of its 320x240."""

    def detect(self, image, score_min=None):
        zoom = max(1.0, image.shape[1] / 320, image.shape[0] / 240)
        return [face for face in super().detect(image, score_min) if face.width_px >= 16 * zoom]


def picture(*faces, shape=(1080, 1920)):
    image = np.full((*shape, 3), 40, dtype=np.uint8)
    for left, top, size in faces:
        square(image, RED, left, top, size)
    return image


def face(left, top, size, score=0.9):
    return Face(np.array([left, top, left + size, top + size], dtype=np.float32), score, POINTS)


def look(attention, detector, image, at, tracked=()):
    frame = Frame(image, at)
    windows = attention.windows(frame, list(tracked))
    return windows, attention.find(frame, windows, detector, 0.5) if windows else []


def test_noise_and_clouds_do_not_move_but_a_person_does():
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 180, (240, 320, 3)).astype(np.float32)

    def frame(light=0.0, person=None, noise=3):
        image = scene + light + rng.normal(0, noise, scene.shape)
        if person is not None:
            image[80:200, person : person + 40] = 220
        return np.clip(image, 0, 255).astype(np.uint8)

    motion = MotionMap()
    assert motion.moved(frame(), 8).all()
    assert max(motion.moved(frame(2 * step), 8).sum() for step in range(1, 15)) < 3
    assert all(motion.moved(frame(28, 20 + 10 * step), 8).sum() >= 3 for step in range(10))
    dark = MotionMap()
    dark.moved(frame(noise=9), 8)
    assert max(dark.moved(frame(noise=9), 8).sum() for _ in range(20)) < 3


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8, 1.0])
def test_somebody_who_is_suddenly_before_the_lens_moves_whatever_they_hide(share):
    rng = np.random.default_rng(0)
    scene, face = (cv2.resize(part, (640, 480)) for part in (astronaut()[300:], astronaut()[20:180, 140:300]))

    def noisy(image):
        return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)

    motion = MotionMap()
    for _ in range(20):
        still = motion.moved(noisy(scene), 8)
    assert not still.any()
    near = scene.copy()
    near[:, : round(640 * share)] = face[:, : round(640 * share)]
    assert [motion.moved(noisy(near), 8).mean() > 0.1 for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("gain", [0.5, 0.7, 0.85])
def test_a_lamp_moves_nothing_though_it_changes_light_places_most(gain):
    scene, motion = cv2.resize(astronaut()[300:], (640, 480)), MotionMap()
    for _ in range(20):
        motion.moved(scene, 8)
    for _ in range(5):
        assert motion.moved(np.clip(scene * gain, 0, 255).astype(np.uint8), 8).sum() < 3


@pytest.mark.parametrize("shape", [(720, 1280), (1080, 1920), (960, 1280), (1920, 1080), (500, 700)])
def test_tiles_cover_every_place_and_a_face_of_100_px_is_whole_in_one(shape):
    height, width = shape
    laid = tiles(width, height, 2, 128)
    for top in range(0, height - 100, 37):
        for left in range(0, width - 100, 41):
            assert any(
                tile.left <= left and tile.top <= top and left + 100 <= tile.right and top + 100 <= tile.bottom
                for tile in laid
            )


def test_somebody_small_who_never_moves_is_found_within_two_seconds_and_then_rests():
    attention, detector, image = Attention(RULES), SmallDetector(), picture((1500, 700, 40))
    found = [look(attention, detector, image, step / 10)[1] for step in range(20)]
    assert any(found)
    box = next(faces for faces in found if faces)[0].box
    assert box.tolist() == [1500, 700, 1540, 740]
    counts = [len(look(attention, detector, image, 2 + step / 10)[0]) for step in range(100)]
    assert sum(counts) <= 12 + 2 + 2  # each tile once, the whole view twice


def test_the_whole_view_alone_would_not_see_them():
    assert not SmallDetector().detect(picture((1500, 700, 40)))


def test_where_something_small_moves_is_looked_at_soon():
    attention, detector = Attention(RULES), SmallDetector()
    for step in range(30):
        look(attention, detector, picture(), step / 10)
    seen = [bool(look(attention, detector, picture((300 + 8 * step, 200, 40)), 3 + step / 10)[1]) for step in range(10)]
    assert any(seen[:3])


def test_a_track_has_a_window_in_every_frame_and_the_budget_holds():
    attention, detector, image = Attention(RULES), SmallDetector(), picture((1500, 700, 40))
    for step in range(30):
        windows, faces = look(attention, detector, image, step / 10, [face(1500, 700, 40)])
        assert len(windows) <= RULES.windows_per_frame_max
        assert [one.box.tolist() for one in faces] == [[1500, 700, 1540, 740]]


def test_many_tracks_do_not_keep_the_rest_from_being_looked_at():
    attention, detector = Attention(RULES), SmallDetector()
    tracked = [face(400 * column, 100, 40) for column in range(4)]
    image, looked = picture((1500, 900, 40)), []
    for step in range(30):
        looked += look(attention, detector, image, step / 10, tracked)[1]
    assert looked


def test_one_face_in_two_windows_is_one_and_a_cut_one_is_found_whole_next():
    assert [one.score for one in one_of_each([face(10, 10, 40, 0.8), face(12, 11, 40), face(100, 10, 40)])] == [
        0.9,
        0.9,
    ]
    attention, detector = Attention(RULES), SmallDetector()
    edge = tiles(1920, 1080, 2, 128)[0].right
    image = picture((edge - 60, 20, 200))
    for step in range(8):
        frame = Frame(image, step / 10)
        found = attention.find(frame, attention.windows(frame, []), detector, 0.5)
        assert all(one.width_px == pytest.approx(200, abs=8) for one in found)
        if found:
            return
    pytest.fail("it was not found")


def test_a_window_of_its_own_lies_around_a_face_and_in_the_picture():
    window = window_of(face(1880, 1040, 40), 1920, 1080)
    assert (window.right - window.left, window.bottom - window.top) == (320, 240)
    assert (window.right, window.bottom) == (1920, 1080)
    assert window_of(face(600, 200, 700), 1920, 1080).whole


def test_a_vga_frame_is_looked_at_whole_in_each_frame_with_motion_and_every_five_seconds_without():
    attention, detector, image = Attention(RULES), SmallDetector(), picture(shape=(480, 640))
    looked = [step for step in range(110) if look(attention, detector, image, step / 10)[0]]
    assert looked == [0, 50, 100]
    moving = [
        look(attention, detector, picture((50 + 9 * step, 50, 60), shape=(480, 640)), 11 + step / 10)[0]
        for step in range(9)
    ]
    assert all(windows[0].whole for windows in moving)
