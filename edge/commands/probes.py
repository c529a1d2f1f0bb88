"""What `limen init` finds on this machine: cameras, what one of them shows, and whether a broker lets the device in."""

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.capture import no_frame, open_source
from edge.commands.camera_checks import is_own
from edge.config import PASSWORD_VARIABLE, CameraConfig, Config
from edge.errors import BrokerError, LimenError
from edge.inference.detector import Detector
from edge.mqtt.controller import Controller
from edge.mqtt.identity import REMEDY
from edge.storage.words import count_of

LOOK_SECONDS, LOOK_FRAMES = 5.0, 60
SILENT_SECONDS = 10.0
# VIDIOC_QUERYCAP and struct v4l2_capability of linux/videodev2.h
QUERY, CAPABILITIES = 0x80685600, struct.Struct("16s32s32sIII12x")
CAN_CAPTURE, HAS_OWN_CAPABILITIES = 0x1, 0x80000000


def cameras() -> dict[str, str]:
    """What each camera of this machine is, by what --source calls it; the Pi's own first."""
    found = {}
    with suppress(LimenError, OSError, RuntimeError):
        from edge.capture.picamera import sensor_name

        if sensor := sensor_name():
            found["picamera"] = f"the Pi's camera, {sensor}"
    for path in sorted(Path("/dev").glob("video*"), key=lambda path: (len(path.name), path.name)):
        with suppress(OSError):
            device = os.open(path, os.O_RDWR | os.O_NONBLOCK)
            try:
                answer = fcntl.ioctl(device, QUERY, bytes(CAPABILITIES.size))
            finally:
                os.close(device)
            if (name := capture_name(answer)) is not None:
                found[str(path)] = name
    return found


def capture_name(answer: bytes) -> str | None:
    """The name of a device that gives pictures, from a v4l2_capability; None of one that only converts or describes."""
    _driver, card, _bus, _version, of_all, of_this = CAPABILITIES.unpack(answer)
    able = of_this if of_all & HAS_OWN_CAPABILITIES else of_all
    return card.partition(b"\0")[0].decode("utf-8", "replace") if able & CAN_CAPTURE else None


def look(camera: CameraConfig) -> str:
    """The size of the frames, and whether a face is among the first. Raises LimenError where there is no frame."""
    source, detector = open_source(camera, fast=True), Detector()
    size, count, until = None, 0, time.monotonic() + LOOK_SECONDS
    try:
        while count < LOOK_FRAMES and (not count or time.monotonic() < until):
            frame = source.read(SILENT_SECONDS)
            if frame is None:
                break
            count += 1
            size = f"{frame.best.shape[1]}x{frame.best.shape[0]}"
            if faces := detector.detect(frame.best):
                return f"{size}; a face of {max(face.size_px for face in faces):.0f} px is seen"
    finally:
        source.close()
    if size is None:
        raise no_frame(camera, source.about, SILENT_SECONDS)
    return f"{size}; no face is seen in {count_of(count, 'frame')}, which is right where nobody is there"


def try_broker(config: Config, password: str | None) -> None:
    """Raise LimenError, with the remedy, where the broker does not let the device in."""
    with password_of(password), Controller(config.mqtt, config.device):
        pass


def look_for_namesake(config: Config, password: str | None) -> str:
    """What the broker knows of the device's name. Raises BrokerError where another device is online as that."""
    name = config.device
    with password_of(password), Controller(config.mqtt, name) as controller:
        instance = controller.online_instance()
        known = name in controller.devices()
    if instance is not None and not (instance and is_own(instance, config)):
        raise BrokerError(f"another device is online as '{name}': {REMEDY}")
    if known:
        return f"a device '{name}' has been at this broker; if it is not this one, choose another name"
    return f"no other device at this broker is called '{name}'"


@contextmanager
def password_of(password: str | None) -> Iterator[None]:
    """A password that was typed, as one from the environment; None leaves that as it is."""
    before = os.environ.get(PASSWORD_VARIABLE)
    if password is not None:
        os.environ[PASSWORD_VARIABLE] = password
    try:
        yield
    finally:
        if password is not None:
            os.environ.pop(PASSWORD_VARIABLE)
            if before is not None:
                os.environ[PASSWORD_VARIABLE] = before
