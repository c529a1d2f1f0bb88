"""The Pi's camera, with a camera that is not there: six buffers, and each must come back."""

import sys
import threading
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from edge.capture import open_source
from edge.capture.picamera import rgb_of_yuv420, sensor_name
from edge.capture.sensor import best_mode, modes_of, small_size
from edge.commands.camera_checks import reach
from edge.config import CameraConfig, Config
from edge.errors import CameraError
from tests.edge.capture.fakes import BUFFERS, IMX219, IMX708, FakePicamera2, mode_score

CAMERA = CameraConfig("picamera", fps_max=10.0, full_width_px=640, full_height_px=480)


@pytest.fixture
def install(monkeypatch):
    def install(camera):
        monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=lambda: camera))
        return camera

    return install


def test_a_frame_is_a_small_picture_and_a_large_one_of_one_moment(install):
    camera = install(FakePicamera2(every_seconds=0.02))
    source = open_source(CAMERA)
    began = time.monotonic()
    first, second = source.read(1.0), source.read(1.0)
    assert first.image.shape == (240, 320, 3)
    assert first.full.shape == (480, 640, 3)
    assert abs(int(first.image[0, 0, 0]) - int(first.full[0, 0, 0])) < 4  # the same frame of the sensor
    assert began < first.at < second.at < time.monotonic()
    assert camera.configuration["controls"] == {"FrameRate": 10.0}
    source.close()
    assert camera.closed


def test_a_camera_that_is_slower_than_its_reader_takes_one_buffer_and_loses_nothing(install):
    camera = install(FakePicamera2())
    source = open_source(CAMERA)
    for _ in range(50):
        assert source.read(0.001) is None
        assert len(camera.jobs) == 1  # the same one is waited for again
    assert camera.free == BUFFERS
    camera.frame()
    assert camera.free == BUFFERS - 1
    assert source.read(0.001) is not None
    assert camera.free == BUFFERS
    source.close()
    assert camera.lost == 0


def test_less_than_a_frame_a_reading(install):
    camera = install(FakePicamera2(every_seconds=0.1))
    source = open_source(CAMERA)
    frames = [source.read(0.03) for _ in range(30)]
    came = [frame for frame in frames if frame is not None]
    assert 6 <= len(came) <= 10  # about 0.9 s
    assert all(later.full[0, 0, 0] == earlier.full[0, 0, 0] + 8 for earlier, later in pairwise(came))
    source.close()
    assert camera.lost == 0


def test_a_frame_that_came_while_nobody_waited_is_as_old_as_it_is(install):
    camera = install(FakePicamera2())
    source = open_source(CAMERA)
    assert source.read(0.001) is None
    camera.frame()
    completed = time.monotonic()
    time.sleep(0.1)
    assert source.read(0.001).at == pytest.approx(completed, abs=0.02)
    source.close()


def test_a_camera_that_gives_nothing_any_more_can_be_closed(install):
    camera = install(FakePicamera2())
    source = open_source(CAMERA)
    assert source.read(0.001) is None
    source.close()  # stopping would wait behind the job
    assert camera.closed


def test_a_frame_that_comes_while_the_camera_is_closed_is_released(install):
    camera = install(FakePicamera2())
    source = open_source(CAMERA)
    assert source.read(0.001) is None
    (job,) = camera.jobs
    cancel = camera.cancel_all_and_flush

    def cancel_late():
        camera.frame()  # the job is being carried out
        cancel()

    camera.cancel_all_and_flush = cancel_late
    source.close()
    assert job.get_result(0).released
    assert camera.closed


def test_a_camera_that_fails_is_an_error(install):
    camera = install(FakePicamera2())
    source = open_source(CAMERA)
    error = RuntimeError("camera frontend timed out")
    threading.Timer(0.05, lambda: camera.jobs[0].future.set_exception(error)).start()
    with pytest.raises(CameraError, match="the camera gives no frame: camera frontend timed out"):
        source.read(1.0)


def test_a_camera_that_is_used_by_another_program_is_said(install):
    class Busy(FakePicamera2):
        def start(self):
            raise RuntimeError("Camera __init__ sequence did not complete.")

    install(Busy())
    with pytest.raises(CameraError, match=r"sequence did not complete.*; is it connected, and used by nothing else"):
        open_source(CAMERA)


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


@pytest.mark.parametrize(("found", "name"), [([{"Model": "imx708_wide"}], "imx708_wide"), ([{}], ""), ([], "")])
def test_the_sensor_is_named_by_the_library(monkeypatch, found, name):
    kind = SimpleNamespace(global_camera_info=lambda: found)
    monkeypatch.setitem(sys.modules, "picamera2", SimpleNamespace(Picamera2=kind))
    assert sensor_name() == name


@pytest.mark.parametrize(
    ("degrees", "mirror", "flips"),
    [(0, True, (1, 0)), (180, False, (1, 1)), (180, True, (0, 1))],
)
def test_the_sensor_turns_by_180_and_mirrors(install, monkeypatch, degrees, mirror, flips):
    monkeypatch.setitem(sys.modules, "libcamera", SimpleNamespace(Transform=lambda hflip, vflip: (hflip, vflip)))
    camera = install(FakePicamera2(every_seconds=0.02))
    source = open_source(replace(CAMERA, rotate_deg=degrees, mirror=mirror))
    assert source.read(1.0).full.shape == (480, 640, 3)
    source.close()
    assert camera.configuration["transform"] == flips


@pytest.mark.parametrize("mirror", [False, True])
def test_pictures_of_the_sensor_are_turned_by_90_where_it_cannot(install, mirror):
    camera = install(FakePicamera2(every_seconds=0.02))
    source = open_source(replace(CAMERA, rotate_deg=90, mirror=mirror))
    frame = source.read(1.0)
    source.close()
    assert frame.image.shape == (320, 240, 3)
    assert frame.full.shape == (640, 480, 3)
    assert "transform" not in camera.configuration


USB = ((1920, 1080), [])


@pytest.mark.parametrize(
    ("sensor", "width", "height", "mode", "full", "small"),
    [
        (IMX708, 1280, None, (2304, 1296), (1280, 720), (320, 180)),
        (IMX708, 1280, 960, (2304, 1296), (1280, 960), (320, 240)),
        (IMX708, 1920, 1080, (2304, 1296), (1920, 1080), (320, 180)),
        (IMX708, 1920, 1440, (4608, 2592), (1920, 1440), (320, 240)),  # 2304x1296 has too few rows
        (IMX708, 4608, None, (4608, 2592), (4608, 2592), (320, 180)),
        (IMX219, 1280, None, (1640, 1232), (1280, 962), (320, 240)),
        (IMX219, 1920, 1080, (3280, 2464), (1920, 1080), (320, 180)),  # not the mode of 1920x1080: it shows 59 %
        (IMX219, 320, None, (1640, 1232), (320, 240), (320, 240)),
        (USB, 1280, None, None, (1280, 720), (320, 180)),
    ],
)
def test_the_sensor_is_read_in_a_mode_that_shows_all_of_it(install, sensor, width, height, mode, full, small):
    camera = install(FakePicamera2(every_seconds=0.02, sensor=sensor))
    source = open_source(replace(CAMERA, full_width_px=width, full_height_px=height))
    frame = source.read(1.0)
    source.close()
    assert (camera.configuration["sensor"] or {}).get("output_size") == mode
    assert frame.full.shape == (*full[::-1], 3)
    assert frame.image.shape == (*small[::-1], 3)
    assert frame.zoom[0] == pytest.approx(frame.zoom[1], rel=0.02)  # a face has the same shape in both


def test_left_alone_the_camera_module_3_shows_two_thirds_of_its_width():
    """Why a mode is chosen: what picamera2 and libcamera take for 1280x960 is the first, of 3072 of 4608 pixels."""
    assert min((size for size, *_ in IMX708[1]), key=lambda size: mode_score((1280, 960), size)) == (1536, 864)


def test_a_frame_rate_that_no_mode_has_takes_the_fastest_that_shows_all():
    modes = modes_of(FakePicamera2(sensor=IMX708).sensor_modes)
    assert best_mode(modes, (1280, 720), 100.0).size == (2304, 1296)
    assert best_mode(modes, (4608, 2592), 30.0).size == (2304, 1296)
    assert best_mode([], (1280, 720), 10.0) is None


@pytest.mark.parametrize("full", [(1280, 720), (1281, 721), (640, 480), (200, 100), (1080, 1920), (4, 4000)])
def test_the_small_picture_is_even_and_no_larger_than_the_large_one(full):
    width, height = small_size(full)
    assert width % 2 == height % 2 == 0
    assert 0 < width <= min(320, full[0])
    assert 0 < height <= min(240, full[1])


def test_the_mode_and_the_zoom_are_said_once_in_the_log_and_known_to_doctor(install, caplog):
    caplog.set_level("INFO", "limen")
    install(FakePicamera2(every_seconds=0.02, sensor=IMX708))
    source = open_source(replace(CAMERA, full_width_px=1280, full_height_px=960, privacy_zones=((0, 0, 0.1, 0.1),)))
    assert not source.about.text
    source.read(1.0)
    source.read(1.0)
    source.close()
    about = source.about
    assert about.text == (
        "sensor imx708 in its mode 2304x1296, 10 bit, up to 56.03 frames/s; pictures of 1280x960 and 320x240; "
        "they show 75% of the sensor's width and 100% of its height (zoom 1.33)"
    )
    assert about.width_share == pytest.approx(0.75)
    assert [record.getMessage() for record in caplog.records] == [f"camera: {about.text}"]


@pytest.mark.parametrize(("share", "degrees"), [(1.0, "66"), (0.75, "51.9")])
def test_a_picture_of_a_part_of_the_sensor_reaches_farther(monkeypatch, share, degrees):
    monkeypatch.setattr("edge.capture.picamera.sensor_name", lambda: "imx708")
    assert reach(Config(), 1280, share).startswith(f"at {degrees} degrees a face is detected up to ")


def test_a_camera_of_which_less_is_known_says_less(install):
    install(FakePicamera2(every_seconds=0.02, sensor=USB))
    source = open_source(replace(CAMERA, full_height_px=None))
    source.read(1.0)
    source.close()
    assert source.about.text == "sensor imx219; pictures of 640x360 and 320x180"
    assert source.about.width_share == 1.0


def test_a_mode_of_which_less_is_known_is_not_chosen():
    (known, *_) = FakePicamera2(sensor=IMX708).sensor_modes
    assert modes_of([known, known | {"crop_limits": None}, {"format": "MJPEG"}]) == modes_of([known])


@pytest.mark.parametrize(
    ("error", "said"),
    [(OSError(12, "Cannot allocate memory"), "Cannot allocate memory"), (KeyError("ScalerCrop"), "S")],
)
def test_modes_that_cannot_be_read_are_said_and_do_not_stop_the_camera(install, caplog, error, said):
    class Short(FakePicamera2):
        """Without memory for the buffers of its largest mode, or without a control."""

        @property
        def sensor_modes(self):
            raise error

    install(Short(every_seconds=0.02, sensor=IMX708))
    source = open_source(CAMERA)
    assert source.read(1.0) is not None
    source.close()
    assert said in caplog.text
    assert "): libcamera chooses one" in caplog.text
    assert "in its mode 1536x864" in source.about.text
