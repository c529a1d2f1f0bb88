"""Signed requests: proof that the holder of the key made this request, on this topic, just now, and once.

What is signed travels as text inside an envelope, so that the same bytes are checked over MQTT 3.1.1 and 5. The
signature is HMAC-SHA-256 over topic, timestamp_ms, nonce and that text, separated by NUL: no topic may hold one
(MQTT 5, 1.5.4), so there is one way to take it apart.
"""

import hashlib
import hmac
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, NamedTuple, Protocol

import msgspec

from edge.core import patterns
from edge.core.codes import Code
from edge.errors import RefusedError
from edge.system.clock import NOT_SET_REMEDY

WINDOW_SECONDS = 60
READ_NONCES_MAX = 10_000
EXPECTED = "signed, timestamp_ms, nonce (16 to 64 letters, digits, _ or -) and signature (64 hexadecimal digits)"
ENVELOPE_KEYS = {"signed", "timestamp_ms", "nonce", "signature"}


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A signed request. signed: its JSON as a string; timestamp_ms: since 1970."""

    signed: str
    timestamp_ms: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    nonce: Annotated[str, msgspec.Meta(pattern=patterns.NONCE)]
    signature: Annotated[str, msgspec.Meta(pattern=patterns.SIGNATURE)]


class Stamp(NamedTuple):
    """What identifies a signed request."""

    key_id: str
    timestamp_ms: int
    nonce: str


class Clock(Protocol):
    """The time of day; see edge.system.clock.Clock."""

    def now(self) -> float | None:
        """Seconds since 1970; None while the time of day is not set."""


class Nonces(Protocol):
    """The nonces of requests that were carried out, over restarts."""

    def seen(self, key_id: str, nonce: str) -> bool:
        """Whether a request with it was carried out under this key."""

    def newest_ms(self, key_id: str) -> int | None:
        """When the newest request of this key was signed: none that was signed before it is carried out."""

    def dropped_ms(self, key_id: str) -> int:
        """When the newest request of this key was signed whose nonce is not known any more; -1 where all are known."""

    def consume_nonce(self, key_id: str, nonce: str, timestamp_ms: int) -> None:
        """Mark it as seen."""


class Signatures:
    """What a device demands of requests: with a key that they are signed by it, without that they are not signed.

    monotonic: seconds on a clock that never goes back
    """

    def __init__(
        self, key: bytes | None, clock: Clock, nonces: Nonces, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._key, self._clock, self._nonces, self._monotonic = key, clock, nonces, monotonic
        self._started = monotonic()
        self._read: OrderedDict[tuple[str, str], None] = OrderedDict()

    def open(self, topic: str, value: object) -> tuple[bytes | None, Stamp | None]:
        """The signed text of a decoded payload and its stamp; (None, None) for a request that is not signed.

        Raises RefusedError with no_key, unsigned or bad_signature.
        """
        if not isinstance(value, dict) or not value.keys() & {"signed", "signature"}:
            if self._key is not None:
                raise RefusedError(
                    Code.UNSIGNED,
                    f"this device accepts signed requests only: expected {EXPECTED}; limen's own commands sign where "
                    "mqtt.signing_key_file is set",
                )
            return None, None
        if self._key is None:
            if value.keys() == ENVELOPE_KEYS:
                raise RefusedError(
                    Code.NO_KEY, "this device has no key to check a signature with: mqtt.signing_key_file"
                )
            return None, None
        try:
            envelope = msgspec.convert(value, Envelope)
        except msgspec.ValidationError as error:
            raise RefusedError(Code.UNSIGNED, f"expected {EXPECTED}: {patterns.in_words(error)}") from error
        expected = signature_of(self._key, topic, envelope.signed, envelope.timestamp_ms, envelope.nonce)
        if not hmac.compare_digest(expected, envelope.signature.lower()):
            raise RefusedError(
                Code.BAD_SIGNATURE, "the signature is not by this device's key over this topic, time, nonce and text"
            )
        return envelope.signed.encode(), Stamp(key_id(self._key), envelope.timestamp_ms, envelope.nonce)

    def check_freshness(self, stamp: Stamp | None) -> None:
        """Pass a request that is fresh, new and in order.

        Raises RefusedError with replayed, out_of_order, clock_not_set or stale.
        """
        if stamp is None:
            return
        if self._nonces.seen(stamp.key_id, stamp.nonce) or (stamp.key_id, stamp.nonce) in self._read:
            raise RefusedError(Code.REPLAYED, "a request with this nonce was carried out already; sign each anew")
        now = self._clock.now()
        if now is None:
            raise RefusedError(
                Code.CLOCK_NOT_SET,
                f"the device's time of day is not set, so it cannot tell whether a request is fresh: {NOT_SET_REMEDY}",
            )
        off_seconds = now - stamp.timestamp_ms / 1000
        if abs(off_seconds) > WINDOW_SECONDS:
            raise RefusedError(
                Code.STALE,
                f"signed {abs(off_seconds):.0f} s {'before' if off_seconds > 0 else 'after'} the time of this device; "
                f"at most {WINDOW_SECONDS} s are accepted",
            )
        # Also where the clock was put back, and nonces were dropped by then, nothing old is new again.
        newest_ms, dropped_ms = self._nonces.newest_ms(stamp.key_id) or 0, self._nonces.dropped_ms(stamp.key_id)
        behind_ms = max(newest_ms, dropped_ms + 1) - stamp.timestamp_ms
        if behind_ms > 0:
            wrong = "; if the clock of this device was ahead then, `limen doctor --reset-clock` on it"
            raise RefusedError(
                Code.OUT_OF_ORDER,
                f"signed {behind_ms / 1000:.3f} s before a request that was carried out already"
                f"{wrong if behind_ms > 1000 * WINDOW_SECONDS else ''}",
            )

    def consume_nonce(self, stamp: Stamp | None) -> None:
        """Mark a request as carried out, on disk. Raises GalleryError."""
        if stamp is not None:
            self._nonces.consume_nonce(stamp.key_id, stamp.nonce, stamp.timestamp_ms)

    def remember_read(self, stamp: Stamp | None) -> None:
        """Mark a READ request as carried out, in memory: the disk is not written for it.

        Raises RefusedError with out_of_order for one that was signed before this process started: it may have been
        carried out then. A clock of the signer that is behind is refused for as long after a start; one that is ahead
        leaves as long for a replay over a restart, within WINDOW_SECONDS.
        """
        if stamp is None:
            return
        started_at = (self._clock.now() or 0.0) - (self._monotonic() - self._started)
        if stamp.timestamp_ms / 1000 < started_at:
            raise RefusedError(Code.OUT_OF_ORDER, "signed before this device was started; sign it again")
        self._read[stamp.key_id, stamp.nonce] = None
        if len(self._read) > READ_NONCES_MAX:
            self._read.popitem(last=False)


def signed_text(value: object) -> bytes | None:
    """The text in an envelope, whether its signature holds or not; None where there is none."""
    text = value.get("signed") if isinstance(value, dict) else None
    return text.encode() if isinstance(text, str) else None


def sign(key: bytes, topic: str, request: bytes) -> bytes:
    """A request, signed now, as it is sent on that topic."""
    text, timestamp_ms, nonce = request.decode(), time.time_ns() // 1_000_000, uuid.uuid4().hex
    signature = signature_of(key, topic, text, timestamp_ms, nonce)
    return msgspec.json.encode(Envelope(signed=text, timestamp_ms=timestamp_ms, nonce=nonce, signature=signature))


def signature_of(key: bytes, topic: str, text: str, timestamp_ms: int, nonce: str) -> str:
    """Hexadecimal."""
    return hmac.new(key, "\0".join((topic, str(timestamp_ms), nonce, text)).encode(), hashlib.sha256).hexdigest()


def key_id(key: bytes) -> str:
    """Eight hexadecimal digits that tell keys apart and reveal nothing of one."""
    return hmac.new(key, b"limen key id", hashlib.sha256).hexdigest()[:8]
