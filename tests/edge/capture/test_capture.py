"""Sources of frames, on real files; every one keeps the same contract."""

import sys
import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.capture import open_source
from edge.capture.altered import Masked
from edge.capture.latest import LatestFrame
from edge.config import CameraConfig
from edge.core.types import Frame
from edge.errors import CameraError
from edge.system.secret import masked
from tests.edge.capture.fakes import FakePicamera2

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


@pytest.fixture(params=["video", "images", "picamera", "zones"])
def any_source(request, video, folder, monkeypatch):
    """Every kind of source, at its own pace, and how often a frame comes from it."""
    zones = ((0.9, 0.0, 0.1, 0.1),) if request.param == "zones" else ()
    kind = "images" if request.param == "zones" else request.param
    if kind == "picamera":
        camera = FakePicamera2(every_seconds=1 / FPS, ends=FRAMES - 1)
        monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=lambda: camera))
    location = {"video": str(video), "images": str(folder), "picamera": ""}[kind]
    source = open_source(CameraConfig(kind, location, FPS, privacy_zones=zones))
    yield source
    source.close()


def test_every_source_keeps_the_contract(any_source):
    frames = []
    newest_at = time.monotonic()
    while not any_source.ended and time.monotonic() < newest_at + 1.0:
        frame = any_source.read(0.01)  # less than a frame takes
        if frame is not None:
            frames.append(frame)
            newest_at = time.monotonic()
    assert len(frames) > FRAMES / 2
    missed = FRAMES - len(frames) - any_source.dropped  # a camera drops what comes while nobody asks, uncounted
    assert missed == 0 or (0 <= missed < 5 and not any_source.ended)
    numbers = [number_in(frame.best) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert all(later.at > earlier.at for earlier, later in pairwise(frames))
    assert frames[-1].at - frames[0].at == pytest.approx((numbers[-1] - numbers[0]) / FPS, abs=0.3)
    for image in (picture for frame in frames for picture in (frame.image, frame.best)):
        assert (image.ndim, image.shape[2], image.dtype) == (3, 3, np.uint8)


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


@pytest.mark.parametrize("loop", [False, True])
def test_what_cannot_be_read_in_a_folder_is_skipped_and_named_once(tmp_path, caplog, loop):
    for number in (1, 3, 5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), numbered(number)[..., ::-1])
    (tmp_path / "2.png").write_bytes(b"no picture")
    (tmp_path / "4.jpg").mkdir()
    (tmp_path / "6").mkdir()
    (tmp_path / "._5.jpg").write_bytes(b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ")
    source = open_source(CameraConfig("images", str(tmp_path), 50.0), fast=True, loop=loop)
    frames = [source.read(1.0) for _ in range(9)] if loop else all_of(source)
    assert [number_in(frame.image) for frame in frames] == [1, 3, 5] * (3 if loop else 1)
    assert [frame.at for frame in frames] == pytest.approx([number / 50 for number in range(len(frames))])
    assert {path.name for path in source.skipped} == {"2.png", "4.jpg", "._5.jpg"}
    assert sorted(record.getMessage().removeprefix(f"{tmp_path}/") for record in caplog.records) == [
        "._5.jpg is not JPEG, PNG, WebP, BMP, TIFF or GIF (24 bytes); it is skipped",
        "2.png is not JPEG, PNG, WebP, BMP, TIFF or GIF (10 bytes); it is skipped",
        "4.jpg is no file; it is skipped",
    ]


def test_many_pictures_that_cannot_be_read_are_counted(tmp_path, caplog):
    for number in range(30):
        (tmp_path / f"{number}.png").write_bytes(b"no picture")
    cv2.imwrite(str(tmp_path / "x.png"), numbered(1))
    source = open_source(CameraConfig("images", str(tmp_path), 50.0), fast=True)
    assert len(all_of(source)) == 1
    assert len(source.skipped) == 30
    assert len(caplog.records) == 11
    assert "more pictures" in caplog.records[-1].getMessage()


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("loop", [False, True])
def test_a_folder_of_which_nothing_can_be_read_is_an_error(tmp_path, loop, fast):
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / "2.jpg").write_bytes(cv2.imencode(".jpg", numbered(1))[1].tobytes()[:-100])
    source = open_source(CameraConfig("images", str(tmp_path), 50.0), fast=fast, loop=loop)
    with pytest.raises(CameraError, match=r"no picture in .* can be read \(2 were tried\)"):
        all_of(source)


@pytest.mark.parametrize("error", [CameraError("gone"), MemoryError(), cv2.error("what OpenCV says")])
def test_whatever_ends_the_thread_reaches_the_reader(error):
    class Failing:
        live = True

        def __iter__(self):
            yield Frame(numbered(1), 1.0)
            raise error

        def close(self):
            pass

    source = LatestFrame(Failing())
    while not source.ended:
        time.sleep(0.001)
    assert source.read(1.0) is not None  # what came before it
    for _ in range(2):
        with pytest.raises(type(error)) as found:
            source.read(1.0)
        assert found.value is error
    source.close()


class Endless:
    """A camera that never ends, faster than anybody reads."""

    live = True

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
    assert masked("rtsp://me@mail.example:secret@camera/1") == "rtsp://me@mail.example:********@camera/1"
    assert masked("/dev/video0") == "/dev/video0"
    assert masked("pictures/img_?.png") == "pictures/img_?.png"


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


@pytest.fixture
def arrows(tmp_path):
    """A folder, and a video without loss, of the same picture: red in its upper left quarter, on grey."""
    picture = np.full((120, 160, 3), 90, np.uint8)
    picture[:60, :80] = (250, 10, 10)
    (tmp_path / "pictures").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "arrow.avi"), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (160, 120))
    for number in range(3):
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), picture[..., ::-1])
        writer.write(picture[..., ::-1])
    writer.release()
    return {"images": tmp_path / "pictures", "video": tmp_path / "arrow.avi"}


def red_corner(image):
    """Where the red quarter is: rows and columns of its middle, in halves of the picture."""
    rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 1] < 60))
    return int(2 * rows.mean() / image.shape[0]), int(2 * columns.mean() / image.shape[1])


@pytest.mark.parametrize("kind", ["images", "video"])
@pytest.mark.parametrize(
    ("degrees", "mirror", "corner"),
    [
        (0, False, (0, 0)),
        (90, False, (0, 1)),
        (180, False, (1, 1)),
        (270, False, (1, 0)),
        (0, True, (0, 1)),
        (90, True, (0, 0)),
        (180, True, (1, 0)),
        (270, True, (1, 1)),
    ],
)
def test_every_source_is_turned_upright_before_its_zones_are_black(arrows, kind, degrees, mirror, corner):
    zone = (0.0, 0.0, 1.0, 0.1)  # the upper tenth of the picture as it is shown
    camera = CameraConfig(kind, str(arrows[kind]), rotate_deg=degrees, mirror=mirror, privacy_zones=(zone,))
    source = open_source(camera, fast=True)
    image = source.read(2.0).image
    source.close()
    assert image.shape == ((160, 120, 3) if degrees in {90, 270} else (120, 160, 3))
    assert red_corner(image) == corner
    assert not image[: image.shape[0] // 10].any()
    assert image[-1, 60].any()
