"""Cameras that are not there."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future

import cv2
import numpy as np
from numpy.typing import NDArray

BUFFERS = 6
STRIDE_OF = 128  # the stride of a small picture is a multiple of this: padded, as the hardware does
# Modes as `rpicam-hello --list-cameras` lists them: size, frames a second, crop; and the size of the sensor.
IMX708 = (
    (4608, 2592),
    [
        ((1536, 864), 120.13, (768, 432, 3072, 1728)),
        ((2304, 1296), 56.03, (0, 0, 4608, 2592)),
        ((4608, 2592), 14.35, (0, 0, 4608, 2592)),
    ],
)
IMX219 = (
    (3280, 2464),
    [
        ((640, 480), 206.65, (1000, 752, 1280, 960)),
        ((1640, 1232), 41.85, (0, 0, 3280, 2464)),
        ((1920, 1080), 47.57, (680, 692, 1920, 1080)),
        ((3280, 2464), 21.19, (0, 0, 3280, 2464)),
    ],
)
DEPTH = 10


class FakeRequest:
    """A completed request: a buffer, until it is released."""

    def __init__(self, camera: "FakePicamera2", number: int) -> None:
        self.number, self.released = number, False
        self._camera = camera

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """The number of the frame as a level of grey."""
        assert not self.released
        width, height = self._camera.configuration[name]["size"]
        picture = np.full((height, width, 3), 8 * self.number, np.uint8)
        if name == "main":
            return picture
        planes = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420)
        stride = (width // STRIDE_OF + 1) * STRIDE_OF
        padded = np.full((height * 3 // 2, stride), 77, np.uint8)
        padded[:height, :width] = planes[:height]
        halves = planes[height:].reshape(2, height // 2, width // 2)
        padded[height:].reshape(2, height // 2, stride // 2)[:, :, : width // 2] = halves
        return padded

    def get_metadata(self) -> dict[str, object]:
        """What part of the sensor is seen, where the camera has one."""
        crop = self._camera.crop
        return {"SensorTimestamp": 1} | ({} if crop is None else {"ScalerCrop": crop})

    def release(self) -> None:
        """Give the buffer back, once."""
        assert not self.released, "released twice"
        self.released = True
        self._camera.free += 1


class FakeJob:
    """A request that was asked for."""

    def __init__(self, done: Callable[["FakeJob"], None] | None) -> None:
        self.future: Future[FakeRequest] = Future()
        self._done = done

    def complete(self, request: FakeRequest) -> None:
        """The camera's thread carries it out."""
        self.future.set_result(request)
        if self._done is not None:
            self._done(self)

    def get_result(self, timeout: float | None = None) -> FakeRequest:
        """Wait for it."""
        return self.future.result(timeout)


class FakePicamera2:
    """As much of picamera2 as limen uses: six buffers, and jobs that take one each when a frame comes.

    every_seconds: how often a frame comes, in a thread; None where the test calls `frame`
    ends:          after this frame none comes
    sensor:        its size and modes; without modes it is a USB camera, of which picamera2 knows the formats alone
    """

    def __init__(
        self,
        every_seconds: float | None = None,
        ends: int | None = None,
        sensor: tuple[tuple[int, int], list[tuple]] = IMX219,
    ) -> None:
        self.sensor_resolution, self._modes = sensor
        self.camera_properties: dict[str, object] = {"Model": "imx708" if sensor is IMX708 else "imx219"}
        if self._modes:
            self.camera_properties["PixelArraySize"] = self.sensor_resolution
        self.crop: tuple[int, int, int, int] | None = None
        self.started = False
        self.free, self.number = BUFFERS, -1
        self.jobs: list[FakeJob] = []
        self.lost = 0  # frames for which there was no buffer
        self.configuration: dict[str, object] = {}
        self.closed = False
        self._every_seconds, self._ends = every_seconds, ends
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def sensor_modes(self) -> list[dict[str, object]]:
        """Each mode; reading them configures the camera for each."""
        assert not self.started, "Camera must be stopped before configuring"
        if not self._modes:
            return [{"format": "MJPEG"}, {"format": "YUYV"}]
        return [
            {"format": "SRGGB10_CSI2P", "unpacked": "SRGGB10", "bit_depth": DEPTH, "size": size, "fps": fps}
            | {"crop_limits": crop, "exposure_limits": (60, 674_181_621, 20_000)}
            for size, fps, crop in self._modes
        ]

    def create_video_configuration(
        self,
        main: dict[str, object],
        lores: dict[str, object],
        sensor: dict[str, object] | None = None,
        **more: object,
    ) -> dict[str, object]:
        """What it is asked for, checked as it checks it, with sizes that are even."""
        assert set(more) <= {"controls", "transform", "queue"}
        assert set(sensor or {}) <= {"output_size", "bit_depth"}, "Unexpected keys in sensor configuration"
        for stream in (main, lores):
            assert set(stream) == {"size", "format"}
            stream["size"] = tuple(side - side % 2 for side in stream["size"])
        if not self._modes:
            sensor = None
        return {"main": dict(main), "lores": dict(lores), "sensor": sensor, **more}

    def configure(self, configuration: dict[str, object]) -> None:
        """Keep it, with the mode that is nearest to what is asked for."""
        assert not self.started, "Camera must be stopped before configuring"
        main, lores = configuration["main"]["size"], configuration["lores"]["size"]
        if any(small > large for small, large in zip(lores, main, strict=True)):
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        self.configuration = configuration
        if not self._modes:
            return
        wanted = (configuration["sensor"] or {}).get("output_size") or main
        size, _, crop = min(self._modes, key=lambda mode: mode_score(wanted, mode[0]))
        configuration["sensor"] = {"output_size": size, "bit_depth": DEPTH}
        left, top, wide, high = crop  # of which a picture of another shape shows the middle
        shown = min(wide, high * main[0] // main[1]), min(high, wide * main[1] // main[0])
        self.crop = (left + (wide - shown[0]) // 2, top + (high - shown[1]) // 2, *shown)

    def camera_configuration(self) -> dict[str, object]:
        """As it was adjusted."""
        return self.configuration

    def start(self) -> None:
        """Frames begin to come."""
        self.started = True
        if self._every_seconds is not None:
            self._thread.start()

    def frame(self) -> None:
        """The sensor has another frame: for the job that waits longest, or for nobody."""
        with self._lock:
            self.number += 1
            if not self.free:
                self.lost += 1
                return
            if not self.jobs:
                return
            self.free -= 1
            job = self.jobs.pop(0)
        job.complete(FakeRequest(self, self.number))

    def capture_request(self, wait: object = None, signal_function: Callable[[FakeJob], None] | None = None) -> object:
        """Queue a job; wait for it, unless wait is False."""
        job = FakeJob(signal_function)
        with self._lock:
            self.jobs.append(job)
        return job if wait is False else job.get_result(None if wait in {None, True} else float(wait))

    def cancel_all_and_flush(self) -> None:
        """Drop every job that waits."""
        with self._lock:
            jobs, self.jobs = self.jobs, []
        for job in jobs:
            job.future.set_exception(CancelledError())

    def stop(self) -> None:
        """Stopping is a job, too: behind one that never ends it would wait for ever."""
        assert not self.jobs, "stop waits behind a job"
        self._stop.set()

    def close(self) -> None:
        """Let go of the camera."""
        assert self._stop.is_set(), "closed while it runs"
        assert self.free == BUFFERS, f"{BUFFERS - self.free} buffers were never released"
        self.closed = True

    def _run(self) -> None:
        while not self._stop.wait(self._every_seconds) and (self._ends is None or self.number < self._ends):
            self.frame()


def mode_score(wanted: tuple[int, int], size: tuple[int, int]) -> float:
    """How far a mode's size is from what is wanted, as picamera2 and libcamera compute it."""

    def score(one: float, other: float) -> float:
        return (one - other) * 2 if one > other else (other - one) / 4

    shapes = score(wanted[0] / wanted[1], size[0] / size[1])
    return score(wanted[0], size[0]) + score(wanted[1], size[1]) + 1500 * shapes


class FakeCapture:
    """cv2.VideoCapture, or what is left of it.

    frames: each a picture, an exception to raise, or None for the end; endless: again and again
    """

    def __init__(
        self, frames: Sequence[NDArray[np.uint8] | Exception | None], fps: float = 20.0, *, endless: bool = False
    ) -> None:
        self._frames, self._fps, self._next = list(frames), fps, 0
        self._endless = endless
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802 -- OpenCV's name
        """It is."""
        return True

    def set(self, prop: int, value: float) -> bool:
        """Frames are to be turned upright, and nothing else is asked."""
        return (prop, value) == (cv2.CAP_PROP_ORIENTATION_AUTO, 1)

    def get(self, prop: int) -> float:
        """What a file claims."""
        values = {
            cv2.CAP_PROP_FPS: self._fps,
            cv2.CAP_PROP_FRAME_COUNT: float(len(self._frames)),
            cv2.CAP_PROP_POS_MSEC: 1000 * (self._next - 1) / 20,
        }
        return values[prop]

    def grab(self) -> bool:
        """The next frame; False at the end."""
        if self._endless:
            self._next %= len(self._frames)
        frame = self._frames[self._next] if self._next < len(self._frames) else None
        self._next += 1
        if isinstance(frame, Exception):
            raise frame
        return frame is not None

    def retrieve(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """The frame that was grabbed."""
        frame = self._frames[self._next - 1]
        return True, None if isinstance(frame, Exception) else frame

    def release(self) -> None:
        """Let go of it."""
        self.released = True
