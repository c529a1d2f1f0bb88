"""Videos that are damaged, turned, or claim what is not so, through both decoders."""

import itertools
import re
import shutil
import struct
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import Mock

import cv2
import numpy as np
import pytest

from edge.capture import decoders, no_frame, open_source, video
from edge.capture.decoders import OpenCvDecoder, PyAvDecoder, about_decoder, open_decoder, pyav, text_of
from edge.capture.health import FrameHealth, problem_of
from edge.capture.video import ROUNDING_SECONDS, Due, FileClock, VideoFrames, plausible, resolved
from edge.config import CameraConfig
from edge.core.attention import Attention, AttentionRules
from edge.errors import CameraError
from tests.edge.capture.fakes import FakeCapture
from tests.household import until

FPS, FRAMES = 20.0, 60
DECODERS = ["opencv", pytest.param("pyav", marks=pytest.mark.skipif(pyav() is None, reason="PyAV is not installed"))]


needs_pyav = pytest.mark.skipif(pyav() is None, reason="PyAV is not installed, which writes or reads what this needs")


@pytest.fixture(params=DECODERS)
def decoder(request, monkeypatch):
    if request.param == "opencv":
        monkeypatch.setattr(decoders, "pyav", lambda: None)
    return request.param


def written(path, codec="mp4v", size=(160, 120), frames=FRAMES):
    """A film of noise with a bright upper left corner."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, size)
    for _ in range(frames):
        image = cv2.GaussianBlur(rng.integers(0, 200, (size[1], size[0], 3), dtype=np.uint8), (0, 0), 3)
        image[: size[1] // 4, : size[0] // 4] = 255
        writer.write(image)
    writer.release()
    return path


def interlaced(path, codec):
    """A film of fields, as television and old cameras have."""
    av, rng = pyav(), np.random.default_rng(0)
    options = {"x264-params": "interlaced=1"} if codec == "libx264" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.codec_context.flags |= 1 << 29 | 1 << 18  # AV_CODEC_FLAG_INTERLACED_ME, _DCT
        for _ in range(FRAMES):
            image = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), dtype=np.uint8), (0, 0), 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def h264(shape, frames):
    """Packets of a film of a circle that moves, as a camera streams them."""
    av = pyav()
    codec = av.CodecContext.create("libx264", "w")
    (codec.height, codec.width), codec.pix_fmt, codec.time_base = shape, "yuv420p", Fraction(1, 25)
    codec.gop_size, codec.options = 10, {"tune": "zerolatency"}
    packets = []
    for number in range(frames):
        image = np.random.default_rng(number).integers(0, 60, (*shape, 3), dtype=np.uint8)
        cv2.circle(image, (shape[1] // 2, shape[0] // 2), 25, (255, 255, 255), -1)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = number
        packets += map(bytes, codec.encode(frame))
    return packets + list(map(bytes, codec.encode()))


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return written(tmp_path_factory.mktemp("film") / "film.mp4")


def all_of(source):
    frames = []
    while (frame := source.read(2.0)) is not None:
        frames.append(frame)
    return frames


def damaged(path, film):
    data = bytearray(film.read_bytes())
    third, half = len(data) // 3, len(data) // 2
    data[third:half] = np.random.default_rng(0).bytes(half - third)
    path.write_bytes(data)
    return path


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


@pytest.fixture
def captures(monkeypatch):
    """What cv2.VideoCapture gives, one after the other; the last one again and again."""

    def install(*fakes):
        left = list(fakes)
        monkeypatch.setattr(decoders, "pyav", lambda: None)
        monkeypatch.setattr(cv2, "VideoCapture", lambda *_: left.pop(0) if len(left) > 1 else left[0])
        return fakes

    return install


PICTURE = np.full((120, 160, 3), 90, np.uint8)


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
