"""The clocks of a household's cameras: each says what time it has, and notes whose differs from its own."""

import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress

from edge.api.fields import DAY_SECONDS, DAYS_MAX
from edge.api.replication import Greeting, RevisionMessage, read_greeting
from edge.api.topics import HouseholdTopics
from edge.core.expiry import CLOCKS_APART_SECONDS, is_too_late
from edge.errors import CipherError, GalleryError
from edge.runtime.bounded import BoundedDict
from edge.storage.gallery import SqliteGallery
from edge.system.clock import PEERS_APART, elapsed
from edge.system.crypto import HouseholdCipher

log = logging.getLogger("limen")

LOOK_SECONDS = 5.0  # between two looks at the clock
GREET_SECONDS = 600.0
FIRST_GREETING_SECONDS = 5.0  # after a connection: the others are there too by then where the broker started again
PEERS_MAX = 100
HOUR_SECONDS = 3600.0


class PeerClocks:
    """Compares the clock of this camera with those of others.

    name: of this camera; send: publishes a payload on a topic, or loses it; topic: of the greetings
    """

    def __init__(
        self,
        store: SqliteGallery,
        name: str,
        cipher: HouseholdCipher,
        topics: HouseholdTopics,
        send: Callable[[str, bytes], None],
    ) -> None:
        self._store, self._name, self._cipher, self._send = store, name, cipher, send
        self.topic = topics.person(cipher.opaque("the clock"))  # what an ACL for people lets through
        self._look_at, self._greet_at = 0.0, math.inf
        self._offset: float | None = None  # of the time of day from a clock that is never set
        self._apart, self._refused = BoundedDict[str, str](PEERS_MAX), BoundedDict[str, str](PEERS_MAX)
        self._keep()

    @property
    def problems(self) -> list[str]:
        """What is wrong, for people."""
        return [text for _, text in sorted([*self._apart.items(), *self._refused.items()])]

    def connected(self) -> None:
        """There is a new connection."""
        self._greet_at = time.monotonic() + FIRST_GREETING_SECONDS

    def tick(self) -> bool:
        """Greet the others now and then. Returns whether the time of day was set anew since the last call.

        Raises GalleryError.
        """
        if time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        now = self._store.clock.now()
        if now is None:
            return False
        if time.monotonic() >= self._greet_at:
            self._greet_at = time.monotonic() + GREET_SECONDS
            greeting = Greeting(device=self._name, sent_at=now).bytes()
            self._send(self.topic, self._cipher.encrypt(greeting, self.topic))
        before, self._offset = self._offset, now - elapsed()
        if before is None or abs(self._offset - before) <= CLOCKS_APART_SECONDS:
            return False
        self._apart.clear()
        self._refused.clear()
        self._keep()
        return True

    def hear(self, payload: bytes) -> bool:
        """Read a greeting that has just come. Returns whether it is authentic. Raises GalleryError."""
        try:
            self._note(read_greeting(self._cipher.decrypt(payload, self.topic)))
        except CipherError as error:
            log.debug("%s", error)
            return False
        return True

    def refuses(self, message: RevisionMessage) -> bool:
        """Whether a message is of a guest who would stay longer than any may. Raises GalleryError."""
        late = is_too_late(message.revision, self._store.clock.now(), DAYS_MAX * DAY_SECONDS)
        if late:
            self._refused[message.device] = (
                f"camera {message.device}: a guest of its would stay for more than "
                f"{DAYS_MAX} days by the clock of this camera, and is not taken over: is "
                "one of the two clocks wrong?"
            )
        return late

    def _note(self, greeting: Greeting) -> None:
        now = self._store.clock.now()
        if now is None or greeting.device == self._name:
            return
        seconds = greeting.sent_at - now
        known = greeting.device in self._apart
        if abs(seconds) <= CLOCKS_APART_SECONDS:
            self._apart.pop(greeting.device, None)
        else:
            self._apart[greeting.device] = (
                f"camera {greeting.device}: its clock is {in_words(abs(seconds))} "
                f"{'ahead of' if seconds > 0 else 'behind'} the one of this camera"
            )
        if known != (greeting.device in self._apart):
            log.warning("%s", self._apart.get(greeting.device, f"camera {greeting.device}: its clock is right again"))
            self._keep()

    def _keep(self) -> None:
        """Keep for `limen doctor` which clocks differ."""
        text = json.dumps(list(self._apart.values()))
        with suppress(GalleryError):
            if (self._store.setting(PEERS_APART) or "[]") != text:
                self._store.set(PEERS_APART, text)


def in_words(seconds: float) -> str:
    """90000.0 -> '25.0 hours'."""
    for unit, size in (("days", DAY_SECONDS), ("hours", HOUR_SECONDS)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
