"""The link against a real broker."""

import socket
import time

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.demo.broker import EmbeddedBroker
from edge.mqtt.device_link import INFLIGHT_MAX, DeviceLink, Outgoing
from tests.household import Household, until

TOPICS = Topics("porch")


def turned(link):
    """The link after the door's loop has come round once more."""
    assert link.pending() == []
    return link


@pytest.fixture
def link(broker):
    link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port, queue_answers_max=50), TOPICS)
    link.start()
    until(lambda: turned(link).connected)
    yield link
    link.stop()


def test_states_are_retained_and_the_last_will_says_offline(broker, link):
    link.publish_state("info", b'{"version": 1}')
    link.publish_state("presence", b"nobody")
    link.publish_state("presence", b"alice")
    time.sleep(0.3)
    late = Household(broker.port)
    until(lambda: len(late.heard) >= 3)
    assert {message.topic.rsplit("/")[-1]: message.payload for message in late.heard} == {
        "status": b"online",
        "info": b'{"version": 1}',
        "presence": b"alice",
    }
    assert all(message.retain for message in late.heard)
    link._client._sock_close()  # the network goes away without a word
    until(lambda: late.on("status")[-1].payload == b"offline")
    until(lambda: turned(link).connections == 2)
    until(lambda: late.on("status")[-1].payload == b"online")
    late.close()


def test_a_lost_connection_ends_its_thread_by_itself(broker, link):
    """Else the thread sleeps before it ends, and the door, which waits for that, is blind as long."""
    thread = link._client._thread
    broker.stop()
    thread.join(30)
    assert not thread.is_alive()
    broker.start()
    until(lambda: turned(link).connections == 2)


def test_a_state_can_be_taken_back(broker, link):
    link.publish_state("person/alice", b"now")
    link.clear_state("person/alice")
    time.sleep(0.3)
    late = Household(broker.port)
    until(lambda: late.on("status"))
    time.sleep(0.2)
    assert late.on("person/alice") == []
    late.close()


def test_requests_come_in_with_all_that_is_needed_to_answer(link, household):
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic, properties.CorrelationData = "limen/controller/answers", b"\x01\x02"
    household.client.publish(f"{TOPICS.base}/request/person/list", b"{}", qos=1, properties=properties)
    household.client.publish(f"{TOPICS.base}/request/enroll/image", b"x" * 5_000_000, qos=1)
    messages = []
    until(lambda: messages.extend(link.pending()) or len(messages) == 2)
    first, second = messages
    assert (first.payload, first.response_topic, first.correlation) == (b"{}", "limen/controller/answers", b"\x01\x02")
    assert (second.payload, second.size) == (b"", 5_000_000)
    assert TOPICS.verb_of(second.topic) == "enroll/image"


def test_a_request_that_was_retained_is_known_as_such(broker, household):
    household.client.publish(f"{TOPICS.base}/request/person/remove", b"{}", qos=1, retain=True)
    time.sleep(0.3)
    link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS)
    link.start()
    until(lambda: turned(link).connected)
    time.sleep(0.3)
    assert link.pending() == []  # not even sent: retainHandling 2
    household.client.publish(f"{TOPICS.base}/request/person/remove", b"{}", qos=1, retain=True)
    messages = []
    until(lambda: messages.extend(link.pending()) or messages)
    assert messages[0].retain
    link.stop()


def test_what_is_sent_while_the_broker_is_away_comes_in_order_later(broker, link, household):
    for number in range(5):
        link.send(Outgoing(TOPICS.of("event"), b"%d" % number))
    until(lambda: len(household.on("event")) == 5)
    broker.stop()
    until(lambda: not turned(link).connected)
    for number in range(5, 30):
        link.send(Outgoing(TOPICS.of("event"), b"%d" % number))
    assert link.depth == 25
    broker.start()
    until(lambda: turned(link).depth == 0, 40)
    until(lambda: len({message.payload for message in household.on("event")}) == 30)
    seen = [int(message.payload) for message in household.on("event")]
    assert list(dict.fromkeys(seen)) == list(range(30))


def test_the_queue_is_bounded_and_counts_what_it_lost(broker, link):
    broker.stop()
    until(lambda: not turned(link).connected)
    for number in range(80):
        link.send(Outgoing(TOPICS.of("event"), b"%d" % number))
    assert link.depth == 50
    assert link.dropped == 30
    assert [int(message.payload) for message in link._waiting] == list(range(30, 80))


def test_no_more_is_under_way_than_may_be(link, household):
    for number in range(45):
        link.send(Outgoing(TOPICS.of("event"), b"%d" % number))
        assert len(link._inflight) <= INFLIGHT_MAX
    until(lambda: len(turned(link) and household.on("event")) == 45)
    assert [int(message.payload) for message in household.on("event")] == list(range(45))
    until(lambda: turned(link).depth == 0)


def test_an_event_that_is_too_late_goes_where_nobody_acts_on_it(link, household):
    past, future = time.monotonic() - 1, time.monotonic() + 60
    link.send(Outgoing(TOPICS.of("event"), b"old", past, TOPICS.of("event/late")))
    link.send(Outgoing(TOPICS.of("event"), b"new", future, TOPICS.of("event/late")))
    until(lambda: household.on("event") and household.on("event/late"))
    (new,), (old,) = household.on("event"), household.on("event/late")
    assert (new.payload, old.payload) == (b"new", b"old")
    assert new.properties.MessageExpiryInterval in (59, 60)


def test_a_broker_that_is_not_there_yet_is_waited_for(broker):
    broker.stop()
    link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS)
    link.start()
    link.send(Outgoing(TOPICS.of("event"), b"first"))
    until(lambda: "cannot be reached: " in turned(link).last_error)
    assert "refused" in link.last_error
    assert not link.connected
    broker.start()
    until(lambda: turned(link).connected and link.depth == 0, 40)
    link.stop()


def test_a_broker_that_meets_mqtt_5_with_silence_is_spoken_to_in_3_1_1(monkeypatch):
    monkeypatch.setattr("edge.mqtt.device_link.CONNACK_SECONDS", 0.3)
    with EmbeddedBroker() as broker:  # amqtt waits for a will that it looks for in the wrong place
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS)
        link.start()
        link.send(Outgoing(TOPICS.of("event"), b"first"))
        until(lambda: turned(link).connected and link.depth == 0)
        assert not link.version_5
        link.stop()


def test_a_broker_that_has_just_gone_does_not_disturb_the_end(broker, link, monkeypatch):
    monkeypatch.setattr(link, "pending", list)  # nobody noticed yet
    broker.stop()
    link.stop()
    assert not link.connected


def test_a_version_that_is_configured_is_kept():
    with EmbeddedBroker() as broker:
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port, version="3.1.1"), TOPICS)
        link.start()
        until(lambda: turned(link).connected)
        link.stop()


def test_silence_is_not_always_the_versions_fault(monkeypatch):
    """A broker that says nothing to either is asked in both, one after the other, until it speaks."""
    monkeypatch.setattr("edge.mqtt.device_link.CONNACK_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=server.getsockname()[1]), TOPICS)
        link.start()
        until(lambda: not (turned(link) and link.version_5))
        until(lambda: turned(link).version_5)
        assert not link.connected
        link.stop()
