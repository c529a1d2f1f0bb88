"""All of paho: one connection to a broker, from CONNECT to its end, with typed values on both sides.

One thread calls everything here (see edge.mqtt.network). paho's own thread is not used: connecting, disconnecting and
waiting for either are in our hands, and paho's callbacks run inside `turn`.
"""

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage, error_string
from paho.mqtt.client import topic_matches_sub as topic_matches_sub  # noqa: PLC0414 -- for others: paho is here alone
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.config import MqttConfig
from edge.errors import ConfigError
from edge.mqtt.limits import Limits
from edge.mqtt.reports import (
    Attempt,
    Cause,
    Connected,
    Lost,
    Message,
    Outcome,
    Publication,
    Receipt,
    Report,
    Session,
    Subscribed,
    Subscription,
)

SUCCESS = MQTTErrorCode.MQTT_ERR_SUCCESS
LEAVE_SECONDS = 1.0  # to write what is queued, and DISCONNECT
TAKEN_OVER = 0x8E
# Reasons that do not depend on what was sent: shutdown, overload, no traffic, administrative action, another server.
LEFT = {0x00, 0x89, 0x8B, 0x8D, 0x98, 0x9C, 0x9D, 0x9F, 0xA0}


class Client:
    """One connection; `ended` says why it is over, None while it is not.

    report: called with what happens; make_paho: for tests

    Raises ConfigError that names a file that cannot be used.
    """

    def __init__(
        self,
        config: MqttConfig,
        session: Session,
        attempt: Attempt,
        report: Callable[[Report], None],
        make_paho: Callable[..., Paho] = Paho,
    ) -> None:
        self.config, self.session, self.attempt = config, session, attempt
        self.ended: Lost | None = None
        self.connected_at: float | None = None  # monotonic
        self._report, self._limits, self._leaving = report, Limits(), False
        self._tickets: dict[int, int] = {}  # by paho's number of the message
        self._early: dict[int, Receipt] = {}  # of messages that were written before paho gave their number
        self._filters: dict[int, tuple[str, ...]] = {}
        self._paho = make_paho(
            CallbackAPIVersion.VERSION2,
            client_id=session.client_id,
            clean_session=None if attempt.version_5 else True,
            protocol=MQTTProtocolVersion.MQTTv5 if attempt.version_5 else MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,  # or it would try MQTT 3.1 by itself
        )
        self._paho.max_inflight_messages_set(0)  # the owner keeps to Limits.inflight; paho has no queue of its own
        if config.username:
            self._paho.username_pw_set(config.username, config.password())
        if (tls := tls_context(config)) is not None:
            self._paho.tls_set_context(tls)
        if session.presence is not None:
            will = session.presence
            self._paho.will_set(will.topic, will.offline, qos=attempt.will_qos, retain=attempt.will_retain)
        self._paho.on_connect, self._paho.on_disconnect = self._on_connect, self._on_disconnect
        self._paho.on_message, self._paho.on_publish = self._on_message, self._on_publish
        self._paho.on_subscribe = self._on_subscribe

    def connect(self) -> None:
        """Look up the host, connect, negotiate TLS and send CONNECT; waits for the network."""
        host, port, keepalive = self.config.host, self.config.port, self.config.keepalive_seconds
        try:
            rc = self._paho.connect(host, port, keepalive, clean_start=True if self.attempt.version_5 else 3)
        except (OSError, ValueError) as error:  # the second: a host name that cannot be one
            self.end(Cause.UNREACHABLE, f"cannot be reached: {error}")
        else:
            if rc != SUCCESS:
                self.end(Cause.NO_CONNACK, f"disconnected: CONNECT was not sent: {error_string(rc)}")

    def turn(self, wake: socket.socket, seconds: float) -> None:
        """Read and write what can be; wait for that, or until something can be read from `wake`, at most so long."""
        sock = self._paho.socket()
        if not isinstance(sock, socket.socket):
            self.end(Cause.BROKER, "disconnected: the connection is closed")
            return
        buffered = isinstance(sock, ssl.SSLSocket) and sock.pending() > 0
        writing = [sock] if self._paho.want_write() else []
        readable, writable, _ = select.select([sock, wake], writing, [], 0.0 if buffered else seconds)
        if wake in readable:
            with suppress(BlockingIOError):
                wake.recv(4096)
        if sock in readable or buffered:
            self._check(self._paho.loop_read())
        if sock in writable and self.ended is None:
            self._check(self._paho.loop_write())
        if self.ended is None:
            self._check(self._paho.loop_misc())

    def publish(self, ticket: int, message: Publication) -> None:
        """Send a message; its Receipt follows, at once where paho does not take it."""
        try:
            info = self._paho.publish(
                message.topic,
                message.payload,
                qos=min(message.qos, self._limits.qos),
                retain=message.retain and self._limits.retain,
                properties=properties_of(message) if self.attempt.version_5 else None,
            )
        except ValueError as error:  # paho's own limits, wider than ours: sent again, it would be refused again
            self._report(Receipt(ticket, Outcome.REFUSED, text=f"paho does not take it: {error}"))
            return
        if info.rc != SUCCESS:
            self._report(Receipt(ticket, Outcome.NOT_SENT, text=error_string(info.rc)))
        elif (early := self._early.pop(info.mid, None)) is not None:
            self._report(early._replace(ticket=ticket))
        else:
            self._tickets[info.mid] = ticket

    def subscribe(self, subscriptions: Iterable[Subscription]) -> None:
        """Subscribe at QoS 1; Subscribed follows. Ends the connection where paho does not take it: it hears nothing."""
        asked = tuple(subscriptions)
        wanted = [one for one in asked if self._limits.wildcards or not set("+#") & set(one.filter)]
        filters = tuple(one.filter for one in wanted)
        if refused := {one.filter for one in asked} - set(filters):
            self._report(Subscribed(tuple(refused), dict.fromkeys(refused, "the broker takes no wildcards")))
        if not wanted:
            return
        if self.attempt.version_5:
            rc, mid = self._paho.subscribe([(one.filter, options_of(one)) for one in wanted])
        else:
            rc, mid = self._paho.subscribe([(one.filter, 1) for one in wanted])
        if rc != SUCCESS or mid is None:
            self.end(Cause.NETWORK, f"disconnected: SUBSCRIBE was not sent: {error_string(rc)}")
        else:
            self._filters[mid] = filters

    def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe. Ends the connection where paho does not take it."""
        rc, _ = self._paho.unsubscribe(topic_filter)
        if rc != SUCCESS:
            self.end(Cause.NETWORK, f"disconnected: UNSUBSCRIBE was not sent: {error_string(rc)}")

    def leave(self, wake: socket.socket) -> None:
        """Write what is queued, and DISCONNECT; at most LEAVE_SECONDS. The Last Will is not published."""
        self._leaving, until = True, time.monotonic() + LEAVE_SECONDS
        if self.ended is None and self._paho.disconnect() == SUCCESS:
            while self._paho.socket() is not None and self.ended is None and time.monotonic() < until:
                self.turn(wake, 0.01)
        self.end(Cause.STOPPED, "disconnected: stopped")

    def end(self, cause: Cause, text: str, code: int = 0) -> None:
        """End the connection where it has not ended; the first reason is kept."""
        if self.ended is None:
            self.ended = Lost(cause, text, code)
        sock = self._paho.socket()
        if isinstance(sock, socket.socket):
            sock.close()

    def _check(self, rc: MQTTErrorCode) -> None:
        if rc != SUCCESS:  # where on_disconnect gave a reason, that one is kept
            self.end(Cause.BROKER, f"disconnected: {error_string(rc)}")

    def _on_connect(
        self, _paho: Paho, _data: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:  # never "connected" on a refusal
            self.ended = self.ended or Lost(Cause.REFUSED, f"the broker refused: {reason}", reason.value)
            return
        self.connected_at = time.monotonic()
        self._limits = limits_of(properties, self.config)
        self.subscribe(self.session.subscriptions)
        if self.session.presence is not None:
            presence = self.session.presence
            qos = min(1, self._limits.inflight - 1)  # the owner may have the rest under way
            self.publish(0, Publication(presence.topic, presence.online, qos, retain=True))
        self._report(Connected(self.attempt.number + 1, self.attempt.version_5, self._limits))

    def _on_disconnect(
        self, _paho: Paho, _data: object, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self.ended is not None or self._leaving:
            return
        if self.connected_at is None:
            self.ended = Lost(Cause.NO_CONNACK, "disconnected: the broker closed the connection without an answer")
        elif flags.is_disconnect_packet_from_server:
            cause = Cause.LEFT if reason.value in LEFT else Cause.BROKER
            cause = Cause.TAKEN_OVER if reason.value == TAKEN_OVER else cause
            self.ended = Lost(cause, f"disconnected: the broker says: {reason}", reason.value)
        elif reason == "Keep alive timeout":
            text = f"disconnected: nothing came from the broker for {self.config.keepalive_seconds} s"
            self.ended = Lost(Cause.NETWORK, text)
        else:
            self.ended = Lost(Cause.BROKER, "disconnected: the broker closed the connection")

    def _on_publish(
        self, _paho: Paho, _data: object, mid: int, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        failed = reason.is_failure
        outcome = Outcome.REFUSED if failed else Outcome.DONE
        receipt = Receipt(self._tickets.get(mid, 0), outcome, reason.value, str(reason) if failed else "")
        if self._tickets.pop(mid, None) is None:
            self._early[mid] = receipt  # of QoS 0: paho writes it before it says its number
        else:
            self._report(receipt)

    def _on_subscribe(
        self, _paho: Paho, _data: object, mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        filters = self._filters.pop(mid, ())
        answers = zip(filters, reasons, strict=False)
        self._report(Subscribed(filters, {one: str(reason) for one, reason in answers if reason.is_failure}))

    def _on_message(self, _paho: Paho, _data: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:  # not from a broker that keeps to the specification
            return
        answer_to = getattr(message.properties, "ResponseTopic", None)
        correlation = getattr(message.properties, "CorrelationData", None)
        self.session.receive(Message(topic, bytes(message.payload), message.retain, answer_to, correlation))


def tls_context(config: MqttConfig) -> ssl.SSLContext | None:
    """With ca_file, a context in which the broker must show a certificate of that authority for its host; else None.

    Raises ConfigError that names the file that cannot be used.
    """
    if config.ca_file is None:
        if config.certificate_file is not None or config.key_file is not None:
            raise ConfigError("mqtt.certificate_file and mqtt.key_file need mqtt.ca_file: without it there is no TLS")
        return None
    try:
        context = ssl.create_default_context(cafile=str(config.ca_file))
        if config.certificate_file is not None:
            context.load_cert_chain(config.certificate_file, config.key_file)
    except (OSError, ssl.SSLError) as error:
        files = f"mqtt.ca_file {config.ca_file}"
        if config.certificate_file is not None:
            files += f", mqtt.certificate_file {config.certificate_file} or mqtt.key_file {config.key_file}"
        raise ConfigError(f"{files} cannot be used: {error}") from error
    return context


def limits_of(properties: Properties | None, config: MqttConfig) -> Limits:
    """The limits in a CONNACK, and the configured one (mqtt.packet_bytes_max) for a broker that has MQTT 3.1.1."""
    announced = getattr(properties, "MaximumPacketSize", None)
    known = [size for size in (announced, config.packet_bytes_max) if size is not None]
    return Limits(
        packet_bytes=min(known, default=None),
        qos=getattr(properties, "MaximumQoS", 1),
        retain=bool(getattr(properties, "RetainAvailable", 1)),
        wildcards=bool(getattr(properties, "WildcardSubscriptionAvailable", 1)),
        inflight=getattr(properties, "ReceiveMaximum", 65_535),
    )


def properties_of(message: Publication) -> Properties | None:
    """The properties of PUBLISH; None where there are none."""
    possible = {
        "MessageExpiryInterval": message.expiry_seconds,
        "CorrelationData": message.correlation,
        "ResponseTopic": message.response_topic,
    }
    wanted = {name: value for name, value in possible.items() if value is not None}
    if not wanted:
        return None
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    for name, value in wanted.items():
        setattr(properties, name, value)
    return properties


def options_of(subscription: Subscription) -> SubscribeOptions:
    """The options of SUBSCRIBE (MQTT 5, 3.8.3.1)."""
    fresh = subscription.fresh
    return SubscribeOptions(
        qos=1, noLocal=not subscription.own, retainAsPublished=fresh, retainHandling=2 if fresh else 0
    )
