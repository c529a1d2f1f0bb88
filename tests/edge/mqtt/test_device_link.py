"""The link against a real broker."""

import time
from contextlib import contextmanager
from functools import partial

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.demo.broker import EmbeddedBroker
from edge.mqtt.backoff import Backoff
from edge.mqtt.device_link import INFLIGHT_MAX, BadTopic, DeviceLink, TooLarge
from edge.mqtt.journal import loggable
from edge.mqtt.network import Network
from edge.mqtt.outgoing import Outgoing
from edge.mqtt.reports import Cause
from tests.edge.mqtt.brokers import mosquitto
from tests.household import Household, until

TOPICS = Topics("porch")


def soon():
    return Backoff(0.01, 0.05)


@contextmanager
def connected(broker, **changes):
    """A link that is connected, quick to connect again."""
    options = {"backoff": soon(), **{key: changes.pop(key) for key in ("backoff",) if key in changes}}
    link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port, **changes), TOPICS, **options)
    link.start()
    until(lambda: turned(link).connected)
    yield link
    link.stop()


def lose_network(link):
    """The connection ends without DISCONNECT: the Last Will is published."""
    link._network._command(lambda client: client.end(Cause.NETWORK, "unplugged"))


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
    lose_network(link)
    until(lambda: late.on("status")[-1].payload == b"offline")
    until(lambda: turned(link).connections == 2)
    until(lambda: late.on("status")[-1].payload == b"online")
    late.close()


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
        assert len(link._out._inflight) <= INFLIGHT_MAX
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


def test_a_broker_that_meets_mqtt_5_with_silence_is_spoken_to_in_3_1_1():
    with EmbeddedBroker() as broker:  # amqtt waits for a will that it looks for in the wrong place
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        link = DeviceLink(config, TOPICS, make_network=partial(Network, connack_seconds=0.5))
        link.start()
        link.send(Outgoing(TOPICS.of("event"), b"first"))
        until(lambda: turned(link).connected and link.depth == 0)
        assert not link.version_5
        link.stop()


def test_a_broker_that_has_just_gone_does_not_disturb_the_end(broker, link, monkeypatch):
    monkeypatch.setattr(link, "_advance", lambda: None)  # nobody noticed yet
    broker.stop()
    link.stop()
    assert not link.connected


def test_the_end_says_offline_after_everything_else(broker, household):
    with connected(broker) as link:
        for number in range(40):
            link.send(Outgoing(TOPICS.of("event"), b"%d" % number))
    until(lambda: household.newest("status") == b"offline")
    assert [int(message.payload) for message in household.on("event")] == list(range(40))
    assert household.heard[-1].topic == TOPICS.of("status")


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_an_answer_that_is_too_large_does_not_silence_the_device(tmp_path, version):
    """Over 3.1.1 the limit is configured, for such a broker does not say it."""
    with mosquitto(tmp_path, "max_packet_size 20000") as broker, Household(broker.port) as household:
        limit = 20_000 if version == "3.1.1" else None
        with connected(broker, version=version, packet_bytes_max=limit) as link:
            assert link.packet_bytes_max == 20_000
            refusal = link.send(Outgoing(TOPICS.of("response/snapshot/get"), bytes(60_000)))
            assert isinstance(refusal, TooLarge)
            assert (refusal.limit, str(refusal)) == (20_000, "the message has 60049 bytes; the broker takes 20000")
            link.send(Outgoing(TOPICS.of("response/snapshot/get"), bytes(60_000), instead=b"answer_too_large"))
            assert isinstance(link.publish_state("gallery", bytes(60_000)), TooLarge)
            link.publish_transient("image/last", bytes(60_000))
            link.send(Outgoing(TOPICS.of("response/person/list"), b"{}"))
            until(lambda: household.on("response/person/list"))
            until(lambda: turned(link).depth == 0)
            assert household.newest("response/snapshot/get") == b"answer_too_large"
            assert link.connections == 1
            assert link.set_aside == 4


@pytest.mark.parametrize("kind", ["answer", "event", "state", "transient"])
def test_a_limit_that_nobody_knows_costs_three_connections(tmp_path, kind, caplog):
    """MQTT 3.1.1, nothing configured: what ends the connection is not sent for ever, and nothing else is lost."""
    with mosquitto(tmp_path, "max_packet_size 20000") as broker, Household(broker.port) as household:  # noqa: SIM117
        with connected(broker, version="3.1.1") as link:
            for number in range(10):
                link.send(Outgoing(TOPICS.of("response/person/list"), b"%d" % number))
            large, token, before = bytes(60_000), 7, 0
            if kind == "answer":
                link.send(Outgoing(TOPICS.of("response/snapshot/get"), large, instead=b"answer_too_large"))
            elif kind == "state":
                link.publish_state("gallery", large)

            def goes_on():
                nonlocal before
                turned(link)
                if kind == "event" and link.connections != before and token not in link.delivered:
                    before = link.connections
                    link.send(Outgoing(TOPICS.of("event"), large, token=token))  # as the outbox does
                elif kind == "transient":
                    link.publish_transient("image/last", large)
                return link.set_aside and link.connected and link.depth == 0

            until(goes_on)
            link.send(Outgoing(TOPICS.of("response/person/list"), b"10"))
            until(lambda: len({message.payload for message in household.on("response/person/list")}) == 11)
            assert link.connections == 4
            assert caplog.text.count("set aside: the broker closed the connection 3 times") == 1
            assert (kind != "answer") or household.newest("response/snapshot/get") == b"answer_too_large"
            assert (kind != "event") or list(link.delivered) == [token]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_topic_of_too_many_levels_does_not_silence_the_device(broker, household, version):
    with connected(broker, version=version) as link:
        refusal = link.send(Outgoing("limen/answers/" + "/".join("x" * 248), b"{}"))
        assert isinstance(refusal, BadTopic)
        assert str(refusal) == "the topic has 250 levels; 200 are allowed"
        link.send(Outgoing(TOPICS.of("response/person/list"), b"{}"))
        until(lambda: household.on("response/person/list"))
        assert turned(link).connections == 1


def test_a_broker_that_refuses_a_message_says_so_once(tmp_path, caplog):
    """`message_size_limit` of mosquitto is not in its CONNACK."""
    with (
        mosquitto(tmp_path, "message_size_limit 20000") as broker,
        Household(broker.port) as household,
        connected(broker) as link,
    ):
        link.send(Outgoing(TOPICS.of("response/snapshot/get"), bytes(60_000), instead=b"answer_too_large"))
        link.send(Outgoing(TOPICS.of("response/person/list"), b"{}"))
        until(lambda: turned(link).depth == 0 and household.on("response/person/list"))
        until(lambda: household.newest("response/snapshot/get") == b"answer_too_large")
        assert len(caplog.messages) == 1
        assert link.connections <= 4


@pytest.mark.parametrize("line", ["retain_available false", "max_qos 0"])
def test_a_broker_that_has_less_than_others_is_asked_for_less(tmp_path, line):
    with mosquitto(tmp_path, line) as broker, Household(broker.port) as household, connected(broker) as link:
        link.publish_state("info", b"{}")
        link.clear_state("presence")
        link.send(Outgoing(TOPICS.of("event"), b"x", token=1))
        until(lambda: turned(link).depth == 0 and household.on("event") and household.on("info"))
        until(lambda: list(link.delivered) == [1])
        assert link.connections == 1


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_two_devices_of_one_name_soon_leave_one_another_alone(broker, version, caplog):
    """Time runs 20 times as fast: in what is 20 seconds, at most five takeovers; on the present release it was 295."""
    caplog.set_level("INFO")
    scale = 20
    config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
    links = [DeviceLink(config, TOPICS, backoff=Backoff(1 / scale, 60 / scale, 60 / scale)) for _ in range(2)]
    for number, link in enumerate(links):
        link.publish_state("info", b'{"instance": "%d"}' % number)
        link.start()
        until(lambda link=link: turned(link).connected and not link._states.due and not link._out._inflight)
    began = time.monotonic()
    while time.monotonic() < began + 20 / scale:
        for link in links:
            turned(link)
        time.sleep(0.005)
    assert sum(link.connections for link in links) - 1 <= 5
    remedy = "another device is connected as 'porch': give each device its own `device` name"
    until(lambda: any(turned(link).last_error == remedy for link in links))
    lines = [line for line in caplog.messages if remedy in line]
    assert 1 <= len(lines) <= len(links)
    for link in links:
        link.stop()


def test_an_earlier_run_of_a_device_is_not_another_device(broker):
    """What the broker keeps of it is found at the first connection, and after a broker has lost what it had."""
    with connected(broker, version="3.1.1") as earlier:
        earlier.publish_state("info", b'{"instance": "1"}')
        until(lambda: turned(earlier) and not earlier._states.due and not earlier._out._inflight)
    with connected(broker, version="3.1.1") as link:
        link.publish_state("info", b'{"instance": "2"}')
        until(lambda: turned(link) and not link._states.due and not link._out._inflight)
        lose_network(link)
        until(lambda: turned(link).connections == 2)
        time.sleep(0.2)
        assert turned(link).connected
        assert not link._network.contended


def test_a_connection_that_flaps_does_not_fill_the_log(broker, caplog):
    caplog.set_level("INFO")
    with connected(broker, backoff=Backoff(0.01, 0.02, lasting_seconds=0.5)) as link:
        for number in range(1, 20):
            lose_network(link)
            until(lambda number=number: turned(link).connections == number + 1)
        assert len(caplog.messages) == 2  # that it is connected, and that it was unplugged
        until(lambda: turned(link) and "is connected and stays so" in caplog.text)
        lose_network(link)
        until(lambda: turned(link).connections == 21)
        assert len(caplog.messages) == 5


def test_a_topic_of_others_is_one_short_line_of_the_log(link, caplog):
    link.send(Outgoing("limen/answers/\x1b[31m\nJan 1 00:00:00 sshd: accepted", b""))
    link.send(Outgoing("limen/answers/" + "x" * 70_000, b""))
    first, second = caplog.messages
    assert first.startswith(
        "limen/answers/\\x1b[31m\\nJan 1 00:00:00 sshd: accepted: not sent: the topic has a control"
    )
    assert len(second) < 200


@pytest.mark.parametrize(
    ("topic", "line"),
    [
        ("limen/porch/person/anna", "limen/porch/person/..."),
        ("limen/porch/person/anna/\nberg", "limen/porch/person/..."),
        ("limen/household/home/person/anna", "limen/household/home/person/..."),
        ("limen/household/person/anna", "limen/household/person/..."),
        ("limen/porch/person/+", "limen/porch/person/+"),
        ("limen/porch/response/person/remove", "limen/porch/response/person/remove"),
    ],
)
def test_the_log_names_nobody(topic, line):
    assert loggable(topic) == line


def test_a_refused_topic_of_a_person_names_nobody_in_the_log(tmp_path, caplog):
    with mosquitto(tmp_path, "max_packet_size 2000") as broker, connected(broker) as link:
        link.publish_state("person/anna", bytes(6000))
        until(lambda: turned(link) and "limen/porch/person/...: not sent" in caplog.text)
        assert "anna" not in caplog.text


def test_the_topics_of_people_come_with_those_that_the_device_published(broker):
    """No Local may hide what the broker keeps of an earlier run: somebody was removed while there was no connection."""
    with connected(broker) as link:
        link.publish_state("person/alice", b"now")
        heard = []
        until(lambda: heard.extend(link.pending()) or heard)
        assert [(one.topic, one.payload) for one in heard] == [(TOPICS.of("person/alice"), b"now")]
        link.publish_state("info", b"{}")
        time.sleep(0.2)
        assert link.pending() == []
