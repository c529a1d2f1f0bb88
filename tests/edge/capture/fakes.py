"""Cameras that are not there."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future

import cv2
import numpy as np
from numpy.typing import NDArray

BUFFERS = 6
STRIDE = 384  # of the small stream, of 320 pixels: padded, as the hardware does


class FakeRequest:
    """A completed request: a buffer, until it is released."""

    def __init__(self, camera: "FakePicamera2", number: int) -> None:
        self.number, self.released = number, False
        self._camera = camera

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """The number of the frame as a level of grey."""
        assert not self.released
        if name == "main":
            return np.full((480, 640, 3), 8 * self.number, np.uint8)
        planes = cv2.cvtColor(np.full((240, 320, 3), 8 * self.number, np.uint8), cv2.COLOR_RGB2YUV_I420)
        padded = np.full((360, STRIDE), 77, np.uint8)
        padded[:240, :320] = planes[:240]
        padded[240:].reshape(2, 120, STRIDE // 2)[:, :, :160] = planes[240:].reshape(2, 120, 160)
        return padded

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
    """

    def __init__(self, every_seconds: float | None = None, ends: int | None = None) -> None:
        self.free, self.number = BUFFERS, -1
        self.jobs: list[FakeJob] = []
        self.lost = 0  # frames for which there was no buffer
        self.configuration: dict[str, object] = {}
        self.closed = False
        self._every_seconds, self._ends = every_seconds, ends
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def create_video_configuration(self, **configuration: object) -> dict[str, object]:
        """What it is asked for."""
        return configuration

    def configure(self, configuration: dict[str, object]) -> None:
        """Keep it."""
        self.configuration = configuration

    def start(self) -> None:
        """Frames begin to come."""
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


class FakeCapture:
    """cv2.VideoCapture, or what is left of it. frames: each a picture, an exception to raise, or None for the end."""

    def __init__(self, frames: Sequence[NDArray[np.uint8] | Exception | None], fps: float = 20.0) -> None:
        self._frames, self._fps, self._next = list(frames), fps, 0
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
