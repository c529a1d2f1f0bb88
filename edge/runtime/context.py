"""What a handler may use of the device, whether it runs or not."""

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

import msgspec

from edge.api.fields import DAY_SECONDS
from edge.api.images import FILE_PIXELS_MAX
from edge.api.messages import Health
from edge.api.verbs import Limits
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event
from edge.core.people import People
from edge.core.recognizer import Recognizer
from edge.core.types import Frame
from edge.errors import RefusedError
from edge.runtime.assembly import Device
from edge.runtime.history import History
from edge.storage.gallery import SqliteGallery
from edge.system.clock import NOT_SET_REMEDY
from edge.system.crypto import ARCHIVE, HouseholdCipher

ANSWER_BYTES = 1000  # of an answer beside what is long in it


class DeviceContext:
    """The device of a command on its own disk; DeviceLoop has one of a running device.

    limits: what one request may hold
    running: whether there are frames and events
    """

    running = False

    def __init__(self, config: Config, device: Device, limits: Limits | None = None) -> None:
        self.config, self.device = config, device
        self.limits = limits or Limits(request_bytes_max=2**40, image_pixels_max=FILE_PIXELS_MAX)

    @property
    def recognizer(self) -> Recognizer:
        """The recognizer."""
        return self.device.recognizer

    @property
    def people(self) -> People:
        """The people who are enrolled."""
        return self.device.recognizer.people

    @property
    def store(self) -> SqliteGallery:
        """The gallery's file."""
        return self.device.store

    @property
    def history(self) -> History:
        """The visits that are kept."""
        return self.device.history

    def now(self) -> float:
        """Seconds since 1970. Raises RefusedError with clock_not_set."""
        now = self.store.clock.now()
        if now is None:
            raise RefusedError(Code.CLOCK_NOT_SET, f"the device's time of day is not set: {NOT_SET_REMEDY}")
        return now

    def expiry(self, days: float | None) -> float | None:
        """So many days from now, in seconds since 1970. Raises RefusedError with clock_not_set."""
        return None if days is None else self.now() + days * DAY_SECONDS

    @property
    def answer_bytes_max(self) -> int | None:
        """Bytes of a packet with an answer; None where no limit is known."""
        return None

    @cached_property
    def _key(self) -> str | None:
        return self.config.fleet.key()

    def cipher(self) -> HouseholdCipher:
        """The cipher of exported galleries. Raises RefusedError with no_household_key."""
        key = self._key
        if key is None:
            raise RefusedError(
                Code.NO_HOUSEHOLD_KEY, "a gallery crosses MQTT encrypted alone: fleet.key_file is not set"
            )
        return HouseholdCipher(key, ARCHIVE)

    def event(self, event_id: str) -> Event:
        """An event that can be corrected. Raises RefusedError with no_such_event."""
        return self.history.event(event_id)

    def remove_visit(self, event_id: str) -> str:
        """Delete the visit of an event. Returns its id. Raises RefusedError as History.remove does."""
        return self.history.remove(event_id)[0]

    def frame(self) -> Frame:
        """The newest frame. Raises RefusedError with no_frame, snapshot_off or recognition_off."""
        raise not_running("a snapshot can be taken")

    def require_camera(self) -> None:
        """Raise RefusedError with no_frame where the camera has given no good frame for a while, or not_running."""
        raise not_running("the person before the camera can be enrolled")

    def health(self) -> Health:
        """How the device is."""
        raise not_running("health is known")


def not_running(what: str) -> RefusedError:
    """The refusal of what only a running device can do."""
    return RefusedError(Code.NOT_RUNNING, f"{what} of a running device alone: ask it with --broker")


def fitting(entries: Sequence[object], bytes_max: int | None) -> int:
    """How many of the entries of a page an answer of that size holds; one in any case."""
    if bytes_max is None:
        return len(entries)
    sizes = accumulate(len(msgspec.json.encode(entry)) + 1 for entry in entries)  # each with a comma
    return max(1, sum(size <= bytes_max - ANSWER_BYTES for size in sizes)) if entries else 0
