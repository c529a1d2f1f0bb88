"""Frames from a video file, an RTSP address or a V4L2 device, through OpenCV."""

import logging
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from edge.config import masked
from edge.core.types import Frame
from edge.errors import CameraError

log = logging.getLogger("limen")

BACKOFF_SECONDS = (1.0, 30.0)  # between attempts to reconnect: from, up to; doubled each time, with jitter
READ_SECONDS_MAX = 10.0


class VideoFrames:
    """A file ends (or begins again, with loop); a stream or device that fails is opened again, for ever.

    location: a file, an address such as rtsp://..., or a device such as /dev/video0
    fps_max:  frames beyond it are skipped

    Raises CameraError where a file cannot be opened.
    """

    def __init__(self, location: str, fps_max: float, *, loop: bool = False) -> None:
        self.location, self.fps_max, self.loop = location, fps_max, loop
        self.live = "://" in location or location.startswith("/dev/")
        self.dropped = 0
        self.ended = False
        self.frames_per_second = fps_max
        self._closed = threading.Event()
        self._capture: cv2.VideoCapture | None = None
        if not self.live:
            self._capture = self._open()
            self.frames_per_second = self._capture.get(cv2.CAP_PROP_FPS) or fps_max
        self._reading: Iterator[Frame] = iter(self)

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they come."""
        return self._live() if self.live else self._file()

    def read(self, timeout_seconds: float) -> Frame | None:  # noqa: ARG002 -- the port's parameter: a file never waits
        """The next frame of a file; None at its end."""
        frame = next(self._reading, None)
        self.ended = frame is None
        return frame

    def close(self) -> None:
        """Come to an end; whoever reads lets go of the file or device, which no two threads may touch."""
        self._closed.set()

    def _open(self) -> cv2.VideoCapture:
        if not self.live and not Path(self.location).is_file():
            raise CameraError(f"there is no video {masked(self.location)}")
        milliseconds = int(1000 * READ_SECONDS_MAX)
        if self.location.startswith("/dev/"):
            capture = cv2.VideoCapture(self.location, cv2.CAP_V4L2)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
            capture = cv2.VideoCapture(self.location, cv2.CAP_FFMPEG, limits)
        if not capture.isOpened():
            raise CameraError(f"{masked(self.location)} cannot be opened as video")
        return capture

    def _file(self) -> Iterator[Frame]:
        number = shown = 0
        while not self._closed.is_set():
            capture = self._capture or self._open()
            self._capture = None
            begun = number
            while not self._closed.is_set():
                due = number / self.frames_per_second * self.fps_max >= shown
                good, image = capture.read() if due else (capture.grab(), None)
                if not good:
                    break
                if due:
                    shown = int(number / self.frames_per_second * self.fps_max) + 1
                    yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), number / self.frames_per_second)
                number += 1
            capture.release()
            if number == begun and not self._closed.is_set():
                raise CameraError(f"{masked(self.location)} holds no frame that can be decoded")
            if not self.loop:
                return

    def _live(self) -> Iterator[Frame]:
        wait, failing = BACKOFF_SECONDS[0], False
        while not self._closed.is_set():
            try:
                for frame in self._until_it_fails():
                    if failing:
                        log.info("%s is there again", masked(self.location))
                    wait, failing = BACKOFF_SECONDS[0], False
                    yield frame
            except CameraError as error:
                if not failing:
                    log.warning("%s; trying again until it is there", error)
                failing = True
                self._closed.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
                wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _until_it_fails(self) -> Iterator[Frame]:
        """Frames of a live source, no more often than is wanted. Raises CameraError when there are no more."""
        capture, next_at = self._open(), 0.0
        try:
            while not self._closed.is_set():
                good, image = capture.read()
                if not good:
                    raise CameraError(f"{masked(self.location)} gives no more frames")
                now = time.monotonic()
                if now >= next_at:
                    next_at = max(now, next_at) + 1 / self.fps_max
                    yield Frame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), now)
        finally:
            capture.release()
