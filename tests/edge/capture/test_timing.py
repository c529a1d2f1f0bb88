"""The times of frames, of files and of live sources."""

import struct

import numpy as np
import pytest

from edge.capture import open_source
from edge.capture.video import ROUNDING_SECONDS, Due, FileClock, plausible
from edge.config import CameraConfig
from tests.edge.capture.films import FPS, FRAMES, all_of, written


def test_a_file_that_claims_a_rate_that_cannot_be_is_timed_by_its_timestamps(decoder, tmp_path):  # noqa: ARG001
    """OpenCV reads 30,000 frames a second in it, and one of 60 frames was looked at."""
    data = bytearray(written(tmp_path / "film.mkv", "MJPG").read_bytes())
    at = data.index(b"\x23\xe3\x83\x84")  # DefaultDuration, four bytes: nanoseconds (RFC 9559)
    struct.pack_into(">I", data, at + 4, 11_111)
    (tmp_path / "fast.mkv").write_bytes(data)
    frames = all_of(open_source(CameraConfig("video", str(tmp_path / "fast.mkv"), FPS), fast=True))
    assert [frame.at for frame in frames] == pytest.approx([number / FPS for number in range(FRAMES)], abs=1e-3)
    half = all_of(open_source(CameraConfig("video", str(tmp_path / "fast.mkv"), FPS / 2), fast=True))
    assert len(half) == FRAMES / 2


@pytest.mark.parametrize("claimed", [90_000.0, 0.0, -25.0, float("nan"), float("inf"), 1e-300])
def test_a_file_is_timed_whatever_it_claims(claimed):
    assert not plausible(claimed)
    clock = FileClock(fps_max=10.0)
    clock.begin(claimed)
    assert [clock.next(at) for at in (5.0, 5.04, 5.08)] == pytest.approx([0.0, 0.04, 0.08])
    assert clock.next(3.0) == pytest.approx(0.18)  # a timestamp that goes back: fps_max
    assert clock.next(3.04) == pytest.approx(0.22)
    assert clock.next(float("nan")) == pytest.approx(0.32)
    assert clock.next(90_000.0) == pytest.approx(0.42)
    assert clock.next(95_000.0) == pytest.approx(0.52)  # one that jumps
    clock.begin(claimed)
    assert clock.next(0.0) == pytest.approx(0.62)  # another pass goes on


@pytest.mark.parametrize("claimed", [5.0, 25.0, 200.0])
def test_timestamps_that_contradict_a_plausible_rate_are_right(claimed):
    clock = FileClock(fps_max=10.0)
    clock.begin(claimed)
    assert [clock.next(0.05 * number) for number in range(40)] == pytest.approx([0.05 * n for n in range(40)])


def test_timestamps_that_no_film_has_are_replaced_by_the_rate():
    """A file whose time base is wrong: 90,000 frames a second by its timestamps."""
    clock = FileClock(fps_max=10.0)
    clock.begin(25.0)
    assert [clock.next(number / 90_000) for number in range(5)] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


def test_a_rate_that_a_film_does_not_have_skips_none_of_its_frames(decoder, tmp_path):  # noqa: ARG001
    """It claims 200 frames a second, and has 20 by its timestamps: 3 of 60 frames were looked at."""
    data = bytearray(written(tmp_path / "film.mkv", "MJPG").read_bytes())
    at = data.index(b"\x23\xe3\x83\x84")  # DefaultDuration, four bytes: nanoseconds (RFC 9559)
    struct.pack_into(">I", data, at + 4, 5_000_000)
    (tmp_path / "fast.mkv").write_bytes(data)
    frames = all_of(open_source(CameraConfig("video", str(tmp_path / "fast.mkv"), 10.0), fast=True))
    assert len(frames) == FRAMES / 2
    assert frames[-1].at == pytest.approx((FRAMES - 2) / FPS, abs=1e-3)


def test_timestamps_in_milliseconds_skip_no_frame_at_the_films_own_rate():
    clock, shown = FileClock(fps_max=30.0), 0
    clock.begin(30.0)
    for number in range(300):
        at = clock.next(round(number / 30, 3))
        assert (at + ROUNDING_SECONDS) * 30.0 >= shown
        shown = int((at + ROUNDING_SECONDS) * 30.0) + 1
    assert shown == 300


def test_a_plausible_rate_is_believed():
    clock = FileClock(fps_max=10.0)
    clock.begin(25.0)
    assert [clock.next(at) for at in (0.0, float("nan"), 99.0)] == pytest.approx([0.0, 0.04, 0.08])
    clock.begin(25.0)
    assert clock.next(0.0) == pytest.approx(0.12)


@pytest.mark.parametrize(
    ("camera", "fps_max", "taken"), [(10, 10, 10), (15, 10, 10), (25, 10, 10), (15, 15, 15), (5, 10, 5)]
)
def test_a_live_source_gives_as_many_frames_as_are_processed(camera, fps_max, taken):
    """They come a few milliseconds early or late."""
    rng, due = np.random.default_rng(0), Due(1 / fps_max)
    times = 1000.0 + np.arange(100 * camera) / camera + rng.uniform(-0.004, 0.004, 100 * camera)
    count = sum(due.at(now) for now in times)
    assert 0.98 * 100 * taken <= count <= 100 * taken + 2


def test_after_a_gap_no_more_frames_are_taken_than_before():
    due = Due(0.1)
    assert [due.at(now) for now in (0.0, 60.0, 60.04, 60.1, 60.14, 60.2)] == [True, True, False, True, False, True]
