"""Films and streams that are damaged, interlaced, cut off or fail."""

import itertools
import re
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.capture import decoders, open_source, video
from edge.capture.decoders import PyAvDecoder, pyav, text_of
from edge.capture.health import FrameHealth, problem_of
from edge.config import CameraConfig
from edge.errors import CameraError
from tests.edge.capture.fakes import FakeCapture
from tests.edge.capture.films import FPS, FRAMES, PICTURE, all_of, damaged, h264, interlaced, needs_pyav, written


def test_damage_within_a_file_is_skipped_or_ends_it_in_one_line(decoder, film, tmp_path, caplog, capfd):
    source = open_source(CameraConfig("video", str(damaged(tmp_path / "hurt.mp4", film)), FPS), fast=True)
    frames = all_of(source)
    assert source.ended
    if decoder == "pyav":
        assert len(frames) >= 45  # what is not damaged
    else:
        assert "hurt.mp4 ended after" in caplog.text
    assert capfd.readouterr().err == ""  # neither FFmpeg nor OpenCV writes lines of its own


@needs_pyav
@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "libx264"), ("film.mpg", "mpeg2video")])
def test_an_interlaced_film_is_read_or_its_black_frames_are_named(decoder, tmp_path, name, codec, capfd, caplog):
    path = interlaced(tmp_path / name, codec)
    frames = all_of(open_source(CameraConfig("video", str(path), 25.0), fast=True))
    assert len(frames) == FRAMES
    right = 60 < frames[0].image.mean() < 200 and (frames[0].image != frames[1].image).any()
    assert right or decoder == "opencv"  # of OpenCV 4.11 and 4.12 it is right
    assert problem_of(frames) in ({None} if right else {"black", "frozen"})  # what was in memory
    assert capfd.readouterr().err == ""
    assert caplog.text.count("PyAV reads it: pip install 'av<19'") == (not right)
    assert any(frame.damaged for frame in frames) is not right


def test_a_short_interlaced_film_that_is_looped_is_named(captures, film, caplog):
    """Each time it is opened, other things are in memory."""
    rng = np.random.default_rng(0)
    garbage = [
        (rng.integers(0, 256, (120, 160, 3)) * (rng.random((120, 160, 1)) < 0.03)).astype(np.uint8) for _ in range(8)
    ]
    captures(*(FakeCapture([picture] * 40) for picture in garbage))
    source, health = open_source(CameraConfig("video", str(film), FPS), fast=True, loop=True), FrameHealth()
    said = [health.update(source.read(1.0)) for _ in range(250)]
    assert said[-1] == "torn"
    assert caplog.text.count("repeats its first picture") == 1


@needs_pyav
def test_damage_is_a_property_of_a_frame_and_one_line_of_the_log(tmp_path, caplog):
    packets = h264((120, 160), FRAMES)
    half = [packet[: len(packet) // 2] if 20 <= number < 40 else packet for number, packet in enumerate(packets)]
    (tmp_path / "hurt.h264").write_bytes(b"".join(half))
    for _ in range(2):
        source = open_source(CameraConfig("video", str(tmp_path / "hurt.h264"), 100.0), fast=True, loop=True)
        frames = [source.read(1.0) for _ in range(3 * FRAMES)]
    damaged = [frame.damaged for frame in frames]
    assert 40 <= sum(damaged) <= 90
    assert not any(damaged[:15])
    assert caplog.text.count("hurt.h264 holds damaged data") == 2  # once for each source, whatever its loops


def test_a_file_that_was_cut_off_is_said_so(decoder, tmp_path, caplog):  # noqa: ARG001
    whole = written(tmp_path / "whole.avi", "MJPG").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: len(whole) // 2])
    frames = all_of(open_source(CameraConfig("video", str(tmp_path / "cut.avi"), FPS), fast=True))
    assert 20 < len(frames) < 35
    (line,) = [record.getMessage() for record in caplog.records]
    assert re.search(r"cut\.avi ended after 1\.[345] of 3\.0 s: it is damaged, or was cut off", line)


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_film_without_its_index_cannot_be_opened(decoder, film, tmp_path, kept, capfd):  # noqa: ARG001
    whole = film.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(CameraError, match=r"cut\.mp4 cannot be opened as video"):
        open_source(CameraConfig("video", str(tmp_path / "cut.mp4")))
    assert capfd.readouterr().err == ""


def test_the_text_of_an_error_is_its_own():
    """OpenCV writes the parts of its last error into the class; another error has them too."""
    with pytest.raises(cv2.error) as last:
        cv2.imencode(".png", np.empty((0, 0), np.uint8))
    assert text_of(last.value) == "(-215:Assertion failed) !_img.empty()"
    another = cv2.error("OpenCV(5.0.0) /src/cap.cpp:12: error: (-2:Unspecified error) no\n frame in function 'read'\n")
    assert text_of(another) == "(-2:Unspecified error) no frame"
    assert text_of(cv2.error("out of memory")) == "out of memory"


@pytest.mark.parametrize("fast", [True, False])
def test_an_error_of_opencv_ends_a_file_with_an_error(captures, film, fast):
    (capture,) = captures(FakeCapture([PICTURE, PICTURE, cv2.error("(-215:Assertion failed) step >= 0")]))
    source = open_source(CameraConfig("video", str(film), FPS), fast=fast)
    with pytest.raises(CameraError, match=r"film\.mp4 cannot be decoded: .*Assertion failed"):
        all_of(source)
    assert capture.released


def test_an_error_of_opencv_reopens_a_stream(captures, monkeypatch, caplog):
    caplog.set_level("INFO", "limen")
    monkeypatch.setattr(video, "BACKOFF_SECONDS", (0.01, 0.02))
    fakes = captures(
        FakeCapture([PICTURE, cv2.error("(-215:Assertion failed) step >= 0")]),
        FakeCapture([cv2.error("out of memory")]),
        FakeCapture([None]),
        FakeCapture([PICTURE, 255 - PICTURE], endless=True),
    )
    source = open_source(CameraConfig("video", "rtsp://user:secret@camera/1", 1000.0))
    assert source.read(2.0) is not None
    while not fakes[2].released:
        assert not source.ended
        source.read(0.05)
    assert source.read(2.0) is not None
    source.close()
    assert all(fake.released for fake in fakes)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2  # when it fails, and when it is there again
    assert "rtsp://user:********@camera/1 cannot be decoded: " in lines[0]
    assert "gives frames again" in lines[1]


def test_a_frame_that_cannot_be_converted_is_an_error(captures, film):
    captures(FakeCapture([PICTURE, np.zeros((120, 160, 2), np.uint8)]))
    source = open_source(CameraConfig("video", str(film), FPS), fast=True)
    with pytest.raises(CameraError, match="cannot be decoded"):
        all_of(source)


@needs_pyav
def test_a_stream_whose_picture_stops_while_its_sound_goes_on_fails(tmp_path, monkeypatch):
    av, path = pyav(), tmp_path / "stream.ts"
    with av.open(str(path), "w") as container:
        pictures, sound = container.add_stream("libx264", rate=25), container.add_stream("mp2", rate=48_000)
        pictures.width, pictures.height, pictures.pix_fmt = 160, 120, "yuv420p"
        for number in range(50):
            image = np.full((120, 160, 3), 4 * number, np.uint8)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(pictures.encode())
        for number in range(400):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
            frame.sample_rate, frame.pts = 48_000, 1152 * number
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    clock = itertools.count(step=0.5)  # seconds that pass from one packet to the next
    monkeypatch.setattr(decoders.time, "monotonic", lambda: next(clock))
    decoder = PyAvDecoder(str(path), av)
    with pytest.raises(CameraError, match=r"stream\.ts gave sound and no picture for 10 s"):  # noqa: PT012 -- at some time
        for _ in range(50):
            assert decoder.grab() is not None
        decoder.grab()
    decoder.close()


@needs_pyav
def test_a_stream_that_is_joined_long_before_its_next_key_frame_is_waited_for(tmp_path, monkeypatch):
    """Its sound comes meanwhile, and its picture too, of which nothing can be decoded yet."""
    decoder = PyAvDecoder(str(written(tmp_path / "film.mp4")), pyav())
    whole = next(decoder._frames)

    def packet(index, *frames):
        return SimpleNamespace(stream=SimpleNamespace(index=index), decode=lambda: list(frames))

    before = [packet(index) for _ in range(100) for index in (0, 1, 1)]
    demux = Mock(return_value=[*before, packet(0, whole)])
    decoder._container.close()
    decoder._container = SimpleNamespace(demux=demux, close=Mock())
    decoder._frames = decoder._decode(SimpleNamespace(index=0))
    clock = itertools.count(step=0.5)
    monkeypatch.setattr(decoders.time, "monotonic", lambda: next(clock))
    assert decoder.grab() == whole.time
    decoder.close()
