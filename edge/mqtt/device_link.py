"""The device's side of the broker: bounded queues out, an inbox in, states that outlive a connection.

Which thread may call what: everything is for one thread, the owner's, which runs the frame loop, but for `receive`,
which the network thread calls. Nothing waits but `stop`: here it is decided what is sent, and the network thread
(edge.mqtt.network) does what needs the network. What came of it is noted in `pending`, to be called again and again.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.mqtt.backoff import Backoff
from edge.mqtt.client import limits_of, topic_matches_sub
from edge.mqtt.fair_queue import queue_of
from edge.mqtt.identity import REMEDY, client_id, instance_of
from edge.mqtt.inbox import COUNT_MAX, Inbox, Incoming
from edge.mqtt.journal import Journal
from edge.mqtt.limits import BadTopic, Refusal, TooLarge, topic_problem
from edge.mqtt.network import Network
from edge.mqtt.outbound import INFLIGHT_MAX, Outbound
from edge.mqtt.outgoing import Outgoing
from edge.mqtt.reports import (
    Cause,
    Connected,
    Lost,
    Message,
    Presence,
    Receipt,
    Report,
    Session,
    Subscribed,
    Subscription,
)
from edge.mqtt.states import State

__all__ = ["INFLIGHT_MAX", "BadTopic", "DeviceLink", "Incoming", "Refusal", "TooLarge", "topic_problem"]

log = logging.getLogger("limen")

SHARED_COUNT_MAX = 10_000
INFO_BYTES_MAX = 10_000
CLOSES_MAX = 3


class DeviceLink:
    """The link of a device to the broker; see the module for which thread may call what.

    also_hear: further topics; share: the filter of what is shared with others: it waits apart, in `shared`, and what
    this device sends there comes back; backoff, make_network: for tests

    connections: how many there were; last_error: why there is none now, None while there is one
    delivered: tokens of messages that are done with, acknowledged or set aside, for the sender to take out
    """

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        also_hear: tuple[str, ...] = (),
        share: str | None = None,
        *,
        backoff: Backoff | None = None,
        make_network: Callable[..., Network] = Network,
    ) -> None:
        self.config, self.topics, self.also_hear, self.share = config, topics, also_hear, share
        self.connections = 0
        self.shared = Inbox(config.request_bytes_max, SHARED_COUNT_MAX)
        self.last_error: str | None = "not connected yet"
        self._inbox = queue_of(config, topics)
        self._info = topics.of("info")
        self._infos: deque[tuple[bytes, bool]] = deque(maxlen=8)  # heard on that topic; whether the broker kept it
        self._lasting_seconds, self._settles_at = (backoff := backoff or Backoff()).lasting_seconds, 0.0
        self._closes = 0  # in a row, by the broker, soon and with nothing under way
        self._journal = Journal(f"{config.host}:{config.port}")
        presence = Presence(topics.of("status"), b"online", b"offline")
        session = Session(client_id(config, topics.device), self.receive, self._subscriptions(), presence)
        self._network = make_network(config, session, backoff=backoff)
        self._out = Outbound(
            self._network.publish, config.queue_answers_max, limits_of(None, config), self._journal.complain
        )
        self._waiting, self._states, self.delivered = self._out.waiting, self._out.states, self._out.delivered

    def start(self) -> None:
        """Begin to connect; the broker need not be there yet."""
        self._network.start()

    def stop(self, timeout_seconds: float = 2.0) -> None:
        """Deliver what can still be delivered, publish `offline` and disconnect; wait at most so long."""
        give_up_at = time.monotonic() + timeout_seconds
        self._drain(give_up_at)
        self._out.send_last(self.topics.of("status"), b"offline")
        self._drain(give_up_at)
        self._network.stop(max(0.1, give_up_at - time.monotonic()))
        self._advance()
        self._out.closed(by_broker=False)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self._out.open

    @property
    def version_5(self) -> bool:
        """Whether MQTT 5 is spoken, or tried."""
        return self._network.version_5

    @property
    def packet_bytes_max(self) -> int | None:
        """Bytes of a packet that the broker takes; None where that is not known."""
        return self._out.limits.packet_bytes

    @property
    def depth(self) -> int:
        """Messages that wait or are not acknowledged yet; states do not count."""
        return self._out.depth

    @property
    def dropped(self) -> int:
        """Messages that the full queue lost, oldest first, or that the broker refused."""
        return self._out.dropped

    @property
    def congested(self) -> bool:
        """Whether answers pile up at a broker that is slow to take them: more would push them out."""
        return self.connected and self._out.congested

    @property
    def set_aside(self) -> int:
        """Messages that were not sent because the broker takes none like them."""
        return self._out.set_aside

    @property
    def refused(self) -> int:
        """Requests for which there was no room, and that were not answered."""
        return self._inbox.refused

    def receive(self, message: Message) -> None:
        """Take a message in, for the network thread."""
        if message.topic == self._info:
            self._infos.append((message.payload[:INFO_BYTES_MAX], message.retain))
        elif self.share is not None and topic_matches_sub(self.share, message.topic):
            self.shared.put(message)
        else:
            self._inbox.put(message)

    def pending(self, count: int = COUNT_MAX) -> list[Incoming]:
        """What came in since the last call, at most so many. Also sends what waits and notes what was acknowledged.

        Nothing while congested.
        """
        self._advance()
        return [] if self.congested else self._inbox.take(count)

    def work_for(self, asker: int | None) -> None:
        """Note whose slow request is under way: what must wait for it does. None where none is."""
        self._inbox.working_for = asker

    def publish_state(self, name: str, payload: bytes, qos: int = 1) -> Refusal | None:
        """Publish a state on a topic of the device; see publish_retained."""
        return self.publish_retained(self.topics.of(name), payload, qos)

    def publish_retained(
        self, topic: str, payload: bytes, qos: int = 1, *, again: bool = False, before: bytes | None = None
    ) -> Refusal | None:
        """Publish a retained state: of each topic the newest, and over every connection anew.

        again: also where it equals the last one
        before: a payload that is published on the topic immediately before it; lost with the connection

        Returns why the broker does not take it, where that is known.
        """
        self._out.states.put(State(topic, payload, qos), again=again, before=before)
        self._out.pump()
        return self._out.refusal(topic, payload)

    def publish_transient(self, name: str, payload: bytes) -> None:
        """Publish what matters now alone: not retained, QoS 0; lost without a broker, or behind a slow one."""
        self.send_transient(self.topics.of(name), payload)

    def send_transient(self, topic: str, payload: bytes) -> None:
        """The same on any topic."""
        self._out.send_transient(topic, payload)

    def clear_state(self, name: str) -> None:
        """Take a state back: an empty retained message removes it from the broker."""
        self.publish_state(name, b"")

    def clear_retained(self, name: str) -> None:
        """Remove from the broker, to which there is a connection, what this device did not publish; once."""
        if self.connected:
            self._out.removals.put(State(self.topics.of(name), b"", 1))
            self._out.pump()

    def hear_people_again(self) -> None:
        """Have the broker, to which there is a connection, send again what it keeps of the device's people."""
        self._network.subscribe(self.topics.of("person/+"))

    def hear_shared_again(self) -> None:
        """Have the broker, to which there is a connection, send again what it keeps of what is shared."""
        if self.share is not None:
            self._network.subscribe(self.share)

    def refetch(self, topic: str) -> None:
        """Have the broker, to which there is a connection, send again what it keeps of one of the shared topics."""
        self._network.subscribe(topic)
        self._network.unsubscribe(topic)  # the filter of them all stays: or all that comes would come twice

    def send(self, message: Outgoing) -> Refusal | None:
        """Deliver a message at QoS 1, in order, at least once, when there is a broker.

        Returns why it is not sent, where that is known already and the message has no `instead` that can be.
        """
        return self._out.send(message)

    def foreign_instance(self, instance_id: str) -> None:
        """Another device of this name published this instance id on `info` since this one began.

        With MQTT 3.1.1, and with brokers that do not say so in MQTT 5, nothing else shows who took the connection over.
        """
        self._network.contended = True
        log.debug("another instance is %s", instance_id)

    def _drain(self, give_up_at: float) -> None:
        """Wait until everything is delivered, but not longer than that."""
        self._advance()
        while self.connected and not self._out.idle and time.monotonic() < give_up_at:
            time.sleep(0.01)
            self._advance()

    def _advance(self) -> None:
        for report in self._network.reports():
            self._note(report)
        if self.connected and time.monotonic() >= self._settles_at:  # the connection has lasted
            self._settles_at, self._closes, self._network.contended = float("inf"), 0, False
            self._journal.settle()
        while self._infos:
            self._compare_instance(*self._infos.popleft())
        self._out.pump()

    def _note(self, report: Report) -> None:
        match report:
            case Receipt():
                self._out.note(report)
            case Connected():
                self.connections, self.last_error = report.number, None
                self._settles_at = time.monotonic() + self._lasting_seconds
                self._journal.say("is connected")
                self._out.opened(report.limits)
            case Lost():
                self._closes += report.cause is Cause.BROKER and self._out.idle
                self.last_error = self._reason(report)
                if report.cause is not Cause.STOPPED:
                    self._journal.say(self.last_error)
                self._out.closed(by_broker=report.cause is Cause.BROKER and not self._network.contended)
            case Subscribed():
                for topic, reason in report.refused.items():
                    if topic != self._info:
                        self._journal.complain(topic, f"the broker does not let us hear it: {reason}")

    def _reason(self, lost: Lost) -> str:
        if lost.cause is Cause.TAKEN_OVER or (lost.cause is Cause.BROKER and self._network.contended):
            return f"another device is connected as '{self.topics.device}': {REMEDY}"
        if lost.cause is Cause.BROKER and self._closes >= CLOSES_MAX:
            device = self.topics.device
            return f"{lost.text} soon, again and again: if another device is connected as '{device}', {REMEDY}"
        return f"{lost.text}; {lost.next_try}" if lost.next_try else lost.text

    def _compare_instance(self, payload: bytes, kept: bool) -> None:
        """See whether another run of a device of this name published `info` since this one did.

        What the broker keeps of an earlier run is not that: this one must have published before, over an earlier
        connection, and the broker must have acknowledged it. Who publishes while this one is connected has another
        client id, by another password.
        """
        own = self._states.get(self._info)
        if own is None or not self._states.had(self._info) or (kept and self.connections < 2):
            return
        theirs, ours = instance_of(payload), instance_of(own.payload)
        if theirs is None or ours is None or theirs == ours:
            return
        if self.connections > 1:
            self.foreign_instance(theirs)
        if not kept:
            self._journal.complain(self._info, f"another device publishes it too: {REMEDY}")

    def _subscriptions(self) -> tuple[Subscription, ...]:
        """What the device hears.

        The topics of people too: somebody may have been removed while there was no connection. These with what the
        device itself publishes: No Local might hide what the broker keeps of an earlier run. And its own `info`: many
        brokers (mosquitto 2.0) do not say that they close a connection because another client has the same client id.
        """
        requests = Subscription(self.topics.requests, fresh=True)
        people = Subscription(self.topics.of("person/+"))
        others = (self._info, *self.also_hear)
        shared = () if self.share is None else (Subscription(self.share),)
        return (requests, people, *(Subscription(topic, own=False) for topic in others), *shared)
