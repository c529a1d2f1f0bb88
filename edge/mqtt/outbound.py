"""What a device sends: which message is next, which are under way, and what becomes of each. No thread, no network."""

import time
from collections import deque
from collections.abc import Callable

from edge.mqtt.limits import BadTopic, Limits, Refusal, TooLarge, packet_bytes, topic_problem
from edge.mqtt.outgoing import Outgoing, Sent
from edge.mqtt.reports import Outcome, Publication, Receipt
from edge.mqtt.states import State, States
from edge.mqtt.suspects import CLOSES_MAX, Suspects

INFLIGHT_MAX = 16
STATES_INFLIGHT_MAX = 64
TRANSIENTS_MAX = 4  # that were not written yet
WRITTEN_MAX = 64  # messages of QoS 0 of which nothing shows yet that the broker took them
REMOVALS_MAX = 1000
QUEUE_BYTES_MAX = 16_000_000
CONGESTED_COUNT, CONGESTED_BYTES = 64, 4_000_000
PACKET_TOO_LARGE = 0x95


class Outbound:
    """The queues of a device's messages, for one thread.

    publish: hands a message to the network, and returns the ticket of its Receipt
    queue_max: messages that wait; complain: called with a topic and what is wrong there

    dropped: messages that the full queue lost, oldest first, or that the broker refused
    set_aside: messages that are not sent because the broker takes none like them
    delivered: tokens of messages that are done with, acknowledged or set aside, for the sender to take out
    """

    def __init__(
        self,
        publish: Callable[[Publication], int],
        queue_max: int,
        limits: Limits,
        complain: Callable[[str, str], None],
    ) -> None:
        self.limits, self.open = limits, False
        self.dropped = self.set_aside = 0
        self.delivered: deque[int] = deque()
        self.waiting: deque[Outgoing] = deque()
        self.states, self.removals = States(), States(REMOVALS_MAX)
        self._publish, self._queue_max, self._complain = publish, queue_max, complain
        self._inflight: dict[int, Sent] = {}
        self._written: dict[int, Sent] = {}
        self._suspects = Suspects()

    @property
    def depth(self) -> int:
        """Messages that wait or are not acknowledged yet; states do not count."""
        return len(self.waiting) + self._count(lambda sent: sent.message is not None)

    @property
    def congested(self) -> bool:
        """Whether so much waits that whatever would be answered next should wait."""
        waiting = sum(len(one.payload) for one in self.waiting)
        return len(self.waiting) >= CONGESTED_COUNT or waiting >= CONGESTED_BYTES

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send and nothing to wait for."""
        return not (self.waiting or self._inflight or self.states.due or self.removals.due)

    def opened(self, limits: Limits) -> None:
        """There is a connection: every state is due."""
        self.limits, self.open = limits, True
        self.states.make_all_due()

    def closed(self, *, by_broker: bool) -> None:
        """The connection ended. by_broker: perhaps for what was under way.

        What has a token or is retained is dropped here: the sender has it still, and may know something newer by now.
        """
        sent = [*self._inflight.values(), *self._written.values()]
        blamed = by_broker and self.limits.qos > 0  # at QoS 0 nothing shows what the broker took
        convicted = {key for key in {one.key for one in sent} if blamed and self._suspects.accuse(key)}
        again: list[Outgoing | None] = [self._convict(one) if one.key in convicted else one.message for one in sent]
        if self.open:
            again.extend(self.waiting)
            self.waiting.clear()
            self.waiting.extend(one for one in again if one is not None and one.token is None and not one.retain)
        self._inflight.clear()
        self._written.clear()
        self.removals = States(REMOVALS_MAX)
        self.open = False

    def refusal(self, topic: str, payload: bytes, correlation: bytes | None = None) -> Refusal | None:
        """Why the broker does not take a message, as far as that is known; None where it may."""
        if (reason := topic_problem(topic)) is not None:
            return BadTopic(reason)
        size = packet_bytes(topic, payload, correlation)
        known = [limit for limit in (self.limits.packet_bytes, self._suspects.limit(topic)) if limit is not None]
        return TooLarge(min(known), size) if known and size > min(known) else None

    def send(self, message: Outgoing) -> Refusal | None:
        """Queue a message; of a full queue the oldest is dropped.

        Returns why the broker does not take it, where that is known and the message has no `instead` that it takes.
        """
        refusal = self.refusal(message.topic, message.payload, message.correlation)
        if refusal is not None:
            instead = self._set_aside(message, f"not sent: {refusal}", replaceable=isinstance(refusal, TooLarge))
            return refusal if instead is None else self.send(instead)
        size = len(message.payload)
        held = sum(len(one.payload) for one in self.waiting)
        while self.waiting and (len(self.waiting) >= self._queue_max or held + size > QUEUE_BYTES_MAX):
            held -= len(self.waiting.popleft().payload)
            self.dropped += 1
        self.waiting.append(message)
        self.pump()
        return None

    def send_transient(self, topic: str, payload: bytes) -> None:
        """Send at QoS 0 now or never: not without a connection, nor behind a slow one."""
        suspected = topic in self._suspects  # then QoS 1 shows what becomes of it
        unwritten = self._count(lambda sent: sent.message is None and sent.state is None)
        if not self.open or unwritten >= TRANSIENTS_MAX or self._alone or (suspected and self._inflight):
            return
        if (refusal := self.refusal(topic, payload)) is not None:
            self._complain(topic, f"not sent: {refusal}")
            self.set_aside += 1
        else:
            self._send(Sent(topic, packet_bytes(topic, payload), int(suspected)), topic, payload)

    def send_last(self, topic: str, payload: bytes) -> None:
        """Send a retained message past the queues: the last one."""
        if self.open:
            self._send(Sent(topic, packet_bytes(topic, payload), 1), topic, payload, retain=True)

    def pump(self) -> None:
        """Send as much as may be under way; the rest waits here, where it is counted."""
        while self.open and not self._alone and self._send_next():
            pass

    def note(self, receipt: Receipt) -> None:
        """Note what became of a message."""
        sent = self._inflight.pop(receipt.ticket, None)
        if sent is None:
            return
        if receipt.outcome is Outcome.NOT_SENT:
            self._requeue(sent)
        elif receipt.outcome is Outcome.REFUSED:
            self._note_refusal(sent, receipt)
        elif not sent.qos:
            self._written[receipt.ticket] = sent
            while len(self._written) > WRITTEN_MAX:
                del self._written[next(iter(self._written))]
            self._note_done(sent)
        else:  # the broker reads in order: it has taken what was written before
            before = [ticket for ticket in self._written if ticket < receipt.ticket]
            self._suspects.acquit([sent.key, *(self._written.pop(ticket).key for ticket in before)])
            self._note_done(sent)

    @property
    def _alone(self) -> bool:
        """Whether a suspect is under way, beside which nothing is sent."""
        return any(sent.key in self._suspects for sent in self._inflight.values())

    def _count(self, wanted: Callable[[Sent], bool]) -> int:
        return sum(map(wanted, self._inflight.values()))

    def _send_next(self) -> bool:
        """Send one message. Returns whether there may be another."""
        if len(self._inflight) >= max(1, self.limits.inflight - 1):  # one is for `online`, see edge.mqtt.client
            return False
        for states in (self.removals, self.states):
            state = states.next_due()
            if state is not None and self._count(lambda sent: sent.state is not None) < STATES_INFLIGHT_MAX:
                return self._send_state(state, states)
        if not self.waiting or self._count(lambda sent: sent.message is not None) >= INFLIGHT_MAX:
            return False
        message = self.waiting[0]
        if self._inflight and message.key in self._suspects:
            return False
        self.waiting.popleft()
        remaining = None if message.expires_at is None else message.expires_at - time.monotonic()
        topic = message.topic
        if remaining is not None and remaining <= 0 and message.late_topic:
            topic, remaining = message.late_topic, None
        refusal = self.refusal(topic, message.payload, message.correlation)
        if refusal is not None:
            instead = self._set_aside(message, f"not sent: {refusal}", replaceable=isinstance(refusal, TooLarge))
            self.waiting.extendleft([] if instead is None else [instead])
            return True
        size = packet_bytes(topic, message.payload, message.correlation)
        expiry_seconds = None if remaining is None else max(1, round(remaining))
        sent = Sent(message.key, size, 1, message=message)
        fields = message.retain, expiry_seconds, message.correlation
        self._send(sent, topic, message.payload, *fields)
        return True

    def _send_state(self, state: State, states: States) -> bool:
        if self._inflight and state.topic in self._suspects:
            return False
        states.note_sent(state)
        refusal = self.refusal(state.topic, state.payload)
        if refusal is not None:
            self._complain(state.topic, f"not sent: {refusal}")
            self.set_aside += 1
        elif state.payload or self.limits.retain:
            qos = 1 if state.topic in self._suspects else state.qos
            sent = Sent(state.topic, packet_bytes(state.topic, state.payload), qos, state=state)
            self._send(sent, state.topic, state.payload, retain=True)
        else:  # a broker that keeps nothing has nothing to remove
            states.acknowledge(state)
        return True

    def _send(
        self,
        sent: Sent,
        topic: str,
        payload: bytes,
        retain: bool = False,
        expiry_seconds: int | None = None,
        correlation: bytes | None = None,
    ) -> None:
        qos = min(sent.qos, self.limits.qos)
        fields = qos, retain and self.limits.retain, expiry_seconds, correlation
        self._inflight[self._publish(Publication(topic, payload, *fields))] = sent._replace(qos=qos)

    def _requeue(self, sent: Sent) -> None:
        if sent.message is not None:
            self.waiting.appendleft(sent.message)
        elif sent.state is not None:
            self.states.put_back(sent.state)
            self.removals.put_back(sent.state)

    def _note_done(self, sent: Sent) -> None:
        if sent.state is not None:
            self.states.acknowledge(sent.state)
            self.removals.acknowledge(sent.state)
        elif sent.message is not None and sent.message.token is not None:
            self.delivered.append(sent.message.token)

    def _note_refusal(self, sent: Sent, receipt: Receipt) -> None:
        """The broker refused a message; one with a token stays with its sender, who may send it again."""
        message, topic = sent.message, sent.key
        if message is not None:
            topic = message.topic
            if receipt.code == PACKET_TOO_LARGE and (smaller := message.smaller()) is not None:
                self.waiting.appendleft(smaller)
            self.dropped += message.token is None
        self._suspects.acquit([sent.key])
        self._complain(str(topic), f"the broker refused it: {receipt.text}")

    def _convict(self, sent: Sent) -> Outgoing | None:
        """Set a message aside for which the broker closed the connection. Returns what is sent in its place."""
        why = f"set aside: the broker closed the connection {CLOSES_MAX} times when these {sent.size} bytes were sent"
        if isinstance(sent.key, str):
            self._suspects.set_aside(sent.key, sent.size)
        if sent.message is not None:
            return self._set_aside(sent.message, why, replaceable=True)
        self._complain(str(sent.key), why)
        self.set_aside += 1
        return None

    def _set_aside(self, message: Outgoing, why: str, *, replaceable: bool) -> Outgoing | None:
        """Count and log a message that is not sent. Returns what is sent in its place."""
        self._complain(message.topic, why)
        self.set_aside += 1
        if message.token is not None:
            self.delivered.append(message.token)
        return message.smaller() if replaceable else None
