"""The name of a device for which none is configured: that of its host, and once it has run, the name it had then."""

import re
import socket
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from urllib.parse import quote

from edge.config import Config, MqttConfig
from edge.core.patterns import DEVICE
from edge.errors import GalleryError
from edge.mqtt.controller import Controller
from edge.storage.gallery import SqliteGallery
from edge.system.files import is_file

NAME_MAX = 63
NO_NAME = "door"  # of every device without a configured name, before a device was called as its host
DEVICE_NAME, INSTANCE = "device", "instance"  # settings


def named(config: Config) -> Config:
    """The configuration with the device's name."""
    return replace(config, device=config.device or known_name(config) or host_name())


def named_at_broker(config: Config) -> Config:
    """The same, where the device is somewhere at the broker: if it knows one device alone, that one.

    Raises BrokerError.
    """
    name = config.device or known_name(config) or device_alone(config.mqtt)
    return replace(config, device=name or host_name())


def known_name(config: Config) -> str | None:
    """The name under which a device with this gallery has run; None where none has."""
    path = config.gallery.path
    with suppress(OSError, sqlite3.Error):
        if is_file(path):
            with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as db:
                kept = db.execute("SELECT value FROM setting WHERE name = ?", (DEVICE_NAME,)).fetchone()
            if kept is not None:
                return str(kept[0])
        if is_file(config.mqtt.outbox_beside(path)):  # an earlier release has run here, and kept no name
            return NO_NAME
    return None


def device_alone(config: MqttConfig) -> str | None:
    """The device that the broker knows, where it knows one alone. Raises BrokerError."""
    with Controller(config, host_name()) as controller:
        devices = controller.devices()
    return devices[0] if len(devices) == 1 else None


def host_name() -> str:
    """The first label of the host's name, as a device's name; NO_NAME where that is none."""
    label = re.sub("[^a-z0-9]+", "-", socket.gethostname().partition(".")[0].lower()).strip("-")[:NAME_MAX]
    return label if re.match(DEVICE, label) and label != "localhost" else NO_NAME


def keep_name(store: SqliteGallery, config: Config, instance: str) -> None:
    """Keep what a device is called that begins to run, and which run it is; where that can be written."""
    with suppress(GalleryError):
        if store.setting(DEVICE_NAME) != config.device:
            store.set(DEVICE_NAME, config.device)
        store.set(INSTANCE, instance)
