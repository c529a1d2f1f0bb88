"""The checks of `limen doctor`: each reports what it found, or what is wrong and what to do."""

import json
import os
import platform
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np

from edge.api.signing import WINDOW_SECONDS, key_id
from edge.capture import no_frame, open_source
from edge.capture.health import REMEDIES, problem_of
from edge.capture.video import is_live
from edge.commands import file_checks
from edge.commands.file_checks import Warned
from edge.config import Config
from edge.core.align import CROP_PX
from edge.core.reach import FIELD_OF_VIEW_DEG, part_of_view_deg, reach_text
from edge.core.turning import upright
from edge.core.types import About, Frame
from edge.errors import CameraError, LimenError
from edge.inference.detector import Detector
from edge.inference.runtime import interpreter_class
from edge.mqtt.controller import Controller
from edge.mqtt.identity import REMEDY
from edge.runtime.assembly import Device, model_path, open_or_empty
from edge.runtime.device_name import INSTANCE
from edge.system.clock import NOT_SET_REMEDY, PEERS_APART, rfc3339
from edge.system.files import is_dir
from edge.system.secret import masked

RUNTIMES = ("ai-edge-litert", "tflite-runtime")
PACKAGES = (*RUNTIMES, "numpy", "opencv-python-headless", "paho-mqtt", "picamera2")
FRAME_SECONDS = 10.0
FRAMES_FOR_FACES = 5
HEALTH_SECONDS = 0.5  # in which the broker sends the health that it keeps
DISK_FREE_MB_MIN = 100
NOWHERE = Path(os.devnull) / "gallery.db"
# By check; what a check found may say more.
AGAIN = "install again: `sudo deploy/install` on a device, `pip install .` in a new virtual environment elsewhere"
ANOTHER_USER = "run limen as the user it belongs to (on a device: `sudo -u limen limen doctor`), or give it to this one"
WHAT_TO_DO = {
    "packages": AGAIN,
    "runtime": AGAIN,
    "models": f"take the shipped ones (models.detector and models.embedder), and where those fail {AGAIN}",
    "gallery": "stop limen, move what is damaged away, and bring a backup back: `limen people import FILE`",
    "secrets": "close the files as said, and replace each password and key that others could read",
    "disk": "make room there, or set gallery.path to another disk",
    "camera": "look at its cable, power and network, at camera.kind and camera.location, and whether another program "
    "uses it; `limen init` lists the cameras of this machine",
    "broker": "look at host, port, username, files and `device` name of this configuration; `limen init` tries others",
    "addresses": "name the address in a drop-in: deploy/OPERATIONS.md, Install, upgrade, remove",
    "clock": "give this machine the time (timedatectl set-ntp true, or a hardware clock); where it is right and nobody "
    'says so, set clock = "trusted"',
}


@dataclass(frozen=True)
class Finding:
    """What a check found. level: OK, WARN or FAIL; remedy: what to do, where it is not OK."""

    what: str
    level: str
    text: str
    remedy: str = ""


class CameraHealth(msgspec.Struct):
    """What `health` says of the camera."""

    camera_ok: bool
    camera_problem: str | None = None


def examine(config: Config, path: Path | None) -> Iterator[Finding]:
    """Run every check, whatever the others found. path: of the configuration."""
    checks: dict[str, Callable[[Config], str]] = {
        "packages": packages,
        "runtime": runtime,
        "models": models,
        "gallery": file_checks.gallery,
        "secrets": lambda config: file_checks.secrets(config, path),
        "disk": disk,
        "camera": camera,
        "broker": broker,
        "addresses": file_checks.fence,
        "clock": clock,
    }
    denied = file_checks.denied(config.gallery.path)
    without_gallery = replace(config, gallery=replace(config.gallery, path=NOWHERE)) if denied else config
    for what, check in checks.items():
        if denied and what == "gallery":
            yield Finding(what, "FAIL", denied, ANOTHER_USER)
            continue
        try:
            yield Finding(what, "OK", check(without_gallery if what in ("models", "clock") else config))
        except Warned as warning:
            yield Finding(what, "WARN", str(warning), WHAT_TO_DO[what])
        except (LimenError, OSError) as error:
            yield Finding(what, "FAIL", " ".join(str(error).split()), WHAT_TO_DO[what])


def packages(_config: Config) -> str:
    """What is installed."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return f"Python {platform.python_version()} on {platform.machine()}: {', '.join(found)}"


def runtime(_config: Config) -> str:
    """A runtime that goes with this NumPy. Raises ModelError."""
    return interpreter_class().__module__


def models(config: Config) -> str:
    """A real inference of each. Raises ModelError or GalleryError."""
    picture = np.full((480, 640, 3), 128, dtype=np.uint8)
    crop = np.full((CROP_PX, CROP_PX, 3), 128, dtype=np.uint8)
    with open_or_empty(config) as device:
        detect_ms = warm_ms(lambda: device.detector.detect(picture))
        embed_ms = warm_ms(lambda: device.embedder.embed(crop))
        foreign, fpir, model = device.store.foreign(), device.fpir, device.model
        tau = device.recognizer.gallery.tau
    rebuild = f"; {foreign} templates of another model wait for `limen rebuild`" if foreign else ""
    return (
        f"detector {detect_ms:.1f} ms, embedder {model} {embed_ms:.1f} ms; match threshold tau {tau:.3f}, at which a "
        f"stranger is named with a probability of {fpir:.2g} per comparison with everybody{rebuild}"
    )


def warm_ms(run: Callable[[], object]) -> float:
    """How long the second run takes, in milliseconds."""
    run()
    started = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - started)


def disk(config: Config) -> str:
    """Room where the gallery is, or will be. Raises OSError."""
    folder = next(folder for folder in config.gallery.path.absolute().parents if is_dir(folder))
    free_mb = shutil.disk_usage(folder).free // 1_000_000
    if free_mb < DISK_FREE_MB_MIN:
        raise OSError(f"{folder} has {free_mb} MB left; the gallery wants {DISK_FREE_MB_MIN}")
    return f"{config.gallery.path}, {free_mb} MB free"


def camera(config: Config) -> str:
    """Some frames, or what the running limen says of its camera, which it alone may open.

    Raises CameraError, OSError, or Warned where the frames are odd, or the faces in them not upright.
    """
    kind, location = config.camera.kind, config.camera.location
    what, live = f"{kind} {masked(location)}", kind == "picamera" or (kind == "video" and is_live(location))
    try:
        frames, about = some_frames(config)
    except CameraError as error:
        if live and (said := said_by_running(config)):
            return f"{what}: {said}"
        raise error from None
    pictures = [frame.best for frame in frames]
    height, width = pictures[0].shape[:2]
    across = height if config.camera.rotate_deg in {90, 270} else width
    said = f"{what}: {width}x{height}, mean level {pictures[0].mean():.0f}; {reach(config, across, about.width_share)}"
    if about.text:
        said += f"; {about.text}"
    if config.camera.kind != "images" and (problem := problem_of(frames)):
        text = (
            f"{said}; its frames are {problem.replace('_', ' ')} ({len(frames)} of {len(frames)}): {REMEDIES[problem]}"
        )
        if live:
            raise OSError(text)
        raise Warned(text)  # a film may begin so
    if turn := turn_of_faces(config, pictures):
        right = (config.camera.rotate_deg + (-turn if config.camera.mirror else turn)) % 360
        raise Warned(f"{said}; faces are found only in the picture turned by {turn}: set camera.rotate_deg = {right}")
    return said


def some_frames(config: Config) -> tuple[list[Frame], About]:
    """Some frames of the camera, and what it says of itself. Raises CameraError or OSError."""
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


def said_by_running(config: Config) -> str:
    """What this very device, where it runs, says of its camera; "" where it is not online, as far as is known.

    Raises Warned where that is nothing good.
    """
    instance, healths, heard = None, [b""], threading.Event()

    def hear(name: str, payload: bytes) -> None:
        if name == "health":
            healths.append(payload)
            heard.set()

    with suppress(LimenError), Controller(config.mqtt, config.device, hear) as controller:  # broker says what is wrong
        instance = controller.online_instance()
        if instance:
            heard.wait(HEALTH_SECONDS)
    if not instance or not is_own(instance, config):
        return ""
    has = "the running limen has the camera"
    try:
        health = msgspec.json.decode(healths[-1], type=CameraHealth)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        topic = f"limen/{config.device}/health"
        raise Warned(f"{has}; how it is stands in {topic}, which this account does not get to read") from None
    if not health.camera_ok:
        raise Warned(f"{has}, and its health says that camera_ok is false: {health.camera_problem}")
    return f"{has}, and its health says camera_ok"


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


def broker(config: Config) -> str:
    """The broker lets the device in. Raises BrokerError, or ConfigError for a file that cannot be used."""
    mqtt = config.mqtt
    with Controller(mqtt, config.device) as controller:
        instance = controller.online_instance()
    who = f"{mqtt.username}, with {'a' if mqtt.password() else 'no'} password" if mqtt.username else "anybody"
    tls, key = "TLS" if mqtt.ca_file else "no TLS", mqtt.signing_key()
    signed = f"requests are signed by key {key_id(key)}" if key else "requests are not signed"
    said = f"{mqtt.host}:{mqtt.port} lets in {who}; {tls}; {signed}; this device is '{config.device}'"
    if instance and not is_own(instance, config):
        raise Warned(f"{said}, and another device is online as '{config.device}': {REMEDY}")
    return said


def is_own(instance: str, config: Config) -> bool:
    """Whether it is the newest run of a device with this gallery; also where the gallery cannot be read."""
    try:
        with open_or_empty(config) as device:
            return device.store.setting(INSTANCE) == instance
    except LimenError:  # another check says so
        return True


def clock(config: Config) -> str:
    """Whether the time of day is set and did not go back. Raises OSError, or Warned where only expiry needs it."""
    with open_or_empty(config) as device:
        now, before = device.store.clock.now(), device.store.clock.gone_back_from()
        apart = json.loads(device.store.setting(PEERS_APART) or "[]") if config.fleet.key() else []
        key = config.mqtt.signing_key()
        signed_ms = None if key is None else device.store.nonces.newest_ms(key_id(key))
    if before is not None:
        raise OSError(
            f"the time of day is before the last one known, {rfc3339(before, milliseconds=False)}, and is not "
            f"believed; if it is right, {rfc3339(milliseconds=False)}, `limen doctor --reset-clock` drops the last one "
            "known"
        )
    if now is not None:
        if signed_ms is not None and signed_ms / 1000 > now + WINDOW_SECONDS:
            raise OSError(
                f"a request was carried out that was signed at {rfc3339(signed_ms / 1000, milliseconds=False)}, so "
                "others are out_of_order until then; where the clock was ahead, and is right now, `limen doctor "
                "--reset-clock` lets them in"
            )
        if apart:
            raise Warned(f"the time of day is set; {'; '.join(apart)}")
        return "the time of day is set"
    if config.mqtt.signing_key() is not None:
        raise OSError(f"the time of day is not set, so no signed request is carried out: {NOT_SET_REMEDY}")
    raise Warned(f"the time of day is not set, so guests cannot be enrolled and nothing expires: {NOT_SET_REMEDY}")


def reset_clock(config: Config) -> None:
    """Believe the time of day although it is before the last one known, or before that of requests.

    Raises GalleryError.
    """
    with Device.open(config, make=False) as device, device.store.transaction():
        device.store.clock.forget()
        device.store.nonces.forget_after(round(1000 * (time.time() + WINDOW_SECONDS)))
        device.store.audit.note("clock", detail="the last time known was dropped")
