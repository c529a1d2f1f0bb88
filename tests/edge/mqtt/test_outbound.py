"""What is sent next, what is under way, and what becomes of it: no network, no thread."""

import time
from collections import deque

import pytest

from edge.mqtt.limits import BadTopic, Limits, TooLarge
from edge.mqtt.outbound import INFLIGHT_MAX, STATES_INFLIGHT_MAX, TRANSIENTS_MAX, Outbound
from edge.mqtt.outgoing import Outgoing
from edge.mqtt.reports import Outcome, Receipt
from edge.mqtt.states import BEFORE_MAX, State, States
from edge.mqtt.suspects import CLOSES_MAX, COUNT_MAX, Suspects


class Wire:
    """Takes what is published, and acknowledges it on request."""

    def __init__(self, queue_max=100, limits=None):
        self.sent, self.lines = {}, []
        self.out = Outbound(
            self._publish, queue_max, Limits(), lambda topic, text: self.lines.append(f"{topic}: {text}")
        )
        self.limits = limits or Limits()
        self.connect()

    def _publish(self, publication):
        ticket = len(self.sent) + 1
        self.sent[ticket] = publication
        return ticket

    def connect(self):
        self.out.opened(self.limits)
        self.out.pump()

    def close(self, *, by_broker=True):
        self.out.closed(by_broker=by_broker)

    def answer(self, ticket, outcome=Outcome.DONE, code=0):
        self.out.note(Receipt(ticket, outcome, code, "no"))
        self.out.pump()

    def answer_all(self):
        while self.out._inflight:
            self.answer(next(iter(self.out._inflight)))

    def topics(self, first=1):
        return [publication.topic for ticket, publication in self.sent.items() if ticket >= first]


@pytest.fixture
def wire():
    return Wire()


def test_messages_go_in_order_and_few_are_under_way(wire):
    for number in range(40):
        wire.out.send(Outgoing("t", b"%d" % number))
    assert len(wire.sent) == INFLIGHT_MAX
    assert wire.out.depth == 40
    wire.answer_all()
    assert [int(one.payload) for one in wire.sent.values()] == list(range(40))
    assert wire.out.idle


def test_no_more_is_under_way_than_the_broker_allows():
    wire = Wire(limits=Limits(inflight=5))
    for number in range(20):
        wire.out.send(Outgoing("t", b"x"))
        wire.out.states.put(State(f"s/{number}", b"x", 1))
    wire.out.pump()
    assert len(wire.out._inflight) == 4  # and `online`
    wire.answer_all()
    assert len(wire.sent) == 40


def test_the_queue_is_bounded_in_messages_and_in_bytes(wire):
    wire.close(by_broker=False)
    for _ in range(130):
        wire.out.send(Outgoing("t", b"x"))
    assert (wire.out.depth, wire.out.dropped) == (100, 30)
    for _ in range(40):
        wire.out.send(Outgoing("t", bytes(1_000_000)))
    assert sum(len(one.payload) for one in wire.out.waiting) <= 16_000_000
    assert wire.out.dropped == 30 + 100 + 24


def test_what_paho_did_not_take_is_sent_again(wire):
    wire.out.send(Outgoing("t", b"1"))
    wire.out.states.put(State("s", b"2", 1))
    wire.out.pump()
    for ticket in (1, 2):
        wire.out.note(Receipt(ticket, Outcome.NOT_SENT, text="Out of memory."))
    wire.out.pump()
    assert sorted(wire.topics(3)) == ["s", "t"]


def test_what_was_under_way_is_sent_again_and_an_event_is_the_senders_own(wire):
    for message in (Outgoing("answer", b"1"), Outgoing("event", b"2", token=7), Outgoing("shared", b"3", retain=True)):
        wire.out.send(message)
    wire.close(by_broker=False)
    assert [message.topic for message in wire.out.waiting] == ["answer"]
    wire.connect()
    wire.answer_all()
    assert wire.topics(4) == ["answer"]
    assert not wire.out.delivered


def test_a_refused_event_is_not_taken_for_delivered(wire):
    wire.out.send(Outgoing("event", b"1", token=7))
    wire.answer(1, Outcome.REFUSED, 0x87)
    wire.out.send(Outgoing("answer", b"1"))
    wire.answer(2, Outcome.REFUSED, 0x87)
    assert (list(wire.out.delivered), wire.out.dropped) == ([], 1)
    assert wire.lines == ["event: the broker refused it: no", "answer: the broker refused it: no"]


def test_what_is_too_large_is_refused_or_replaced():
    wire = Wire(limits=Limits(packet_bytes=1000))
    refusal = wire.out.send(Outgoing("t", bytes(2000)))
    assert isinstance(refusal, TooLarge)
    assert refusal.limit == 1000
    assert 2000 < refusal.size < 2050
    assert wire.out.send(Outgoing("t", bytes(2000), instead=b"too large")) is None
    assert [one.payload for one in wire.sent.values()] == [b"too large"]
    assert wire.out.set_aside == 2
    assert wire.out.send(Outgoing("event", bytes(2000), token=3))
    assert list(wire.out.delivered) == [3]  # or it would be handed out for ever


def test_a_limit_that_is_learned_later_holds_for_what_waits():
    wire = Wire(limits=Limits(packet_bytes=1000))
    wire.close(by_broker=False)
    wire.out.limits = Limits()
    wire.out.send(Outgoing("t", bytes(2000)))
    wire.out.send(Outgoing("t", bytes(2000), instead=b"too large"))
    wire.out.states.put(State("s", bytes(2000), 1))
    wire.connect()
    assert [one.payload for one in wire.sent.values()] == [b"too large"]


def test_a_topic_that_no_broker_takes_is_refused(wire):
    assert isinstance(wire.out.send(Outgoing("/".join("x" * 250), b"")), BadTopic)
    wire.out.send_transient("a/+", b"")
    assert not wire.sent


def test_what_the_broker_does_not_offer_is_not_asked_of_it():
    wire = Wire(limits=Limits(qos=0, retain=False))
    wire.out.send(Outgoing("t", b"1", token=1))
    wire.out.states.put(State("s", b"2", 1))
    wire.out.states.put(State("gone", b"", 1))
    wire.out.pump()
    assert {(one.topic, one.qos, one.retain) for one in wire.sent.values()} == {("t", 0, False), ("s", 0, False)}
    wire.answer_all()
    assert list(wire.out.delivered) == [1]
    for _ in range(2 * CLOSES_MAX):
        wire.close()
        wire.connect()
    assert wire.out.set_aside == 0


def test_the_message_that_ends_every_connection_is_set_aside_and_no_other(wire):
    """The innocent ones beside it are acknowledged as soon as they are sent alone."""
    poison = Outgoing("answers/poison", bytes(500))
    for number in range(5):
        wire.out.send(Outgoing(f"answers/{number}", b"x"))
    wire.out.send(poison)
    wire.out.states.put(State("state", b"x", 1))
    wire.out.pump()
    delivered, closes = set(), 0
    for _ in range(100):
        sent = [(ticket, wire.sent[ticket]) for ticket in wire.out._inflight]
        if not sent:
            break
        if any(one.topic == poison.topic for _, one in sent):
            closes += 1
            wire.close()
            wire.connect()
        else:
            ticket, one = sent[0]
            delivered.add(one.topic)
            wire.answer(ticket)
    assert closes == CLOSES_MAX
    assert delivered == {*(f"answers/{number}" for number in range(5)), "state"}
    assert wire.out.set_aside == 1
    assert wire.out.idle
    assert len(wire.lines) == 1
    assert "answers/poison: set aside: the broker closed the connection 3 times" in wire.lines[0]
    assert isinstance(wire.out.send(poison), TooLarge)
    assert wire.out.send(Outgoing(poison.topic, b"small")) is None


@pytest.mark.parametrize("kind", ["event", "state", "transient"])
def test_nothing_ends_the_connection_for_ever(wire, kind):
    """An event comes again from the outbox, a state at every connection, a transient with the next face."""
    closes = 0
    for number in range(20):
        if kind == "event" and 7 in wire.out.delivered:
            break
        if kind == "event":
            wire.out.send(Outgoing("t", b"x" * 50, token=7))
        elif kind == "state":
            wire.out.states.put(State("t", b"x" * 50 + b"%d" % (number % 10), 0))
        else:
            wire.out.send_transient("t", b"x" * 50 + b"%d" % (number % 10))
        wire.out.pump()
        under_way = [wire.sent[ticket] for ticket in wire.out._inflight]
        if any(one.topic == "t" for one in under_way):
            closes += 1
            wire.close()
            wire.connect()
    assert closes == CLOSES_MAX
    assert wire.out.set_aside >= 1


def test_closes_are_counted_in_a_row(wire):
    for _ in range(10):
        wire.out.send(Outgoing("t", b"x"))
        wire.close()
        wire.connect()
        wire.answer_all()
    assert wire.out.set_aside == 0


def test_what_was_written_is_acquitted_by_a_later_acknowledgement(wire):
    for _ in range(10):
        wire.out.send_transient("image", b"x")
        wire.answer_all()
        wire.out.send(Outgoing("t", b"x"))
        wire.answer_all()
        wire.close()
        wire.connect()
    assert wire.out.set_aside == 0


def test_transients_do_not_pile_up_behind_a_slow_broker(wire):
    for _ in range(50):
        wire.out.send_transient("image", b"x")
    assert len(wire.sent) == TRANSIENTS_MAX


def test_an_event_that_is_too_late_goes_elsewhere(wire):
    now = time.monotonic()
    wire.out.send(Outgoing("event", b"", now - 1, "event/late"))
    wire.out.send(Outgoing("event", b"", now + 60, "event/late"))
    old, new = wire.sent.values()
    assert (old.topic, old.expiry_seconds) == ("event/late", None)
    assert (new.topic, new.expiry_seconds) == ("event", 60)


def test_the_newest_state_alone_is_sent(wire):
    wire.close(by_broker=False)
    for payload in (b"1", b"2", b"3"):
        wire.out.states.put(State("s", payload, 1))
    wire.connect()
    assert [one.payload for one in wire.sent.values()] == [b"3"]
    wire.answer_all()
    wire.out.states.put(State("s", b"3", 1))
    wire.out.pump()
    assert len(wire.sent) == 1
    wire.close(by_broker=False)
    wire.connect()
    assert len(wire.sent) == 2


def full_wire():
    """Nothing more can be sent until something is acknowledged."""
    wire = Wire(limits=Limits(inflight=3))
    for number in range(2):
        wire.out.send(Outgoing("t", b"%d" % number))
    return wire


def payloads(wire, topic="s"):
    return [one.payload for one in wire.sent.values() if one.topic == topic]


def test_what_goes_before_a_state_is_not_replaced_by_it(wire):
    """Home Assistant would keep the sensor that the first of two messages removes."""
    wire = full_wire()
    wire.out.states.put(State("s", b"clean", 1))
    wire.out.states.put(State("s", b"clean", 1), before=b"removes a")
    wire.out.states.put(State("s", b"clean too", 1), before=b"removes b")
    wire.answer_all()
    assert payloads(wire) == [b"removes a", b"removes b", b"clean too"]
    assert wire.out.idle
    wire.out.states.put(State("s", b"clean too", 1), before=b"removes c")
    wire.out.pump()
    assert payloads(wire)[3:] == [b"removes c", b"clean too"]
    assert wire.out.states.get("s").payload == b"clean too"


def test_a_new_connection_gets_the_newest_state_alone():
    wire = full_wire()
    wire.out.states.put(State("s", b"clean", 1), before=b"removes a")
    wire.close(by_broker=False)
    wire.connect()
    wire.answer_all()
    assert payloads(wire) == [b"clean"]


def test_few_states_wait_before_the_newest():
    wire = full_wire()
    for number in range(10):
        wire.out.states.put(State("s", b"clean", 1), before=b"%d" % number)
    wire.answer_all()
    assert payloads(wire) == [*(b"%d" % number for number in range(10 - BEFORE_MAX, 10)), b"clean"]


def test_what_goes_before_a_state_stays_before_it_where_paho_did_not_take_it(wire):
    wire.out.states.put(State("s", b"clean", 1), before=b"removes a")
    wire.out.pump()
    wire.out.note(Receipt(1, Outcome.NOT_SENT, text="Out of memory."))
    wire.answer(2)
    wire.answer_all()
    assert payloads(wire) == [b"removes a", b"clean", b"removes a", b"clean"]
    assert wire.out.idle


def test_states_that_are_dropped_leave_nothing():
    states = States(count_max=2)
    for number in range(10):
        states.put(State(f"s/{number}", b"x", 1), before=b"y")
    assert list(states._before) == list(states) == ["s/8", "s/9"]


def test_many_states_go_a_few_at_a_time(wire):
    for number in range(500):
        wire.out.states.put(State(f"s/{number}", b"x", 1))
    wire.out.pump()
    assert len(wire.sent) == STATES_INFLIGHT_MAX
    wire.answer_all()
    assert wire.topics() == [f"s/{number}" for number in range(500)]


def test_a_removal_is_remembered_until_the_broker_has_it(wire):
    wire.out.states.put(State("person/alice", b"now", 1))
    wire.out.pump()
    wire.answer_all()
    wire.close(by_broker=False)
    wire.out.states.put(State("person/alice", b"", 1))
    assert "person/alice" in list(wire.out.states)
    wire.connect()
    assert wire.sent[2].payload == b""
    wire.answer_all()
    assert "person/alice" not in list(wire.out.states)


def test_states_are_bounded_and_removals_are_kept_longest():
    states = States(count_max=10)
    for number in range(5):
        states.put(State(f"gone/{number}", b"", 1))
    for number in range(100):
        states.put(State(f"s/{number}", b"x", 1))
        states.note_sent(State(f"s/{number}", b"x", 1))
        states.acknowledge(states.get(f"s/{number}"))
    assert (len(states), states.dropped) == (10, 95)
    assert {f"gone/{number}" for number in range(5)} <= set(states)
    assert states.get("s/99") is not None
    for number in range(100):
        states.put(State(f"gone/{number}", b"", 1))
    assert len(states) == 10


def test_suspects_are_bounded():
    suspects = Suspects()
    for number in range(3 * COUNT_MAX):
        suspects.accuse(number)
        suspects.set_aside(f"t/{number}", 10)
    assert len(suspects._closes) == len(suspects._sizes) == COUNT_MAX


def test_handed_out_collections_stay_the_same(wire):
    """The owner keeps them."""
    waiting, delivered = wire.out.waiting, wire.out.delivered
    wire.out.send(Outgoing("t", b"x"))
    wire.close()
    assert wire.out.waiting is waiting
    assert wire.out.delivered is delivered
    assert isinstance(delivered, deque)
