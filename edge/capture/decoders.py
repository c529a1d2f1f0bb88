"""Decoders of video: PyAV where it is installed, otherwise OpenCV; both contain FFmpeg.

PyAV is preferred for files and streams. OpenCV scales every frame to the size of the first and does not report it (a
phone that is turned, a camera that is reconfigured), takes damaged data for the end of a file, and from 4.13 to 5.0
decodes interlaced video to black frames. Devices (V4L2) are read by OpenCV: the wheels of PyAV have no V4L2.
"""

import math
import os
import re
import time
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edge.api.images import RgbImage
from edge.errors import CameraError
from edge.system.files import is_file
from edge.system.secret import masked

READ_SECONDS_MAX = 10.0  # that opening, or one frame, may take
DEVICES = "/dev/"
PYAV_VERSION_MIN = (14, 1)  # the first whose frames have their rotation
PYAV_MAJOR_MAX = 18  # 19 opens nothing with metadata_errors
SAME_PICTURES = 5  # from the first on
INCOMPLETE = "holds damaged data: frames in it are incomplete or left out"
OPENCV_ERROR = re.compile(r"^OpenCV\(.*?error: (\(-?\d+:[^)]*\).*?)(?: in function .*)?$")
PACKETS_DAMAGED_MAX = 250  # one after the other: ten seconds of a stream

# OpenCV reads this when it first uses FFmpeg. Quiet: limen logs a failure in one line, FFmpeg writes one a frame.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Decoder(Protocol):
    """An open video. It belongs to the thread that reads it.

    frames_per_second: as it claims, which may be anything; NaN where it claims nothing
    duration_seconds:  as it claims; NaN where it claims nothing
    damage:            what is known to be wrong with the frame that was decoded last; empty where nothing is
    """

    frames_per_second: float
    duration_seconds: float
    damage: str

    def grab(self) -> float | None:
        """Decode the next frame.

        Returns its time in seconds on the video's own clock, NaN where it has none; None at the end.
        Raises CameraError where the video is damaged or fails.
        """

    def image(self) -> RgbImage:
        """The frame that was decoded last, upright, in its own size: (H, W, 3) uint8 RGB. Raises CameraError."""

    def close(self) -> None:
        """Release the file, stream or device."""


def open_decoder(location: str) -> Decoder:
    """Open a file, an address or a device. Raises CameraError where it cannot be opened as video."""
    av = None if is_device(location) else pyav()
    return OpenCvDecoder(location) if av is None else PyAvDecoder(location, av)


def is_device(location: str) -> bool:
    """Whether a location is a camera of this machine, there or not; a film that lies in /dev/shm is none."""
    return location.startswith(DEVICES) and not is_file(Path(location))


def about_decoder(location: str) -> str:
    """Which decoder reads a location, and why; for people."""
    if is_device(location):
        return f"read by OpenCV {cv2.__version__}, as every device is"
    if av := pyav():
        return f"read by PyAV {av.__version__}"
    least, most = ".".join(map(str, PYAV_VERSION_MIN)), PYAV_MAJOR_MAX
    return (
        f"read by OpenCV {cv2.__version__}, for want of PyAV {least} to {most}, which also reads what is interlaced or "
        f"changes its size: pip install 'av<{most + 1}'"
    )


def pyav() -> Any | None:
    """Import the module av; None where it is not installed, or of a version that was not tested."""
    try:
        av = import_module("av")
    except (ImportError, ValueError):  # ValueError: it was built for another NumPy
        return None
    major, minor = av.__version__.split(".")[:2]
    return av if PYAV_VERSION_MIN <= (int(major), int(minor)) < (PYAV_MAJOR_MAX + 1, 0) else None


class OpenCvDecoder:
    """See Decoder. Frames are scaled to the size of the first; of damage the pictures of an interlaced video are known.

    Those of OpenCV 4.13 to 5.0 are what was in memory, and never change.
    """

    def __init__(self, location: str) -> None:
        self.damage = ""
        self._moves = is_device(location)  # whether there are different pictures, which a device has
        self._first: RgbImage | None = None
        self._same = 0
        self._name = masked(location)
        milliseconds = int(1000 * READ_SECONDS_MAX)
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds, cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds]
        try:
            if is_device(location):
                self._capture = cv2.VideoCapture(location, cv2.CAP_V4L2)
            else:
                self._capture = cv2.VideoCapture(location, cv2.CAP_FFMPEG, limits)
        except cv2.error as error:
            raise CameraError(f"{self._name} cannot be opened as video: {text_of(error)}") from error
        if not self._capture.isOpened():
            raise CameraError(
                why_closed(location) if is_device(location) else f"{self._name} cannot be opened as video"
            )
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 4.11 turns no frame unless it is asked
        self.frames_per_second = float(self._capture.get(cv2.CAP_PROP_FPS)) or math.nan
        frames = float(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.duration_seconds = frames / self.frames_per_second if frames > 0 else math.nan

    def grab(self) -> float | None:
        """See Decoder."""
        try:
            if not self._capture.grab():
                return None
            return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        except cv2.error as error:
            raise self._damaged(error) from error

    def image(self) -> RgbImage:
        """See Decoder."""
        try:
            good, image = self._capture.retrieve()
            if not good or image is None:
                raise CameraError(f"{self._name} gave a frame that cannot be decoded")
            grey = image.ndim == 2 or image.shape[2] == 1  # of a device that has no colours
            code = cv2.COLOR_GRAY2RGB if grey else cv2.COLOR_BGR2RGB
            return self._checked(np.asarray(cv2.cvtColor(image, code), dtype=np.uint8))
        except cv2.error as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """See Decoder."""
        self._capture.release()

    def _checked(self, image: RgbImage) -> RgbImage:
        if self._moves:
            return image
        self._same += 1
        if self._first is None:
            self._first = image
        elif not np.array_equal(image, self._first):
            self._moves, self._first, self.damage = True, None, ""
        elif self._same >= SAME_PICTURES:
            self.damage = (
                f"repeats its first picture, as OpenCV {cv2.__version__} does where a video is interlaced; PyAV reads "
                f"it: pip install 'av<{PYAV_MAJOR_MAX + 1}'"
            )
        return image

    def _damaged(self, error: Exception) -> CameraError:
        return CameraError(f"{self._name} cannot be decoded: {text_of(error)}")


class PyAvDecoder:
    """See Decoder. Every frame keeps its own size; damaged packets are skipped.

    av: the module
    """

    def __init__(self, location: str, av: Any) -> None:
        self._name, self._errors = masked(location), (av.FFmpegError, OSError, ValueError)
        self._invalid = av.error.InvalidDataError
        av.logging.set_libav_level(av.logging.PANIC)  # limen logs a failure in one line
        # TCP, as OpenCV requests it: over UDP a lost packet damages frames.
        options = {"rtsp_transport": "tcp"} if location.startswith("rtsp") else {}
        try:
            self._container = av.open(location, options=options, timeout=READ_SECONDS_MAX, metadata_errors="replace")
        except self._errors as error:
            raise CameraError(f"{self._name} cannot be opened as video: {text_of(error)}") from error
        stream = self._container.streams.best("video")
        if stream is None:
            self._container.close()
            raise CameraError(f"{self._name} cannot be opened as video: it has none in it")
        rate = stream.guessed_rate or stream.average_rate
        self.frames_per_second = float(rate) if rate else math.nan
        self.duration_seconds = math.nan
        if stream.frames:
            self.duration_seconds = stream.frames / self.frames_per_second
        elif stream.duration is not None:
            self.duration_seconds = float(stream.duration * stream.time_base)
        self.damage = ""
        self._frames = self._decode(stream)
        self._frame: Any = None
        self._asked_at = 0.0  # for a packet of the picture, on the monotonic clock

    def grab(self) -> float | None:
        """See Decoder."""
        self._asked_at = time.monotonic()
        try:
            self._frame = next(self._frames, None)
        except self._errors as error:
            raise CameraError(f"{self._name} cannot be decoded: {text_of(error)}") from error
        if self._frame is None:
            return None
        return math.nan if self._frame.time is None else float(self._frame.time)

    def image(self) -> RgbImage:
        """See Decoder."""
        try:
            image: RgbImage = self._frame.to_ndarray(format="rgb24")
        except self._errors as error:
            raise CameraError(f"{self._name} gave a frame that cannot be decoded: {text_of(error)}") from error
        quarters = round(self._frame.rotation / 90)  # counter-clockwise, as the display matrix says
        return np.ascontiguousarray(np.rot90(image, quarters)) if quarters % 4 else image

    def close(self) -> None:
        """See Decoder."""
        self._frames.close()
        self._container.close()

    def _decode(self, stream: Any) -> Generator[Any, None, None]:
        """Every frame that can be decoded. Raises InvalidDataError where nothing can be any more.

        Raises CameraError where the sound goes on and the picture does not: FFmpeg's own limit knows packets alone.
        """
        lost = 0
        for packet in self._container.demux():
            if packet.stream.index != stream.index:
                if time.monotonic() - self._asked_at > READ_SECONDS_MAX:
                    raise CameraError(f"{self._name} gave sound and no picture for {READ_SECONDS_MAX:g} s")
                continue
            self._asked_at = time.monotonic()  # also before a key frame, when nothing can be decoded yet
            try:
                frames = packet.decode()
            except self._invalid:
                lost += 1
                if lost > PACKETS_DAMAGED_MAX:
                    raise
                continue
            for frame in frames:
                self.damage = INCOMPLETE if lost or frame.is_corrupt else ""
                lost = 0
                yield frame


def why_closed(device: str) -> str:
    """Why a device such as /dev/video0 cannot be opened, and the remedy."""
    group: int | str = "video"
    try:
        group = Path(device).stat().st_gid
        os.close(os.open(device, os.O_RDWR | os.O_NONBLOCK))
    except FileNotFoundError:
        others = ", ".join(sorted(map(str, Path(DEVICES).glob("video*"))))
        return (
            f"there is no {device} here{others and f', but {others}'}: is the camera plugged in? A container sees what "
            "`devices` of its compose.yaml hands in"
        )
    except PermissionError:
        return (
            f"{device} is closed to user {os.geteuid()} and open to group {group}: `sudo usermod -aG {group} USER`; in "
            f'a container `devices` and `group_add: ["{group}"]` of its compose.yaml'
        )
    except OSError as error:
        return f"{device} cannot be opened as video: {text_of(error)}; is the camera plugged in?"
    return f"{device} cannot be opened as video: is it a camera, and does no other program use it?"


def text_of(error: Exception) -> str:
    """The text of an error of OpenCV or FFmpeg, in one line, without the place in OpenCV's source.

    cv2.error.err is not asked: it is an attribute of the class, which the last error of any thread has written.
    """
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    placed = OPENCV_ERROR.search(text)
    return placed[1] if placed else text
