"""The household's side of the broker: asks a device and waits for its answer. What `limen ... --broker` uses.

In MQTT 3.1.1, which every broker has: the answer is known by its transaction.
"""

import threading
import uuid
from collections.abc import Callable
from typing import Self

import msgspec
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.api.signing import sign
from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.errors import BrokerError, RefusedError
from edge.mqtt.client import client_of

CONNECT_SECONDS = 5.0
LARGE_BYTES = 100_000
SETTLE_SECONDS = 0.5
SIGNED_AGAIN_MAX = 3


class Answer(msgspec.Struct, frozen=True):
    """What a device answers; see edge.api.messages.answer_json."""

    status: str
    data: dict[str, object] | None = None
    code: str | None = None
    error: str | None = None
    transaction: str | None = None

    @property
    def too_large(self) -> bool:
        """It is about a request that was not read."""
        return self.transaction is None and self.code in {"too_large", "busy"}


def read_answer(payload: bytes) -> Answer | None:
    """The answer in a payload; None where there is none."""
    try:
        return msgspec.json.decode(payload, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last: [[[[... without end
        return None


class Controller:
    """A connection that asks one device; use it in `with`.

    hear: called with the topic below `limen/<device>` and the payload of everything the device says, on a thread of
    its own.

    Where the configuration has a signing key, what it asks is signed by it.

    Raises BrokerError where the broker cannot be reached or refuses.
    """

    def __init__(self, config: MqttConfig, device: str, hear: Callable[[str, bytes], None] | None = None) -> None:
        self.topics, self._hear = Topics(device), hear
        self._broker = f"{config.host}:{config.port}"
        self._changed = threading.Condition()
        self._answers: dict[str, list[Answer]] = {}
        self._status: str | None = None
        self._retained: set[str] = set()  # topics of what the broker kept from before
        self._settled = False
        self._last_error: str | None = "it did not answer in time"
        if config.ca_file is None:
            self._last_error += "; does it want TLS (mqtt.ca_file)?"
        self._key = config.signing_key()
        self._client = client_of(config)
        self._client.on_connect, self._client.on_subscribe = self._on_connect, self._on_subscribe
        self._client.on_message = self._on_message
        try:
            self._client.connect(config.host, config.port)
        except OSError as error:
            raise BrokerError(f"the broker {self._broker} cannot be reached: {error}") from error
        self._client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._settled, CONNECT_SECONDS)
        if self._last_error is not None:
            self.close()
            raise BrokerError(f"the broker {self._broker} does not let us in: {self._last_error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._client.loop_stop()

    def ask(
        self,
        verb: str,
        fields: dict[str, object],
        timeout_seconds: float = 20.0,
        hear_progress: Callable[[dict[str, object]], None] = lambda _progress: None,
    ) -> dict[str, object]:
        """What the device answers. hear_progress: called with what it says until then of how far it has come.

        Signed again where somebody else's request, signed later, came first.
        Raises RefusedError with its code and reason where it refuses, BrokerError where it does not answer in time.
        """
        for _ in range(SIGNED_AGAIN_MAX):
            try:
                return self._asked(verb, fields, timeout_seconds, hear_progress)
            except RefusedError as refusal:
                if refusal.code != "out_of_order":
                    raise
        return self._asked(verb, fields, timeout_seconds, hear_progress)

    def _asked(
        self,
        verb: str,
        fields: dict[str, object],
        timeout_seconds: float,
        hear_progress: Callable[[dict[str, object]], None],
    ) -> dict[str, object]:
        transaction, topic = uuid.uuid4().hex, f"{self.topics.base}/request/{verb}"
        payload = msgspec.json.encode({"transaction": transaction, **fields})
        if self._key is not None:
            payload = sign(self._key, topic, payload)
        large = len(payload) > LARGE_BYTES
        answer: Answer | None = None

        def answered() -> bool:
            nonlocal answer
            heard = self._answers.get(verb, [])
            for progress in [one for one in heard if one.status == "progress" and one.transaction == transaction]:
                heard.remove(progress)
                hear_progress(progress.data or {})
            # Of a request that is too large to be read, the device cannot say which one it was.
            answer = next((one for one in heard if one.transaction == transaction or (large and one.too_large)), None)
            return answer is not None

        with self._changed:
            self._answers.pop(verb, None)
        self._client.publish(topic, payload, qos=1)
        with self._changed:
            self._changed.wait_for(answered, timeout_seconds)
            status = self._status or "never seen at this broker: another name, or this user may not hear it"
        if answer is None:
            raise BrokerError(
                f"device '{self.topics.device}' gave no answer to {verb} in {timeout_seconds:g} s at {self._broker}; "
                f"it is {status}"
            )
        if answer.status != "ok":
            raise RefusedError(answer.code or "error", f"{answer.code}: {answer.error}")
        return answer.data or {}

    def clear(self) -> None:
        """Have the broker forget all that it keeps of the device.

        What it keeps comes after the subscription was answered, and nothing says when that is all: a pause does.
        """
        count = -1
        with self._changed:
            while count < len(self._retained):
                count = len(self._retained)
                self._changed.wait(SETTLE_SECONDS)
            topics = list(self._retained)
        for topic in topics:
            self._client.publish(topic, b"", qos=1, retain=True).wait_for_publish(CONNECT_SECONDS)

    def wait_until_online(self, timeout_seconds: float) -> None:
        """Raise BrokerError where the device is not there by then."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._status == "online", timeout_seconds):
                raise BrokerError(f"device '{self.topics.device}' did not come online in {timeout_seconds:g} s")

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            with self._changed:
                self._settled, self._last_error = True, str(reason)
                self._changed.notify_all()
        else:
            client.subscribe(f"{self.topics.base}/#", qos=1)

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = next((reason for reason in reasons if reason.is_failure), None)
        with self._changed:
            self._settled, self._last_error = True, None if refused is None else f"{self.topics.base}/#: {refused}"
            self._changed.notify_all()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        name = message.topic.removeprefix(f"{self.topics.base}/")
        with self._changed:
            if message.retain:
                self._retained.add(message.topic)
            if name == "status":
                self._status = message.payload.decode("ascii", "replace")
            elif name.startswith("response/"):
                verb = name.removeprefix("response/")
                answer = read_answer(message.payload)
                if answer is None:
                    return  # somebody else's
                self._answers.setdefault(verb, []).append(answer)
            self._changed.notify_all()
        if self._hear is not None and not name.startswith("request/"):
            self._hear(name, message.payload)
