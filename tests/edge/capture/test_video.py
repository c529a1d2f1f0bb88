"""Videos that are damaged, turned, or claim what is not so, through both decoders."""

import re
import shutil
import struct
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.capture import decoders, no_frame, open_source, video
from edge.capture.decoders import OpenCvDecoder, PyAvDecoder, about_decoder, open_decoder, pyav
from edge.capture.video import VideoFrames, resolved
from edge.config import CameraConfig
from edge.core.attention import Attention, AttentionRules
from edge.errors import CameraError
from tests.edge.capture.fakes import FakeCapture
from tests.edge.capture.films import FPS, FRAMES, PICTURE, all_of, needs_pyav, written
from tests.household import until


def test_the_decoder_is_pyav_where_it_is_installed_and_opencv_for_devices(decoder, film):
    opened = open_decoder(str(film))
    opened.close()
    assert type(opened) is (PyAvDecoder if decoder == "pyav" else OpenCvDecoder)


@pytest.mark.parametrize(
    ("device", "refusal", "said"),
    [
        ("/dev/video99", None, "there is no /dev/video99 here.*: is the camera plugged in?.* `devices` of its"),
        ("/dev/null", None, "/dev/null cannot be opened as video: is it a camera, and does no other program use it?"),
        ("/dev/null", PermissionError, r"/dev/null is closed to user \d+ and open to group 0: .*`group_add: ..0..` of"),
        ("/dev/null", OSError(19, "No such device"), "/dev/null cannot be opened as video: No such device; is the"),
    ],
)
def test_a_device_that_cannot_be_opened_says_why_and_what_to_do(device, refusal, said, monkeypatch):
    if refusal:
        monkeypatch.setattr("os.open", Mock(side_effect=refusal))  # root may open everything
    with pytest.raises(CameraError, match=said.replace("?", r"\?")):
        open_decoder(device)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("/dev/video99", "video /dev/video99 gave no frame in 5 s: there is no /dev/video99"),
        ("rtsp://me:secret@127.0.0.1:1/x", r"//me:\*+@127.0.0.1:1/x gave no frame in 5 s: rtsp://me:\*+@.* cannot be"),
    ],
)
def test_a_live_source_says_why_it_gives_no_frame(location, said):
    camera = CameraConfig("video", location)
    source = open_source(camera)
    until(lambda: source.about.failure)
    source.close()
    assert re.search(said, str(no_frame(camera, source.about, 5.0)))


def test_the_decoder_is_said(decoder, film):
    source = open_source(CameraConfig("video", str(film), FPS))
    source.close()
    wanted = r"read by PyAV \d+" if decoder == "pyav" else r"read by OpenCV \d.*for want of PyAV.*pip install 'av<19'"
    assert re.match(wanted, source.about.text)
    assert about_decoder("/dev/video0").startswith("read by OpenCV ")


def test_a_large_film_keeps_its_size(decoder, tmp_path):  # noqa: ARG001
    """Windows of it are looked at in its own pixels, and faces are cut from them."""
    path = written(tmp_path / "large.avi", "MJPG", size=(1920, 1080), frames=2)
    for frame in all_of(open_source(CameraConfig("video", str(path), FPS), fast=True)):
        assert frame.best.shape == (1080, 1920, 3)
        windows = Attention(AttentionRules()).windows(frame, [])
        assert any(not window.whole and window.zoom <= 2 for window in windows)


@pytest.mark.parametrize(
    ("version", "used"), [("14.0.1", False), ("14.1.0", True), ("18.9.9", True), ("19.0.0", False)]
)
def test_a_version_of_pyav_that_was_not_tested_is_not_used(monkeypatch, version, used):
    """19.0 has no metadata_errors: it raised a TypeError from the first file on."""
    monkeypatch.setattr(decoders, "import_module", lambda _name: SimpleNamespace(__version__=version))
    assert (pyav() is not None) is used


def test_a_camera_without_colours_is_grey(captures):
    captures(FakeCapture([np.full((120, 160), 90, np.uint8)] * 100))
    source = open_source(CameraConfig("video", "/dev/video7", 1000.0))
    assert (source.read(2.0).image == PICTURE).all()
    source.close()


@needs_pyav
@pytest.mark.parametrize("live", [False, True])
def test_a_frame_keeps_its_own_size(tmp_path, live, monkeypatch):
    """A phone that is turned: a circle stays a circle."""
    path = tmp_path / "turned.mjpeg"
    shapes = [(120, 160)] * 5 + [(160, 120)] * 5 + [(60, 80)] * 5
    with path.open("wb") as file:
        for height, width in shapes:
            image = np.zeros((height, width, 3), np.uint8)
            cv2.circle(image, (width // 2, height // 2), 25, (255, 255, 255), -1)
            file.write(cv2.imencode(".jpg", image)[1].tobytes())
    if live:
        monkeypatch.setattr(video, "resolved", lambda location: location)
        frames = []
        for frame in VideoFrames(f"file://{path}", 1e9):
            frames.append(frame)
            if len(frames) == len(shapes):
                break
    else:
        frames = all_of(open_source(CameraConfig("video", str(path), 100.0), fast=True))
    assert [frame.image.shape[:2] for frame in frames] == shapes
    for frame in frames:
        rows, columns = np.nonzero(frame.image[..., 0] > 128)
        assert abs(np.ptp(rows) - np.ptp(columns)) <= 2


@pytest.mark.parametrize(
    ("matrix", "shape", "corner"),
    [((1, 0, 0, 1), (120, 160), (0, 0)), ((0, 1, -1, 0), (160, 120), (0, -1)), ((-1, 0, 0, -1), (120, 160), (-1, -1))],
)
def test_a_film_of_a_phone_is_upright(decoder, film, tmp_path, matrix, shape, corner):  # noqa: ARG001
    data = bytearray(film.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    at = data.index(b"tkhd") + 44  # its matrix (ISO/IEC 14496-12, 8.3.2)
    struct.pack_into(">9i", data, at, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    (tmp_path / "turned.mp4").write_bytes(data)
    frame = open_source(CameraConfig("video", str(tmp_path / "turned.mp4"), FPS), fast=True).read(1.0)
    assert frame.image.shape[:2] == shape
    assert (frame.image[corner] > 220).all()


@pytest.mark.parametrize(
    ("location", "means"),
    [
        ("0", "/dev/video0"),
        ("12", "/dev/video12"),
        ("/dev/video3", "/dev/video3"),
        ("file:///films/a%20b.mp4", "/films/a b.mp4"),
        ("file://localhost/films/a.mp4", "/films/a.mp4"),
        ("FILE:films/a.mp4", "films/a.mp4"),
        ("rtsp://camera/1", "rtsp://camera/1"),
        ("0.mp4", "0.mp4"),
        ("²", "²"),
    ],
)
def test_what_a_location_means(location, means):
    assert resolved(location) == means


def test_the_address_of_a_file_is_a_file_that_ends(decoder, film):  # noqa: ARG001
    source = open_source(CameraConfig("video", f"file://{film}", FPS), fast=True)
    assert len(all_of(source)) == FRAMES
    assert source.ended


def test_a_film_below_dev_is_a_file_that_ends(decoder, film):  # noqa: ARG001
    """Files in memory are there."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        location = shutil.copy(film, folder)
        source = open_source(CameraConfig("video", location, FPS), fast=True)
        assert len(all_of(source)) == FRAMES
        assert source.ended
    assert video.is_live("/dev/video0")


def test_the_number_of_a_camera_is_a_live_device():
    frames = VideoFrames("0", 10.0)
    assert (frames.live, frames.location) == (True, "/dev/video0")


@pytest.mark.parametrize("frames", [0, 1])
@pytest.mark.parametrize("fast", [True, False])
def test_nothing_is_left_open(decoder, film, tmp_path, fast, frames):  # noqa: ARG001
    """Also where it is closed before the thread that reads has begun; not only once garbage is collected."""
    own = Path(shutil.copy(film, tmp_path))
    sources = []
    for _ in range(3):
        sources.append(open_source(CameraConfig("video", str(own), FPS), fast=fast))
        for _ in range(frames):
            sources[-1].read(1.0)
        sources[-1].close()
    until(lambda: own not in {link.resolve() for link in Path("/proc/self/fd").iterdir()})  # by the thread that reads


def test_a_film_that_is_closed_before_it_is_begun_is_not_left_open(decoder, film, tmp_path):  # noqa: ARG001
    own = Path(shutil.copy(film, tmp_path))
    frames = VideoFrames(str(own), FPS)
    frames.close()
    assert list(frames) == []
    assert own not in {link.resolve() for link in Path("/proc/self/fd").iterdir()}
