"""Sources of frames, on real files; every one keeps the same contract."""

import threading
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest

from edge.capture import open_source
from edge.capture.latest import LatestFrame
from edge.capture.picamera import rgb_of_yuv420
from edge.capture.video import masked
from edge.capture.zones import Masked
from edge.config import CameraConfig
from edge.core.types import Frame
from edge.errors import CameraError

FPS, FRAMES = 20.0, 30


def numbered(number):
    """A picture that says which one it is, through any codec."""
    return np.full((120, 160, 3), [8 * number, 255 - 8 * number, 100], dtype=np.uint8)


def number_in(image):
    return round(float(image[..., 0].mean()) / 8)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "numbers.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (160, 120))
    for number in range(FRAMES):
        writer.write(numbered(number)[..., ::-1])
    writer.release()
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures")
    for number in range(FRAMES):
        cv2.imwrite(str(path / f"{number:03d}.png"), numbered(number)[..., ::-1])
    (path / "notes.txt").write_text("no picture")
    return path


def all_of(source, timeout_seconds=2.0):
    frames = []
    while (frame := source.read(timeout_seconds)) is not None:
        frames.append(frame)
    return frames


@pytest.mark.parametrize("kind", ["video", "images"])
def test_fast_gives_every_frame_in_order_with_the_files_own_time(kind, video, folder):
    source = open_source(CameraConfig(kind, str(video if kind == "video" else folder), FPS), fast=True)
    frames = all_of(source)
    assert [number_in(frame.image) for frame in frames] == list(range(FRAMES))
    assert [frame.at for frame in frames] == pytest.approx([number / FPS for number in range(FRAMES)])
    assert frames[0].image.shape == (120, 160, 3)
    assert source.ended
    assert source.dropped == 0


@pytest.mark.parametrize("kind", ["video", "images"])
def test_at_its_own_pace_a_slow_reader_gets_the_present_and_the_rest_is_counted(kind, video, folder):
    source = open_source(CameraConfig(kind, str(video if kind == "video" else folder), FPS))
    started = time.monotonic()
    seen = []
    while (frame := source.read(2.0)) is not None:
        seen.append(number_in(frame.image))
        behind = time.monotonic() - started - frame.at
        assert behind < 1.0
        time.sleep(0.2)
    assert seen == sorted(set(seen))
    assert len(seen) < FRAMES
    assert len(seen) + source.dropped == FRAMES
    source.close()


def test_fewer_frames_a_second_than_the_file_has(video):
    frames = all_of(open_source(CameraConfig("video", str(video), fps_max=5.0), fast=True))
    assert [number_in(frame.image) for frame in frames] == list(range(0, FRAMES, 4))


@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_loop_begins_again_and_its_clock_goes_on(kind, video, folder):
    camera = CameraConfig(kind, str(video if kind == "video" else folder), FPS)
    source = open_source(camera, fast=True, loop=True)
    frames = [source.read(1.0) for _ in range(2 * FRAMES + 5)]
    assert [number_in(frame.image) for frame in frames] == [*range(FRAMES), *range(FRAMES), *range(5)]
    assert all(later.at > earlier.at for earlier, later in pairwise(frames))
    source.close()


@pytest.mark.parametrize(
    ("camera", "says"),
    [
        (CameraConfig("video", "/nowhere/film.mp4"), "there is no video /nowhere/film.mp4"),
        (CameraConfig("images", "/nowhere"), "no pictures in /nowhere"),
        (CameraConfig("picamera"), "sudo apt install python3-picamera2"),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(camera, says):
    with pytest.raises(CameraError, match=says):
        open_source(camera)


def test_a_file_that_is_no_video_is_named(tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(b"no film" * 100)
    with pytest.raises(CameraError, match="cannot be opened as video"):
        open_source(CameraConfig("video", str(path)))


def test_a_broken_picture_ends_the_source_with_its_name(tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), numbered(1))
    (tmp_path / "2.png").write_bytes(b"no picture")
    source = open_source(CameraConfig("images", str(tmp_path), 50.0))
    assert source.read(2.0) is not None
    with pytest.raises(CameraError, match=r"2\.png is not a readable image"):
        all_of(source)


class Endless:
    """A camera that never ends, faster than anybody reads."""

    live = True
    frames_per_second = 1000.0

    def __init__(self):
        self.closed = False

    def __iter__(self):
        number = 0
        while True:
            number += 1
            time.sleep(0.001)
            yield Frame(numbered(0), float(number))

    def close(self):
        self.closed = True


def test_a_live_source_is_never_behind_and_lets_go():
    frames = Endless()
    source = LatestFrame(frames)
    time.sleep(0.2)
    first = source.read(1.0)
    time.sleep(0.2)
    second = source.read(1.0)
    assert second.at - first.at > 20  # what came between is gone
    assert source.dropped > 20
    source.close()
    assert frames.closed
    assert "capture" not in {thread.name for thread in threading.enumerate()}


def test_a_stream_that_is_not_there_is_tried_again_and_again():
    source = open_source(CameraConfig("video", "rtsp://127.0.0.1:1/none"))
    assert source.read(0.1) is None
    assert not source.ended
    source.close()


def test_an_address_is_shown_without_its_password():
    assert masked("rtsp://user:secret@camera/1") == "rtsp://user:********@camera/1"
    assert masked("rtsp://user:se/cr@et@camera/1") == "rtsp://user:********@camera/1"
    assert masked("rtsp://camera/1?user=u&password=secret") == "rtsp://camera/1?********"
    assert masked("/dev/video0") == "/dev/video0"


def test_the_padding_of_the_pis_camera_is_cut_off():
    """A picture as the camera lays it out: rows padded from 320 to 384 bytes, colour planes at half of that."""
    rgb = cv2.resize(np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8), (320, 240))
    packed = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)  # (360, 320)
    stride = 384
    padded = np.full((360, stride), 77, dtype=np.uint8)
    padded[:240, :320] = packed[:240]
    halves = packed[240:].reshape(2, 120, 160)
    wide = np.full((2, 120, stride // 2), 77, dtype=np.uint8)
    wide[:, :, :160] = halves
    padded[240:] = wide.reshape(120, stride)
    seen = rgb_of_yuv420(padded, (320, 240))
    assert (seen == cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_I420)).all()
    assert np.abs(seen.astype(int) - rgb).mean() < 12


def test_privacy_zones_are_black_in_every_picture_of_a_frame():
    class Two:
        ended, dropped = False, 7

        def read(self, _timeout_seconds):
            return Frame(np.full((120, 160, 3), 90, np.uint8), 1.5, full=np.full((480, 640, 3), 90, np.uint8))

        def close(self):
            self.ended = True

    source = Masked(Two(), ((0.0, 0.0, 0.25, 1.0), (0.995, 0.5, 0.5, 0.5)))
    frame = source.read(0.1)
    for image in (frame.image, frame.full):
        height, width = image.shape[:2]
        assert not image[:, : width // 4].any()
        assert (image[:, width // 4 : -4] == 90).all()
        assert (image[: height // 2, width // 4 :] == 90).all()
        assert not image[height // 2 :, -1:].any()  # also where the zone is narrower than a pixel
    assert (frame.at, source.dropped, source.ended) == (1.5, 7, False)
    source.close()
    assert source.ended
