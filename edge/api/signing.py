"""Signed requests: whoever has the key asked this, on this topic, just now, and once.

What is signed travels as the text that it is, inside an envelope, so that the very same bytes are checked, over MQTT
3.1.1 as over 5. The signature is HMAC-SHA-256 over topic, timestamp_ms, nonce and that text, with NUL between them:
no topic may hold one (MQTT 5, 1.5.4), so there is one way to take it apart.
"""

import hashlib
import hmac
import time
import uuid
from typing import Annotated, NamedTuple, Protocol

import msgspec

from edge.errors import RefusedError
from edge.system.clock import Clock

WINDOW_SECONDS = 60
EXPECTED = "signed, timestamp_ms, nonce (16 to 64 letters, digits, _ or -) and signature (64 hexadecimal digits)"


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A signed request. signed: its JSON as a string; timestamp_ms: since 1970."""

    signed: str
    timestamp_ms: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    nonce: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_-]{16,64}$")]
    signature: Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{64}$")]


class Stamp(NamedTuple):
    """By what a signed request is known."""

    key_id: str
    timestamp_ms: int
    nonce: str


class Signed(NamedTuple):
    """What is asked, and by whose stamp; None where no signature is asked for."""

    request: bytes
    stamp: Stamp | None = None


class Nonces(Protocol):
    """Those that were seen, over restarts."""

    def seen(self, key_id: str, nonce: str) -> bool:
        """Under this key it was."""

    def newest_ms(self, key_id: str) -> int | None:
        """When the newest of this key was signed."""

    def consume_nonce(self, key_id: str, nonce: str, timestamp_ms: int, window_ms: int) -> None:
        """From now on it was seen; what is older than the newest by more than the window may be dropped."""


class Signatures:
    """What a device asks of requests: with a key that they are signed by it, without that they are not signed."""

    def __init__(self, key: bytes | None, clock: Clock, nonces: Nonces) -> None:
        self._key, self._clock, self._nonces = key, clock, nonces

    def verify(self, topic: str, payload: bytes) -> Signed:
        """The request in a payload.

        Raises RefusedError with no_key, unsigned or bad_signature.
        """
        try:
            envelope = msgspec.json.decode(payload, type=Envelope)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if self._key is None:
                return Signed(payload)
            raise RefusedError(
                "unsigned",
                f"this device wants every request signed: expected {EXPECTED}: {error}; limen's own commands sign "
                "where mqtt.signing_key_file is set",
            ) from error
        if self._key is None:
            raise RefusedError("no_key", "this device has no key to check a signature with: mqtt.signing_key_file")
        expected = signature_of(self._key, topic, envelope.signed, envelope.timestamp_ms, envelope.nonce)
        if not hmac.compare_digest(expected, envelope.signature.lower()):
            raise RefusedError(
                "bad_signature", "the signature is not by this device's key over this topic, time, nonce and text"
            )
        return Signed(envelope.signed.encode(), Stamp(key_id(self._key), envelope.timestamp_ms, envelope.nonce))

    def check_freshness(self, stamp: Stamp | None) -> None:
        """Nothing, for a request that is fresh, new and in order.

        Raises RefusedError with replayed, out_of_order, clock_not_set or stale.
        """
        if stamp is None:
            return
        if self._nonces.seen(stamp.key_id, stamp.nonce):
            raise RefusedError("replayed", "a request with this nonce was carried out already; sign each anew")
        now = self._clock.now()
        if now is None:
            raise RefusedError(
                "clock_not_set", "this device does not know the time of day yet, so not whether a request is fresh"
            )
        off_seconds = now - stamp.timestamp_ms / 1000
        if abs(off_seconds) > WINDOW_SECONDS:
            raise RefusedError(
                "stale",
                f"signed {abs(off_seconds):.0f} s {'before' if off_seconds > 0 else 'after'} the time of this device; "
                f"at most {WINDOW_SECONDS} s are let pass",
            )
        # Also where the clock was put back, and nonces were dropped by then, nothing old is new again.
        behind_ms = (self._nonces.newest_ms(stamp.key_id) or 0) - stamp.timestamp_ms
        if behind_ms > 0:
            raise RefusedError(
                "out_of_order", f"signed {behind_ms / 1000:.3f} s before a request that was carried out already"
            )

    def consume_nonce(self, stamp: Stamp | None) -> None:
        """It is carried out now: never again. Raises GalleryError."""
        if stamp is not None:
            self._nonces.consume_nonce(stamp.key_id, stamp.nonce, stamp.timestamp_ms, 1000 * WINDOW_SECONDS)


def request_in(payload: bytes) -> bytes:
    """What an envelope holds, whether its signature holds or not; of anything else, itself."""
    try:
        return msgspec.json.decode(payload, type=Envelope).signed.encode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload


def sign(key: bytes, topic: str, request: bytes) -> bytes:
    """A request, signed now: what is to be sent on that topic."""
    text, timestamp_ms, nonce = request.decode(), time.time_ns() // 1_000_000, uuid.uuid4().hex
    signature = signature_of(key, topic, text, timestamp_ms, nonce)
    return msgspec.json.encode(Envelope(signed=text, timestamp_ms=timestamp_ms, nonce=nonce, signature=signature))


def signature_of(key: bytes, topic: str, text: str, timestamp_ms: int, nonce: str) -> str:
    """Hexadecimal."""
    return hmac.new(key, "\0".join((topic, str(timestamp_ms), nonce, text)).encode(), hashlib.sha256).hexdigest()


def key_id(key: bytes) -> str:
    """By which people tell keys apart, and nobody learns one."""
    return hmac.new(key, b"limen key id", hashlib.sha256).hexdigest()[:8]
