"""All of paho: one connection that mends itself, a bounded queue out, an inbox in. Nothing here blocks the door.

paho's network thread runs the callbacks, some of them under its own locks. They only append to deques, which need no
lock of ours: publishing happens on the door's thread alone, whatever can fail (JSON, pictures) is read there, and an
exception cannot end the network thread.
"""

import logging
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage, topic_matches_sub
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.mqtt.client import client_of
from edge.mqtt.inbox import COUNT_MAX, Inbox, Incoming

log = logging.getLogger("limen")

INFLIGHT_MAX = 16
SHARED_COUNT_MAX = 10_000
RECONNECT_SECONDS = (1, 30)
CONNACK_SECONDS = 5.0
NO_VERSION_5 = {1, 0x84}  # "unacceptable protocol version": as a broker of 3.1.1 says it, and as one of 5 does


@dataclass
class Outgoing:
    """A message that waits to be delivered.

    expires_at: on the monotonic clock; later it goes to late_topic; token: by which the sender knows it when delivered
    retain: the broker keeps it; with a lost connection it is lost too, and whoever sent it has a newer one by then
    """

    topic: str
    payload: bytes
    expires_at: float | None = None
    late_topic: str | None = None
    correlation: bytes | None = None
    token: int | None = None
    retain: bool = False


class DeviceLink:
    """The device's side of the broker; every method is for the thread that owns the door.

    also_hear: topics of others
    share: filter of what is shared with others; it waits apart, in `shared`, and one's own words come back there too
    dropped: how many messages the full queue lost, oldest first
    packet_bytes_max: what the broker takes at most, where it says so
    delivered: tokens of messages that the broker acknowledged, for the sender to take out
    """

    def __init__(
        self, config: MqttConfig, topics: Topics, also_hear: tuple[str, ...] = (), share: str | None = None
    ) -> None:
        self.config, self.topics, self.also_hear, self.share = config, topics, also_hear, share
        self.dropped = self.connections = 0
        self.packet_bytes_max: int | None = None
        self.shared = Inbox(config.request_bytes_max, SHARED_COUNT_MAX)
        self.last_error: str | None = "not connected yet"
        self.version_5 = config.version != "3.1.1"
        self.delivered: deque[int] = deque()
        self._waiting: deque[Outgoing] = deque()
        self._inflight: dict[int, Outgoing] = {}
        self._states: dict[str, tuple[bytes, int]] = {}
        self._connected = False
        # Filled by the network thread, emptied by ours.
        self._inbox = Inbox(config.request_bytes_max)
        self._acknowledged: deque[tuple[int, str | None]] = deque()  # which, and why the broker refused it
        self._changes: deque[str | None] = deque()  # connected (None), or why not any more
        self._opened_at: float | None = None  # when a connection was made that the broker has not answered yet
        self._other_version = self._refused = False
        self._shares = () if share is None else (share,)
        self._client = self._make_client()

    def start(self) -> None:
        """Connect, now or when the broker is there."""
        clean = {"clean_start": True} if self.version_5 else {}
        self._client.connect_async(self.config.host, self.config.port, self.config.keepalive_seconds, **clean)
        self._client.loop_start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Deliver what can still be delivered, say offline and disconnect."""
        give_up_at = time.monotonic() + timeout_seconds
        while self._connected and self.depth and time.monotonic() < give_up_at:
            self.pending()
            time.sleep(0.01)
        self.pending()  # the broker may have gone meanwhile
        if self._connected:
            last = self._client.publish(self.topics.of("status"), b"offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):  # it went just now: its Last Will says offline
                last.wait_for_publish(timeout=max(0.1, give_up_at - time.monotonic()))
        self._client.disconnect()
        self._client.loop_stop()
        self._connected = False

    @property
    def connected(self) -> bool:
        """The broker has said yes."""
        return self._connected

    @property
    def refused(self) -> int:
        """Requests that did not fit the inbox."""
        return self._inbox.refused

    @property
    def depth(self) -> int:
        """Messages that wait or were not acknowledged yet."""
        return len(self._waiting) + len(self._inflight)

    def pending(self, count: int = COUNT_MAX) -> list[Incoming]:
        """What came in since the last call, at most so many. To be called again and again: it also sends what waits."""
        while self._changes:
            before, self.last_error = self.last_error, self._changes.popleft()
            if self.last_error != before:
                log.info("%s:%d %s", self.config.host, self.config.port, self.last_error or "is connected")
            if self._connected and self.last_error is not None:
                self._begin_again()
                break
            self._connected = self.last_error is None
            if self._connected:
                self.connections += 1
                for topic, (payload, qos) in self._states.items():
                    self._client.publish(topic, payload, qos=qos, retain=True)
        now = time.monotonic()
        if self._other_version or (self._opened_at or now) + CONNACK_SECONDS < now:
            self._try_the_other_version()  # after what came of the last one was noted and logged
        self._note_acknowledged()
        self._pump()
        return self._inbox.take(count)

    def publish_state(self, name: str, payload: bytes, qos: int = 1) -> None:
        """A state: retained, the newest alone counts, said again at every connect."""
        self.publish_retained(self.topics.of(name), payload, qos)

    def publish_retained(self, topic: str, payload: bytes, qos: int = 1, *, again: bool = False) -> None:
        """As say, on a topic that need not be the device's own. again: also if it was the last that was said there."""
        if again or self._states.get(topic) != (payload, qos):
            self._states[topic] = payload, qos
            if self._connected:
                self._client.publish(topic, payload, qos=qos, retain=True)

    def publish_transient(self, name: str, payload: bytes) -> None:
        """What is worth something now alone: not retained, QoS 0, lost where there is no broker."""
        if self._connected:
            self._client.publish(self.topics.of(name), payload, qos=0)

    def clear_state(self, name: str) -> None:
        """Take a state back: an empty retained message removes it from the broker."""
        self.publish_state(name, b"")

    def clear_retained(self, name: str) -> None:
        """Remove from the broker what was not said here, once."""
        if self._connected:
            self._client.publish(self.topics.of(name), b"", qos=1, retain=True)

    def refetch(self, topic: str) -> None:
        """Have the broker, to which there is a connection, say once more what it keeps of one of the shared topics."""
        self._client.subscribe(topic, qos=1)
        self._client.unsubscribe(topic)  # the filter of them all stays: or all that comes would come twice

    def send(self, message: Outgoing) -> None:
        """Delivered in order, at least once, when there is a broker; QoS 1."""
        if len(self._waiting) >= self.config.queue_answers_max:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(message)
        self._pump()

    def _note_acknowledged(self) -> None:
        while self._acknowledged:
            number, refusal = self._acknowledged.popleft()
            message = self._inflight.pop(number, None)
            if message is None:
                continue
            if refusal is not None:  # who sent it still has it, and may send it again over the next connection
                self.dropped += message.token is None
                log.error("%s: the broker refused it: %s", message.topic, refusal)
            elif message.token is not None:
                self.delivered.append(message.token)

    def _begin_again(self) -> None:
        """The connection is lost: make a new one.

        Left to itself paho would send again what was under way, as it was: an event that is stale by then would be
        sent as if it were fresh. Of what has a token, whoever sent it decides what becomes of it.
        """
        self._client.disconnect()
        self._client.loop_stop()
        self._note_acknowledged()
        waiting = [*self._inflight.values(), *self._waiting]
        self._waiting = deque(message for message in waiting if message.token is None and not message.retain)
        self._inflight.clear()
        self._changes.clear()
        self._other_version, self._opened_at, self._refused, self._connected = False, None, False, False
        self._client = self._make_client()
        self.start()

    def _pump(self) -> None:
        """Hand paho as much as may be under way at once; the rest waits here, where it can be counted."""
        while self._connected and self._waiting and len(self._inflight) < INFLIGHT_MAX:
            message = self._waiting.popleft()
            topic, properties = self._addressed(message)
            info = self._client.publish(topic, message.payload, qos=1, retain=message.retain, properties=properties)
            self._inflight[info.mid] = message

    def _addressed(self, message: Outgoing) -> tuple[str, Properties | None]:
        remaining = None if message.expires_at is None else message.expires_at - time.monotonic()
        topic = message.topic
        if remaining is not None and remaining <= 0 and message.late_topic:
            topic, remaining = message.late_topic, None
        if not self.version_5:
            return topic, None
        properties = Properties(PacketTypes.PUBLISH)
        if remaining is not None:
            properties.MessageExpiryInterval = max(1, round(remaining))
        if message.correlation is not None:
            properties.CorrelationData = message.correlation
        return topic, properties

    def _make_client(self) -> Client:
        client = client_of(self.config, f"limen-{self.topics.device}", version_5=self.version_5)
        client.will_set(self.topics.of("status"), b"offline", qos=1, retain=True)
        client.reconnect_delay_set(*RECONNECT_SECONDS)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_connect_fail = self._on_connect_fail
        client.on_message, client.on_publish = self._on_message, self._on_publish
        client.on_socket_open, client.on_subscribe = self._on_socket_open, self._on_subscribe
        return client

    def _try_the_other_version(self) -> None:
        """The broker has no MQTT 5, or says nothing to it, as some do that have not: begin again with 3.1.1.

        Or back to 5 where 3.1.1 was met with silence too: then it was not the version.
        """
        self._other_version, self._opened_at = False, None
        if self.config.version == "auto" and not self.connections:
            self.version_5 = not self.version_5
            self._begin_again()

    def _on_connect_fail(self, *_: object) -> None:
        self._changes.append(f"cannot be reached: {sys.exc_info()[1]}")  # paho calls this where it caught the reason

    def _on_socket_open(self, *_: object) -> None:
        self._opened_at = time.monotonic()

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._opened_at = None
        self.packet_bytes_max = getattr(properties, "MaximumPacketSize", None)
        if reason.is_failure:  # never "connected" on a refusal
            self._other_version = self.version_5 and reason.value in NO_VERSION_5
            self._refused = True
            self._changes.append(f"the broker refused: {reason}")
            return
        # retainAsPublished keeps the flag by which a retained request is known; retainHandling 2 asks for none at all.
        # What the broker keeps of people is heard too: somebody may have been forgotten while it was not there.
        people = self.topics.of("person/+")
        if self.version_5:
            options = SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=2)
            others = [(topic, SubscribeOptions(qos=1, noLocal=True)) for topic in (people, *self.also_hear)]
            shared = [(topic, SubscribeOptions(qos=1)) for topic in self._shares]
            client.subscribe([(self.topics.requests, options), *others, *shared])
        else:
            client.subscribe([(topic, 1) for topic in (self.topics.requests, people, *self.also_hear, *self._shares)])
        client.publish(self.topics.of("status"), b"online", qos=1, retain=True)
        self._changes.append(None)

    def _on_disconnect(
        self,
        client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._refused:  # it has said why
            self._refused = False
            return
        self._other_version = self._opened_at is not None  # it hung up on us without a word
        if not self._other_version:
            client.loop_stop()  # another takes its place; or its thread would sleep a second, and the door wait for it
        self._changes.append(f"disconnected: {reason}")

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._acknowledged.append((mid, str(reason) if reason.is_failure else None))

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        filters = self.topics.requests, self.topics.of("person/+"), *self.also_hear, *self._shares
        for topic, reason in zip(filters if len(reasons) > 1 else (), reasons, strict=False):
            if reason.is_failure:
                log.error("%s: the broker does not let us hear it: %s", topic, reason)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        shared = self.share is not None and topic_matches_sub(self.share, message.topic)
        (self.shared if shared else self._inbox).put(message)
