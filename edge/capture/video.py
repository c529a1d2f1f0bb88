"""Frames from a video file, an address such as rtsp://... or a V4L2 device."""

import logging
import math
import random
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from edge.capture.decoders import DEVICES, Decoder, about_decoder, is_device, open_decoder
from edge.core.types import About, Frame
from edge.errors import CameraError
from edge.system.files import is_file
from edge.system.secret import masked

log = logging.getLogger("limen")

BACKOFF_SECONDS = (1.0, 30.0)  # between attempts to reconnect: from, up to; doubled each time, with jitter
FPS_PLAUSIBLE = (0.01, 240.0)  # that a file may claim; otherwise its timestamps count (one claimed 90,000)
STEP_SECONDS = (0.5 / FPS_PLAUSIBLE[1], 60.0)  # between two frames of a file; less or more is a wrong timestamp
COMPLETE_SHARE = 0.8  # of its claimed duration; a file with less is reported as cut off
EARLY_SHARE = 0.25  # of a step, by which a frame may be early: cameras and networks are not even
ROUNDING_SECONDS = 0.0006  # of timestamps: some containers (Matroska) count milliseconds


def is_live(location: str) -> bool:
    """Whether a location is a stream or a device, which has no end, and no file."""
    location = resolved(location)
    return "://" in location or is_device(location)


class VideoFrames:
    """Reads a video. A file ends, or begins again with loop; a stream or device that fails is opened again, for ever.

    location: a file or its file:// address; another address, such as rtsp://...; a device, such as /dev/video0, or its
              number alone
    fps_max:  frames beyond it are skipped

    Raises CameraError where a file cannot be opened or decoded.
    """

    def __init__(self, location: str, fps_max: float, *, loop: bool = False) -> None:
        self.location, self.fps_max, self.loop = resolved(location), fps_max, loop
        self.live = is_live(self.location)
        self.about = About(about_decoder(self.location))
        self.dropped = 0
        self.ended = False
        self._warned: set[str] = set()
        self._closed = threading.Event()
        self._opened = [] if self.live else [self._open()]  # until somebody takes it: who iterates, or close
        self._reading = iter(self)

    def __iter__(self) -> Generator[Frame]:
        """Yield frames; of a live source as they come."""
        return self._live() if self.live else self._file()

    def read(self, timeout_seconds: float) -> Frame | None:  # noqa: ARG002 -- the port's parameter: a file never waits
        """The next frame of a file; None at its end."""
        frame = next(self._reading, None)
        self.ended = frame is None
        return frame

    def close(self) -> None:
        """Ask for the end; the thread that iterates releases the decoder, which two threads must not touch.

        What `read` holds, and a decoder that nobody has taken yet, are released at once.
        """
        self._closed.set()
        self._reading.close()
        if decoder := self._untaken():
            decoder.close()

    def _open(self) -> Decoder:
        if not self.live and not is_file(Path(self.location)):
            raise CameraError(f"there is no video {masked(self.location)}")
        return open_decoder(self.location)

    def _untaken(self) -> Decoder | None:
        """The decoder that was opened first, to one caller alone."""
        with suppress(IndexError):
            return self._opened.pop()
        return None

    def _file(self) -> Generator[Frame]:
        clock, shown = FileClock(self.fps_max), 0
        while not self._closed.is_set():
            decoder = self._untaken() or self._open()
            clock.begin(decoder.frames_per_second)
            try:
                while not self._closed.is_set() and (timestamp := decoder.grab()) is not None:
                    at = clock.next(timestamp)
                    number = (at + ROUNDING_SECONDS) * self.fps_max
                    if number >= shown:
                        shown = int(number) + 1
                        yield self._frame(decoder, at)
                if not self._closed.is_set():
                    self._check_content(clock, decoder)
            finally:
                decoder.close()
            if not self.loop:
                return

    def _frame(self, decoder: Decoder, at: float) -> Frame:
        image = decoder.image()
        if decoder.damage:
            self._warn_once(f"%s {decoder.damage}", masked(self.location))
        return Frame(image, at, damaged=bool(decoder.damage))

    def _warn_once(self, text: str, *values: object) -> None:
        """Log a warning of a kind once, however often a film is begun again or a stream opened."""
        if text not in self._warned:
            self._warned.add(text)
            log.warning(text, *values)

    def _check_content(self, clock: "FileClock", decoder: Decoder) -> None:
        """Raise CameraError where a file had no frame at all; warn where it ended long before it claims to."""
        name, claimed = masked(self.location), decoder.duration_seconds
        if not clock.frames:
            raise CameraError(f"{name} holds no frame that can be decoded")
        if plausible(decoder.frames_per_second) and clock.elapsed < COMPLETE_SHARE * claimed:
            # No error: a video that was trimmed without being encoded again still claims its old length.
            text = "%s ended after %.1f of %.1f s: it is damaged, or was cut off"
            self._warn_once(text, name, clock.elapsed, claimed)

    def _live(self) -> Generator[Frame]:
        wait = BACKOFF_SECONDS[0]
        while not self._closed.is_set():
            try:
                for frame in self._until_it_fails():
                    if self.about.failure:
                        log.info("%s gives frames again", masked(self.location))
                        self.about = replace(self.about, failure="")
                    wait = BACKOFF_SECONDS[0]
                    yield frame
            except CameraError as error:
                if self._closed.is_set():  # a capture that is closed under the reader gives no frame
                    return
                if not self.about.failure:
                    log.warning("%s; it is tried again until it works", error)
                self.about = replace(self.about, failure=str(error))
                self._closed.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 -- jitter, not a secret
                wait = min(2 * wait, BACKOFF_SECONDS[1])

    def _until_it_fails(self) -> Iterator[Frame]:
        """Yield frames of a live source, on average at most fps_max a second. Raises CameraError at its end."""
        decoder, due = self._open(), Due(1 / self.fps_max)
        try:
            while not self._closed.is_set():
                if decoder.grab() is None:
                    raise CameraError(f"{masked(self.location)} gives no more frames")
                now = time.monotonic()
                if due.at(now):
                    yield self._frame(decoder, now)
        finally:
            decoder.close()


class Due:
    """Which frames of a live source are taken: one for each step, on average, however evenly they come."""

    def __init__(self, step_seconds: float) -> None:
        self._step, self._next_at = step_seconds, -math.inf

    def at(self, now: float) -> bool:
        """Whether the frame of now is taken. now: seconds on a clock that never goes back."""
        if now < self._next_at - EARLY_SHARE * self._step:
            return False
        begun = now - self._next_at >= self._step  # after a gap the steps begin again
        self._next_at = (now if begun else self._next_at) + self._step
        return True


class FileClock:
    """Computes the time of each frame of a file, in seconds since the first; the passes of a loop follow one another.

    The time follows from the file's timestamps. Where those stand still, jump or are no time of frames, one step is
    taken: of the frame rate that the file claims where that is plausible, otherwise of fps_max.
    """

    def __init__(self, fps_max: float) -> None:
        self.frames = 0
        self._fps_max = fps_max
        self._at = self._begun_at = 0.0
        self._step = 1 / fps_max
        self._timestamp = self._timestamp_first = math.nan

    def begin(self, frames_per_second: float) -> None:
        """Begin another pass. frames_per_second: as the file claims."""
        self._begun_at = self._at + self._step if self.frames else 0.0
        self._step = 1 / (frames_per_second if plausible(frames_per_second) else self._fps_max)
        self._timestamp = self._timestamp_first = math.nan
        self.frames = 0

    def next(self, timestamp: float) -> float:
        """Compute the time of the next frame. timestamp: in seconds on the file's own clock, or NaN."""
        if not self.frames:
            self._at, self._timestamp_first = self._begun_at, timestamp
        else:
            step = timestamp - self._timestamp
            self._at += step if STEP_SECONDS[0] <= step <= STEP_SECONDS[1] else self._step
        self._timestamp = timestamp
        self.frames += 1
        return self._at

    @property
    def elapsed(self) -> float:
        """Seconds of this pass, its last frame included: the longest of its frames' times, steps and timestamps."""
        by_timestamps = self._timestamp - self._timestamp_first
        known = by_timestamps if math.isfinite(by_timestamps) else 0.0
        return max(self._at - self._begun_at, (self.frames - 1) * self._step, known) + self._step


def plausible(frames_per_second: float) -> bool:
    """Whether a file can have that many frames a second; False for NaN."""
    return FPS_PLAUSIBLE[0] <= frames_per_second <= FPS_PLAUSIBLE[1]


def resolved(location: str) -> str:
    """Resolve a location: file:///x.mp4 to its path, the number 0 to the device /dev/video0."""
    if location.isascii() and location.isdigit():
        return f"{DEVICES}video{int(location)}"
    if location.lower().startswith("file:"):
        return url2pathname(urlsplit(location).path)
    return location
