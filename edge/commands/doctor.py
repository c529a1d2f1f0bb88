"""Is everything there that the door needs? Each check says what it found, or what is wrong and what to do."""

import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from edge.api.signing import key_id
from edge.capture import open_source
from edge.config import Config, masked
from edge.core.align import CROP_PX
from edge.errors import LimenError
from edge.inference.runtime import interpreter_class
from edge.mqtt.controller import Controller
from edge.runtime.assembly import Device

RUNTIMES = ("ai-edge-litert", "tflite-runtime")
PACKAGES = (*RUNTIMES, "numpy", "opencv-python-headless", "paho-mqtt", "picamera2")
FRAME_SECONDS = 10.0
DISK_FREE_MB_MIN = 100


@dataclass(frozen=True)
class Finding:
    """What a check found."""

    what: str
    good: bool
    said: str


def examine(config: Config) -> Iterator[Finding]:
    """Every check, one after the other; each goes on whatever the others found."""
    checks: dict[str, Callable[[Config], str]] = {
        "packages": packages,
        "runtime": runtime,
        "models": models,
        "disk": disk,
        "camera": camera,
        "broker": broker,
        "clock": clock,
    }
    for what, check in checks.items():
        try:
            yield Finding(what, good=True, said=check(config))
        except (LimenError, OSError) as error:
            yield Finding(what, good=False, said=" ".join(str(error).split()))


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
    device = Device.of(config)
    picture = np.full((480, 640, 3), 128, dtype=np.uint8)
    milliseconds = []
    for run in (
        lambda: device.detector.detect(picture),
        lambda: device.embedder.embed(np.full((CROP_PX, CROP_PX, 3), 128, dtype=np.uint8)),
    ):
        run()
        started = time.perf_counter()
        run()
        milliseconds.append(1000 * (time.perf_counter() - started))
    foreign = device.store.foreign()
    device.store.close()
    rebuild = f"; {foreign} templates of another model wait for `limen rebuild`" if foreign else ""
    return f"detector {milliseconds[0]:.1f} ms, embedder {device.model} {milliseconds[1]:.1f} ms{rebuild}"


def disk(config: Config) -> str:
    """Room where the gallery is. Raises OSError."""
    free_mb = shutil.disk_usage(config.gallery.path.parent).free // 1_000_000
    if free_mb < DISK_FREE_MB_MIN:
        raise OSError(f"{config.gallery.path.parent} has {free_mb} MB left; the gallery wants {DISK_FREE_MB_MIN}")
    return f"{config.gallery.path}, {free_mb} MB free"


def camera(config: Config) -> str:
    """A frame. Raises CameraError or OSError."""
    source, what = open_source(config.camera), f"{config.camera.kind} {masked(config.camera.location)}"
    try:
        frame = source.read(FRAME_SECONDS)
    finally:
        source.close()
    if frame is None:
        raise OSError(f"{what} gave no frame in {FRAME_SECONDS:g} s")
    height, width = frame.best.shape[:2]
    return f"{what}: {width}x{height}, mean level {frame.image.mean():.0f}"


def broker(config: Config) -> str:
    """The broker lets the device in. Raises BrokerError, or ConfigError for a file that cannot be used."""
    mqtt = config.mqtt
    Controller(mqtt, config.device).close()
    who = f"{mqtt.username}, with {'a' if mqtt.password() else 'no'} password" if mqtt.username else "anybody"
    tls, key = "TLS" if mqtt.ca_file else "no TLS", mqtt.signing_key()
    signed = f"requests are signed by key {key_id(key)}" if key else "requests are not signed"
    return f"{mqtt.host}:{mqtt.port} lets in {who}; {tls}; {signed}"


def clock(config: Config) -> str:
    """The time of day is set, where somebody's signature depends on it, and did not go back. Raises OSError."""
    device = Device.of(config)
    now, before = device.store.clock.now(), device.store.clock.gone_back_from()
    device.store.close()
    if before is not None:
        raise OSError(
            f"the time of day is before the last one known, {utc(before)}, and is not believed; if it is right, "
            f"{utc(time.time())}, `limen doctor --reset-clock` forgets the last one known"
        )
    if now is None and config.mqtt.signing_key() is not None:
        raise OSError("the time of day is not set (timedatectl), so no signed request is carried out")
    return "the time of day is set" if now is not None else "the time of day is not set: expiries wait"


def reset_clock(config: Config) -> None:
    """Believe the time of day although it is before the last one known. Raises GalleryError."""
    device = Device.of(config)
    with device.store.transaction():
        device.store.clock.forget()
        device.store.audit.note("clock", detail="the last time known was forgotten")
    device.store.close()


def utc(seconds: float) -> str:
    """Since 1970 -> for people, as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
