"""What a broker takes, and when it is tried again."""

import random
import socket

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.mqtt.backoff import Backoff
from edge.mqtt.inbox import Inbox
from edge.mqtt.limits import LEVELS_MAX, TOPIC_BYTES_MAX, packet_bytes, topic_problem
from edge.mqtt.reports import Message


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("", "empty"),
        ("a/+/b", "wildcard"),
        ("a/#", "wildcard"),
        ("a\0b", "control"),
        ("a\x07b", "control"),
        ("a\x85b", "control"),
        ("a\ud800b", "surrogate"),
        ("a\uffffb", "non-character"),
        ("x" * (TOPIC_BYTES_MAX + 1), "65536 bytes"),
        ("é" * 40_000, "80000 bytes"),
        ("/".join("x" * (LEVELS_MAX + 1)), "201 levels"),
    ],
)
def test_a_topic_that_a_broker_does_not_take_is_named(topic, problem):
    assert problem in topic_problem(topic)


@pytest.mark.parametrize(
    "topic", ["a", "limen/answers/x", "/".join("x" * LEVELS_MAX), "x" * TOPIC_BYTES_MAX, "наталья/🫩/‍"]
)
def test_a_topic_that_a_broker_takes_is_let_through(topic):
    assert topic_problem(topic) is None


@pytest.mark.parametrize("size", [0, 1, 100, 20_000, 300_000])
@pytest.mark.parametrize("correlation", [None, b"", b"x" * 200])
def test_the_size_of_a_packet_is_never_underestimated(size, correlation):
    """Against paho's own packets."""
    client, packets = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5), []
    client._sock = socket.socket()
    client._packet_queue = lambda _command, packet, *_rest: packets.append(packet)
    properties = Properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = 60
    if correlation is not None:
        properties.CorrelationData = correlation
    topic = "limen/answers/é"
    client._send_publish(1, topic.encode(), bytes(size), qos=1, properties=properties)
    actual, bound = len(packets[0]), packet_bytes(topic, bytes(size), correlation)
    assert actual <= bound <= actual + 8


def test_the_wait_doubles_up_to_a_minute_with_full_jitter():
    asked = []
    backoff = Backoff(uniform=lambda low, high: asked.append((low, high)) or high)
    waits = [backoff.next(0.0) for _ in range(8)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert {low for low, _ in asked} == {1.0}


def test_only_a_connection_that_lasted_resets_the_wait():
    backoff = Backoff(uniform=lambda _low, high: high)
    assert [backoff.next(seconds) for seconds in (0, 59, 59, 61, 0)] == [2, 4, 8, 2, 4]


def test_two_devices_of_one_name_soon_try_once_a_minute_alone():
    """The one that takes over waits for nothing; the other waits up to a minute, and takes over in turn."""
    counts = []
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311 -- waits, not secrets
        backoffs = [Backoff(uniform=chance.uniform) for _ in range(2)]
        now, takeovers, holder = 0.0, 0, 0
        while True:
            takeovers += 1
            loser, holder = holder, 1 - holder
            now += backoffs[loser].next(0.0, contended=True)
            if now > 20:
                break
        counts.append(takeovers)
    assert sorted(counts)[len(counts) // 2] <= 2
    assert max(counts) <= 6


def test_the_inbox_is_bounded_in_messages_payloads_and_topics():
    inbox = Inbox(1000, count_max=50, bytes_max=10_000)
    for _ in range(100):
        inbox.put(Message("t", bytes(1000)))
    assert (len(inbox), inbox.refused) == (50, 50)
    kept = inbox.take(100)
    assert sum(len(one.payload) for one in kept) <= 10_000
    assert sum(one.busy for one in kept) == 40
    for _ in range(100):
        inbox.put(Message("t" * 1000, b"", response_topic="r" * 1000, correlation=bytes(1000)))
    kept = inbox.take(100)
    assert 0 < sum(len(one.topic) + len(one.response_topic) + len(one.correlation) for one in kept) <= 10_000
    inbox.put(Message("t", b"x"))
    assert inbox.take(1)[0].payload == b"x"
