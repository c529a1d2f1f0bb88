"""The checks of `limen doctor`: each reports what it found, or what is wrong and what to do."""

import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from edge.api.signing import WINDOW_SECONDS, key_id
from edge.commands import camera_checks, file_checks
from edge.commands.file_checks import Warned
from edge.config import Config
from edge.core.align import CROP_PX
from edge.errors import LimenError
from edge.inference.runtime import interpreter_class
from edge.mqtt.controller import Controller
from edge.mqtt.identity import REMEDY
from edge.runtime.assembly import Device, open_or_empty
from edge.system.clock import NOT_SET_REMEDY, PEERS_APART, rfc3339
from edge.system.files import is_dir

RUNTIMES = ("ai-edge-litert", "tflite-runtime")
PACKAGES = (*RUNTIMES, "numpy", "opencv-python-headless", "paho-mqtt", "picamera2")
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


def examine(config: Config, path: Path | None) -> Iterator[Finding]:
    """Run every check, whatever the others found. path: of the configuration."""
    checks: dict[str, Callable[[Config], str]] = {
        "packages": packages,
        "runtime": runtime,
        "models": models,
        "gallery": file_checks.gallery,
        "secrets": lambda config: file_checks.secrets(config, path),
        "disk": disk,
        "camera": camera_checks.camera,
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


def broker(config: Config) -> str:
    """The broker lets the device in. Raises BrokerError, or ConfigError for a file that cannot be used."""
    mqtt = config.mqtt
    with Controller(mqtt, config.device) as controller:
        instance = controller.online_instance()
    who = f"{mqtt.username}, with {'a' if mqtt.password() else 'no'} password" if mqtt.username else "anybody"
    tls, key = "TLS" if mqtt.ca_file else "no TLS", mqtt.signing_key()
    signed = f"requests are signed by key {key_id(key)}" if key else "requests are not signed"
    said = f"{mqtt.host}:{mqtt.port} lets in {who}; {tls}; {signed}; this device is '{config.device}'"
    if instance and not camera_checks.is_own(instance, config):
        raise Warned(f"{said}, and another device is online as '{config.device}': {REMEDY}")
    return said


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
