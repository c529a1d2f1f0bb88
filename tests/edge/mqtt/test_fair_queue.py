"""Requests that wait: no asker drives out another, and memory is bounded."""

from collections import Counter
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.api.topics import Topics
from edge.mqtt.fair_queue import (
    BUSY_BYTES_MAX,
    BUSY_PER_SECOND,
    NAMELESS,
    NEWCOMERS,
    SLOW_MAX,
    FairQueue,
    Kind,
    bytes_of,
    kind_of,
)
from edge.mqtt.reports import Message

PREFIX = "limen/answers/"


class Clock:
    """Stands still until it is set."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def queue(clock=None, **limits):
    return FairQueue(PREFIX, 1000, monotonic=clock or Clock(), **limits)


def message(asker, number, *, topic="person/list", payload=b"", name="1"):
    answer_to = None if asker is None else f"{PREFIX}{asker}/{name}"
    return Message(topic, payload, response_topic=answer_to, correlation=b"%d" % number)


def senders(taken):
    return [(one.response_topic or "/nobody").split("/")[-2] for one in taken]


def test_askers_are_served_in_turn_and_each_in_its_order():
    waiting = queue()
    for number in range(100):
        waiting.put(message("flood", number, name=str(number)))
    for number in range(3):
        waiting.put(message("other", number))
    taken = waiting.take(8)
    assert senders(taken) == ["flood", "other"] * 3 + ["flood"] * 2
    everything = taken + waiting.take(1000)
    for asker in ("flood", "other"):
        numbers = [int(one.correlation) for one in everything if asker in one.response_topic]
        assert numbers == sorted(numbers)
    assert len(everything) == 103
    assert len(waiting) == 0


def test_signed_requests_stay_in_the_order_of_arrival():
    waiting = queue(in_turn=False, count_max=50)
    for number in range(200):
        waiting.put(message(f"{number % 7}" if number % 10 else "other", number))
    kept = [one for one in waiting.take(1000) if not one.busy]
    numbers = [int(one.correlation) for one in kept]
    assert numbers == sorted(numbers)
    assert senders(kept).count("other") in {6, 7}  # an equal share, all the same


@pytest.mark.parametrize("flooder", ["flood", None])
def test_who_sends_little_loses_nothing(flooder):
    waiting = queue(count_max=50)
    for number in range(1000):
        waiting.put(message(flooder, number, topic="health/check"))
        if number % 100 == 99:
            waiting.put(message("other", number))
            waiting.put(message(None, number, topic="config/set"))  # such as a switch in Home Assistant
    kept = [one for one in waiting.take(2000) if not one.busy]
    assert len(kept) == 50
    assert sum(one.topic == "person/list" for one in kept) == 10
    assert sum(one.topic == "config/set" for one in kept) == 10


def test_another_name_for_each_request_gains_nothing():
    waiting, served = queue(count_max=64), Counter()
    waiting.put(message("other", 0))
    waiting.take(1)  # it is known from now on
    for number in range(2000):
        waiting.put(message(f"flood-{number}", number))
        if number % 100 == 0:
            waiting.put(message("other", number))
        if number % 10 == 0:
            served.update("other" if "other" in one.response_topic else "flood" for one in waiting.take(1))
    assert served["other"] == 20


def test_the_refused_are_answered_busy_at_a_bounded_rate_and_the_rest_is_counted():
    clock = Clock()
    waiting = queue(clock, count_max=10)
    for number in range(100):
        waiting.put(message("flood", number, payload=b'{"transaction": "x"}'))
    taken = waiting.take(1000)
    busy = [one for one in taken if one.busy]
    assert len(busy) == BUSY_PER_SECOND
    assert waiting.refused == 90 - BUSY_PER_SECOND
    assert taken[: len(busy)] == busy  # they need not wait for their turn
    assert {one.payload for one in busy} == {b'{"transaction": "x"}'}
    assert {one.retry_after_seconds for one in busy} == {1.0}
    for number in range(11):
        clock.now += 1.0
        waiting.put(message("flood", number))
    (busy,) = (one for one in waiting.take(1000) if one.busy)
    assert busy.retry_after_seconds == 10.0  # so long the oldest has waited


def test_a_large_request_that_is_refused_is_not_kept_for_its_answer():
    waiting = FairQueue(PREFIX, 10_000_000, count_max=1)
    waiting.put(message("flood", 0))
    waiting.put(message("flood", 1, payload=bytes(BUSY_BYTES_MAX + 1)))
    busy, kept = waiting.take(2)
    assert (busy.busy, busy.payload, busy.size) == (True, b"", BUSY_BYTES_MAX + 1)
    assert kept.correlation == b"0"


def test_large_requests_of_one_do_not_drive_out_the_small_ones_of_another():
    waiting = queue(bytes_max=10_000)
    waiting.put(message("other", 0))
    for number in range(100):
        waiting.put(message("flood", number, payload=bytes(1000)))
    waiting.put(message("other", 1))
    kept = [one for one in waiting.take(1000) if not one.busy]
    assert senders(kept).count("other") == 2
    assert 5 <= senders(kept).count("flood") < 10
    waiting.put(message("flood", 0, payload=bytes(1001)))
    assert waiting.take(1)[0].payload == b""  # too large to be read at all


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 900), st.booleans(), st.integers(0, 3)),
        max_size=200,
    )
)
def test_it_is_bounded_whatever_comes_and_loses_count_of_nothing(steps):
    clock, numbers = Clock(), count()
    waiting = queue(clock, count_max=20, bytes_max=5000)
    taken = []
    for asker, verb, size, long_name, take in steps:
        clock.now += 0.01
        name = "x" * 3000 if long_name else "1"
        waiting.put(message(asker or None, next(numbers), topic=f"verb/{verb}", payload=bytes(size), name=name))
        waiting_now = [one for requests in waiting._queues.values() for one in requests.values()]
        assert len(waiting_now) <= 20
        assert waiting._bytes == sum(map(bytes_of, waiting_now)) <= 5000
        assert sum(len(share.numbers) for share in waiting._shares.values()) == len(waiting_now)
        assert sum(share.size for share in waiting._shares.values()) == waiting._bytes
        taken += waiting.take(take)
    taken += waiting.take(1000)
    assert len(taken) + waiting.refused == next(numbers)
    assert (len(waiting), waiting._bytes, waiting._shares, waiting._queues) == (0, 0, {}, {})


KINDS = {"list": Kind.READ, "rename": Kind.CHANGE, "picture": Kind.SLOW}


def slow_queue(**limits):
    return queue(kind_of=KINDS.__getitem__, **limits)


def numbers_of(taken):
    return [int(one.correlation) for one in taken]


def test_what_a_topic_asks_for():
    topics = Topics("porch")
    kinds = {verb: kind_of(topics, f"limen/porch/request/{verb}") for verb in ("person/list", "person/set", "x")}
    assert kinds == {"person/list": Kind.READ, "person/set": Kind.CHANGE, "x": Kind.READ}
    assert kind_of(topics, "limen/porch/request/enroll/image") is Kind.SLOW
    assert kind_of(topics, "limen/porch/request/recognize/image") is Kind.SLOW
    assert kind_of(topics, "limen/porch/request/enroll/start") is Kind.CHANGE
    assert kind_of(topics, "limen/porch/person/anna") is Kind.READ


def test_others_go_on_while_a_slow_request_is_under_way():
    waiting = slow_queue()
    waiting.put(message("slow", 0, topic="picture"))
    (first,) = waiting.take(1)
    waiting.working_for = first.asker
    waiting.put(message("slow", 1, topic="list"))
    waiting.put(message("slow", 2, topic="picture"))
    waiting.put(message("other", 3, topic="rename"))
    waiting.put(message("other", 4, topic="picture"))
    waiting.put(message("other", 5, topic="list"))
    assert numbers_of(waiting.take(9)) == [3]  # nobody's later request overtakes their own
    assert waiting.take(9) == []
    waiting.working_for = None
    assert numbers_of(waiting.take(9)) == [1, 4, 2, 5]


def test_of_askers_that_are_taken_for_one_what_reads_goes_on():
    waiting = slow_queue()
    for number, topic in enumerate(["picture", "list", "rename", "list", "picture", "list"]):
        waiting.put(message(None, number, topic=topic))
    (first,) = waiting.take(1)
    waiting.working_for = first.asker
    assert numbers_of(waiting.take(9)) == [1, 3, 5]
    waiting.put(message(None, 6, topic="list"))
    waiting.put(message(None, 7, topic="rename"))
    assert numbers_of(waiting.take(9)) == [6]
    waiting.working_for = None
    assert numbers_of(waiting.take(9)) == [2, 4, 7]


def test_signed_changes_are_carried_out_in_the_order_of_arrival_behind_a_slow_request_too():
    waiting = slow_queue(in_turn=False)
    waiting.put(message("one", 0, topic="picture"))
    (first,) = waiting.take(1)
    waiting.working_for = first.asker
    for number, (asker, topic) in enumerate(
        [("other", "rename"), ("other", "picture"), ("third", "rename"), ("fourth", "list"), ("other", "list")], 1
    ):
        waiting.put(message(asker, number, topic=topic))
    assert numbers_of(waiting.take(9)) == [1, 4]
    waiting.working_for = None
    assert numbers_of(waiting.take(9)) == [2, 3, 5]


@pytest.mark.parametrize("flooder", ["flood", None])
def test_slow_requests_that_would_wait_too_long_are_answered_busy(flooder):
    waiting = slow_queue()
    waiting.put(message("other", 1000, topic="picture"))
    for number in range(100):
        waiting.put(message(flooder, number, topic="picture"))
    waiting.put(message("other", 1001, topic="picture"))
    taken = waiting.take(1000)
    assert sum(one.busy for one in taken) == BUSY_PER_SECOND
    kept = [one for one in taken if not one.busy]
    assert len(kept) == SLOW_MAX
    assert {1000, 1001} <= set(numbers_of(kept))


STEPS = st.tuples(st.integers(0, 3), st.sampled_from(sorted(KINDS)), st.integers(0, 2), st.booleans())


@given(st.lists(STEPS, max_size=120), st.booleans())
def test_slow_requests_are_one_at_a_time_and_nobody_overtakes_themselves(steps, in_turn):
    waiting, numbers, taken = slow_queue(in_turn=in_turn, count_max=30), count(), []

    def take(most):
        for _ in range(most):
            for one in waiting.take(1):
                taken.append(one)
                if one.busy or KINDS[one.topic] is not Kind.SLOW:
                    continue
                assert waiting.working_for is None
                waiting.working_for = one.asker

    for asker, topic, most, done in steps:
        waiting.put(message(asker or None, next(numbers), topic=topic))
        if done:
            waiting.working_for = None
        take(most)
    while len(waiting):
        waiting.working_for = None
        take(1000)
    kept = [one for one in taken if not one.busy]
    for asker in {one.asker for one in kept}:
        alone = asker not in {NAMELESS, NEWCOMERS}
        own = [one for one in kept if one.asker == asker and (alone or KINDS[one.topic] is not Kind.READ)]
        assert numbers_of(own) == sorted(numbers_of(own))
    if not in_turn:
        changes = numbers_of(one for one in kept if KINDS[one.topic] is not Kind.READ)
        assert changes == sorted(changes)
    assert len(taken) + waiting.refused == next(numbers)
