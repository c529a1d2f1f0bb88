"""Who is known, asked of a gallery on this machine's own disk, or of a device through the broker."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

import cv2
import numpy as np

from edge.api.requests import DAY_SECONDS
from edge.config import Config
from edge.core.commands import (
    Command,
    EnrollImages,
    ImportGallery,
    ListPeople,
    RebuildGallery,
    RemovePerson,
    Reply,
)
from edge.errors import BrokerError, ConfigError, LimenError, RefusedError
from edge.mqtt.controller import Controller
from edge.runtime.assembly import Device
from edge.system.crypto import CARRIED, HouseholdCipher

PICTURE_PX_MAX = 1280  # of a longer side: a phone's picture is ten times what a face needs, and a message has a limit
JPEG_QUALITY = 92
ANSWER_SECONDS = 20.0


class People(Protocol):
    """Both ways do the same and answer the same. Raises RefusedError with a code and a reason."""

    def enroll(self, name: str, pictures: list[np.ndarray], days: float | None = None) -> dict:
        """Know somebody from (H, W, 3) uint8 RGB pictures with one face each. days: a guest, for so long."""

    def list(self) -> dict:
        """Everybody, and tau."""

    def forget(self, name: str) -> dict:
        """Know somebody no longer."""

    def rebuild(self) -> dict:
        """Make every template anew from its picture, as the present embedder sees it."""

    def export(self) -> tuple[bytes, int]:
        """Everybody, as edge.storage.archive makes it, and how many they are."""

    def import_(self, data: bytes) -> dict:
        """Know everybody of an export too."""


class LocalClient:
    """The gallery of a device on this machine's disk."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def enroll(self, name: str, pictures: list[np.ndarray], days: float | None = None) -> dict:
        """See People."""
        return self._done(EnrollImages(name, pictures, None if days is None else self._now() + days * DAY_SECONDS))

    def list(self) -> dict:
        """See People."""
        return self._done(ListPeople())

    def forget(self, name: str) -> dict:
        """See People."""
        return self._done(RemovePerson(name))

    def rebuild(self) -> dict:
        """See People."""
        return self._done(RebuildGallery())

    def export(self) -> tuple[bytes, int]:
        """See People."""
        return self.device.store.export()

    def import_(self, data: bytes) -> dict:
        """See People."""
        return self._done(ImportGallery(data))

    def _now(self) -> float:
        now = self.device.store.clock.now()
        if now is None:
            raise RefusedError("clock_not_set", "clock_not_set: this machine does not know the time of day yet")
        return now

    def _done(self, command: Command) -> dict:
        return done(self.device.recognizer.handle(command))


class RemoteClient:
    """A device that answers through the broker. key: the household's, under which galleries are sealed on the way."""

    def __init__(self, controller: Controller, key: str | None) -> None:
        self.controller, self._key = controller, key

    def enroll(self, name: str, pictures: list[np.ndarray], days: float | None = None) -> dict:
        """See People."""
        images = [base64.b64encode(jpeg_of(picture)).decode() for picture in pictures]
        return self.controller.ask("enroll/image", {"name": name, "images": images, "ttl_days": days})

    def enroll_live(
        self, name: str, shots: int, timeout_seconds: float, say: Callable[[dict], None], days: float | None = None
    ) -> dict:
        """Know whoever stands before the device's door from now on; say: called with how far it has come."""
        fields = {"name": name, "shots": shots, "timeout_seconds": timeout_seconds, "ttl_days": days}
        try:
            return self.controller.ask("enroll/start", fields, timeout_seconds + ANSWER_SECONDS, say)
        except (KeyboardInterrupt, BrokerError):  # or the next who passes by would be enrolled under this name
            with suppress(LimenError):
                self.controller.ask("enroll/cancel", {}, 2.0)
            raise

    def list(self) -> dict:
        """See People."""
        return self.controller.ask("person/list", {})

    def forget(self, name: str) -> dict:
        """See People."""
        return self.controller.ask("person/remove", {"name": name})

    def rebuild(self) -> dict:
        """See People."""
        return self.controller.ask("gallery/rebuild", {})

    def export(self) -> tuple[bytes, int]:
        """See People."""
        seal, answer = self._seal(), self.controller.ask("gallery/export", {})
        return seal.open(base64.b64decode(answer["gallery"]), CARRIED), answer["people"]

    def import_(self, data: bytes) -> dict:
        """See People."""
        sealed = base64.b64encode(self._seal().seal(data, CARRIED)).decode()
        return self.controller.ask("gallery/import", {"gallery": sealed})

    def _seal(self) -> HouseholdCipher:
        if self._key is None:
            raise ConfigError("a gallery crosses MQTT sealed alone: set fleet.key_file or LIMEN_HOUSEHOLD_KEY here too")
        return HouseholdCipher(self._key, CARRIED)


@contextmanager
def open_client(config: Config, *, over_mqtt: bool) -> Iterator[People]:
    """The people of the configured device. Raises LimenError that names what is missing."""
    if over_mqtt:
        with Controller(config.mqtt, config.device) as controller:
            yield RemoteClient(controller, config.fleet.key())
    else:
        device = Device.of(config)
        try:
            yield LocalClient(device)
        finally:
            device.store.close()


def done(reply: Reply) -> dict:
    """The reply's data. Raises RefusedError where it was refused."""
    if reply.code is not None:
        raise RefusedError(reply.code, f"{reply.code}: {reply.error}")
    return reply.data


def jpeg_of(picture: np.ndarray) -> bytes:
    """(H, W, 3) uint8 RGB -> JPEG, made smaller where it is larger than a face needs."""
    height, width = picture.shape[:2]
    scale = min(1.0, PICTURE_PX_MAX / max(height, width))
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
