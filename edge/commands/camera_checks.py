"""What `limen doctor` finds of the camera, also where the running limen holds it."""

import threading
from contextlib import suppress

import msgspec
import numpy as np

from edge.capture import no_frame, open_source
from edge.capture.health import REMEDIES, problem_of
from edge.capture.video import is_live
from edge.commands.file_checks import Warned
from edge.config import Config
from edge.core.reach import FIELD_OF_VIEW_DEG, part_of_view_deg, reach_text
from edge.core.turning import upright
from edge.core.types import About, Frame
from edge.errors import CameraError, LimenError
from edge.inference.detector import Detector
from edge.mqtt.controller import Controller
from edge.runtime.assembly import model_path, open_or_empty
from edge.runtime.device_name import INSTANCE
from edge.system.secret import masked

FRAME_SECONDS = 10.0
FRAMES_FOR_FACES = 5
HEALTH_SECONDS = 2.0  # in which the broker sends the health that it keeps


class CameraHealth(msgspec.Struct):
    """The fields of `health` about the camera."""

    camera_ok: bool
    camera_problem: str | None = None


def camera(config: Config) -> str:
    """A description of some frames, or the state that the running limen publishes, which alone can open its camera.

    Raises CameraError, OSError, or Warned where the frames are odd, or the faces in them not upright.
    """
    kind, location = config.camera.kind, config.camera.location
    what, live = f"{kind} {masked(location)}", kind == "picamera" or (kind == "video" and is_live(location))
    try:
        frames, about = some_frames(config)
    except CameraError as error:
        health = health_of_running(config) if live else None
        if health is None:
            raise
        return f"{what}: {text_of_health(health, error, config)}"
    pictures = [frame.best for frame in frames]
    height, width = pictures[0].shape[:2]
    across = height if config.camera.rotate_deg in {90, 270} else width
    seen = f"{what}: {width}x{height}, mean level {pictures[0].mean():.0f}; {reach(config, across, about.width_share)}"
    if about.text:
        seen += f"; {about.text}"
    if config.camera.kind != "images" and (problem := problem_of(frames)):
        text = (
            f"{seen}; its frames are {problem.replace('_', ' ')} ({len(frames)} of {len(frames)}): {REMEDIES[problem]}"
        )
        if live:
            raise OSError(text)
        raise Warned(text)  # a film may begin so
    if turn := turn_of_faces(config, pictures):
        right = (config.camera.rotate_deg + (-turn if config.camera.mirror else turn)) % 360
        raise Warned(f"{seen}; faces are found only in the picture turned by {turn}: set camera.rotate_deg = {right}")
    return seen


def some_frames(config: Config) -> tuple[list[Frame], About]:
    """Some frames of the camera, and what is known of it. Raises CameraError or OSError."""
    source = open_source(config.camera)
    frames: list[Frame] = []
    try:
        while len(frames) < FRAMES_FOR_FACES and (frame := source.read(FRAME_SECONDS)) is not None:
            frames.append(frame)
    finally:
        source.close()
    if not frames:
        raise no_frame(config.camera, source.about, FRAME_SECONDS)
    return frames, source.about


def health_of_running(config: Config) -> bytes | None:
    """What this very device, where it runs, publishes as its health; empty where that may not be read.

    None where it is not online, as far as is known.
    """
    instance, healths, heard = None, [b""], threading.Event()

    def hear(name: str, payload: bytes) -> None:
        if name == "health":
            healths.append(payload)
            heard.set()

    # Why there is no broker is reported by its own check.
    with suppress(LimenError), Controller(config.mqtt, config.device, hear) as controller:
        instance = controller.online_instance()
        if instance:
            heard.wait(HEALTH_SECONDS)
    return healths[-1] if instance and is_own(instance, config) else None


def text_of_health(payload: bytes, error: CameraError, config: Config) -> str:
    """The state of a camera that could not be opened here, by the health of the running limen.

    error: why not. Raises CameraError where the running limen has no picture either, and Warned where it may have one.
    """
    try:
        health = msgspec.json.decode(payload, type=CameraHealth)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        topic = f"limen/{config.device}/health"
        raise Warned(
            f"{error}; limen runs and may hold it: {topic}, which this account does not get to read, says so"
        ) from None
    if not health.camera_ok:
        raise CameraError(f"{error}; limen runs, and its health says: {health.camera_problem}")
    return "the running limen has the camera, and its health says camera_ok"


def turn_of_faces(config: Config, pictures: list[np.ndarray]) -> int:
    """By how many degrees clockwise pictures must be turned for their faces to be upright, where all agree; else 0."""
    detector = Detector(model_path("detector", config.models.detector))
    turns = {upright(picture, detector.detect) for picture in pictures} - {None}
    return (turns.pop() or 0) if len(turns) == 1 else 0


def reach(config: Config, width_px: int, share: float) -> str:
    """From how far a face is detected and recognized. share: of the lens's view, that the picture shows."""
    fov_deg = config.camera.fov_deg
    if fov_deg is None and config.camera.kind == "picamera":
        from edge.capture.picamera import sensor_name

        lens_deg = FIELD_OF_VIEW_DEG.get(sensor_name())
        fov_deg = None if lens_deg is None else part_of_view_deg(lens_deg, share)
    recognized_px = config.decision.quality.face_px_min
    if fov_deg is None:
        return f"{recognized_px:g} px of a face are needed; set camera.fov_deg to know at how many metres that is"
    return reach_text(width_px, fov_deg, recognized_px)


def is_own(instance: str, config: Config) -> bool:
    """Whether it is the newest run of a device with this gallery; also where the gallery cannot be read."""
    try:
        with open_or_empty(config) as device:
            return device.store.setting(INSTANCE) == instance
    except LimenError:  # another check says so
        return True
