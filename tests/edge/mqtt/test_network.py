"""The network thread: who calls what, what paho says is checked, and how often a connection is tried."""

import socket
import threading
import time
from functools import partial

import pytest
from paho.mqtt.client import MQTTErrorCode

from edge.api.topics import Topics
from edge.config import MqttConfig
from edge.errors import ConfigError
from edge.mqtt.backoff import Backoff
from edge.mqtt.device_link import DeviceLink
from edge.mqtt.network import Network
from edge.mqtt.outgoing import Outgoing
from tests.edge.mqtt.brokers import World, level_of, server
from tests.household import until

TOPICS = Topics("porch")
NO_CONN, QUEUE_SIZE = MQTTErrorCode.MQTT_ERR_NO_CONN, MQTTErrorCode.MQTT_ERR_QUEUE_SIZE


def soon():
    return Backoff(0.01, 0.05, lasting_seconds=60)


@pytest.fixture
def world():
    return World()


@pytest.fixture
def link(world):
    link = DeviceLink(MqttConfig(), TOPICS, share="limen/household/home/#", backoff=soon(), make_network=world.network)
    link.start()
    until(lambda: link.pending() == [] and link.connected)
    yield link
    link.stop()


def test_only_the_network_thread_calls_paho(world, link):
    """So nothing that the network does can hold the frame loop."""
    link.publish_state("info", b"{}")
    link.publish_transient("image/last", b"x")
    link.clear_state("info")
    link.clear_retained("person/x")
    link.send(Outgoing(TOPICS.of("event"), b"x"))
    link.refetch("limen/household/home/a")
    until(lambda: link.pending() == [] and link.depth == 0 and "unsubscribe" in {name for name, _ in world.calls})
    world.pahos[-1].lose()
    until(lambda: link.pending() == [] and link.connections == 2)
    link.stop()
    assert {name for name, _ in world.calls} >= {"connect", "publish", "subscribe", "unsubscribe", "disconnect"}
    threads = {thread for _, thread in world.calls}
    assert len(threads) == 1
    assert threads.pop().name == "mqtt"


def test_a_host_that_is_looked_up_for_ever_holds_nobody_up(monkeypatch):
    """Nor does one that takes the connection and never answers it: both end on the network thread."""
    looked_up, go_on, truly = [], threading.Event(), socket.getaddrinfo

    def look_up(host, *args, **options):
        if host != "broker.example":  # of somebody else in this process
            return truly(host, *args, **options)
        looked_up.append(threading.current_thread())
        go_on.wait(30)
        raise socket.gaierror("no such host")

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    link = DeviceLink(MqttConfig(host="broker.example"), TOPICS)
    link.start()
    until(lambda: looked_up)
    for _ in range(100):
        link.pending()
        link.publish_state("health", b"{}", qos=0)
        link.send(Outgoing(TOPICS.of("event"), b"x"))
    link.stop(timeout_seconds=0.1)
    assert looked_up[0].name == "mqtt"
    assert looked_up[0].is_alive()
    go_on.set()
    looked_up[0].join(10)
    assert not looked_up[0].is_alive()


@pytest.mark.parametrize("rc", [NO_CONN, QUEUE_SIZE])
def test_a_publish_that_paho_does_not_take_is_not_lost(world, link, rc):
    topic = TOPICS.of("response/person/list")
    world.rc["publish"], world.failing = rc, {topic, TOPICS.of("info")}
    link.send(Outgoing(topic, b"answer"))
    link.publish_state("info", b"{}")
    until(lambda: link.pending() == [] and len(world.published) > 4)
    assert link.depth == 1
    world.failing.clear()
    until(lambda: link.pending() == [] and link.depth == 0 and not link._states.due)
    taken = [one.topic for one in world.published if one.rc == 0]
    assert taken.count(topic) == taken.count(TOPICS.of("info")) == 1


def test_a_payload_that_paho_does_not_take_is_no_fault_of_the_connection(world, link, monkeypatch):
    def refuse(*_args, **_options):
        raise ValueError("Payload too large.")

    monkeypatch.setattr(world.pahos[-1], "publish", refuse)
    link.send(Outgoing(TOPICS.of("event"), b"x"))
    until(lambda: link.pending() == [] and link.depth == 0)
    assert link.connected
    assert link.dropped == 1


@pytest.mark.parametrize("call", ["connect", "subscribe", "unsubscribe"])
def test_a_call_that_paho_does_not_carry_out_ends_the_connection_and_it_is_made_again(world, call):
    link = DeviceLink(MqttConfig(), TOPICS, backoff=soon(), make_network=world.network)
    world.rc[call] = NO_CONN
    link.start()
    if call == "unsubscribe":
        until(lambda: link.pending() == [] and link.connected)
        link.refetch("limen/household/home/a")
    until(lambda: link.pending() == [] and link.last_error and f"{call.upper()} was not sent" in link.last_error)
    world.rc[call] = 0
    until(lambda: link.pending() == [] and link.connected)
    link.stop()


def test_a_fault_of_ours_ends_a_connection_and_not_the_thread(world, link, monkeypatch):
    def fail(*_args):
        raise RuntimeError("a fault")

    monkeypatch.setattr(world.pahos[-1], "loop_misc", fail)
    until(lambda: link.pending() == [] and link.connections == 2)


def test_what_was_queued_for_a_lost_connection_is_not_sent_over_the_next(world, link):
    """The owner did not know yet that it was lost, and decides anew when it does."""
    before = len(world.published)
    world.unacknowledged.add(TOPICS.of("event"))
    world.pahos[-1].lose()
    until(lambda: len(world.pahos) == 2 and len(world.published) > before)
    link.send(Outgoing(TOPICS.of("event"), b"x", token=1))
    time.sleep(0.1)
    assert TOPICS.of("event") not in [one.topic for one in world.published]
    until(lambda: link.pending() == [] and link.connections == 2)
    assert link.depth == 0


@pytest.mark.parametrize(
    ("connack", "expected"),
    [
        ({"MaximumQoS": 0}, {("status", 0, True), ("info", 0, True), ("event", 0, False)}),
        ({"RetainAvailable": 0}, {("status", 1, False), ("info", 1, False), ("event", 1, False)}),
        ({"MaximumPacketSize": 200}, {("status", 1, True), ("event", 1, False)}),
        ({"ReceiveMaximum": 1}, {("status", 0, True), ("info", 1, True), ("event", 1, False)}),
    ],
)
def test_nothing_is_sent_that_the_connack_forbids(world, connack, expected):
    world.connack = connack
    link = DeviceLink(MqttConfig(), TOPICS, backoff=soon(), make_network=world.network)
    link.publish_state("info", bytes(300))
    link.start()
    until(lambda: link.pending() == [] and link.connected)
    link.send(Outgoing(TOPICS.of("event"), b"x"))
    until(lambda: link.pending() == [] and link.depth == 0 and not link._states.due)
    assert {(one.topic.removeprefix("limen/porch/"), one.qos, one.retain) for one in world.published} == expected
    link.stop()


def test_filters_with_wildcards_are_not_sent_to_a_broker_that_has_none(world, caplog):
    world.connack = {"WildcardSubscriptionAvailable": 0}
    link = DeviceLink(MqttConfig(), TOPICS, ("homeassistant/status",), backoff=soon(), make_network=world.network)
    link.start()
    until(lambda: link.pending() == [] and link.connected)
    link.stop()
    assert "limen/porch/request/#: the broker does not let us hear it: the broker takes no wildcards" in caplog.text


def test_a_broker_without_mqtt_5_is_asked_once_and_then_spoken_to_in_3_1_1():
    """It says so, or hangs up, or says nothing: brokers that have no 5 do all three."""
    levels = []

    def behave(connection):
        while packet := connection.recv(1000):
            if packet[0] != 0x10:
                continue
            levels.append(level_of(packet))
            if levels[-1] == 5:
                connection.sendall(b"\x20\x02\x00\x01")
            else:
                connection.sendall(b"\x20\x02\x00\x00")
                connection.close()
                return

    with server(behave) as broker:
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS, backoff=soon())
        link.start()
        until(lambda: link.pending() == [] and link.connections >= 3)
        link.stop()
    assert levels[:4] == [5, 4, 4, 4]
    assert 5 not in levels[1:]


@pytest.mark.parametrize("silent", [False, True])
def test_both_versions_are_tried_again_where_neither_is_answered(silent, caplog):
    impatient = partial(Network, connack_seconds=0.1)
    caplog.set_level("INFO")
    levels = []

    def behave(connection):
        levels.append(level_of(connection.recv(1000)))
        if silent:
            connection.recv(1000)
        connection.close()

    with server(behave) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        link = DeviceLink(config, TOPICS, backoff=soon(), make_network=impatient)
        link.start()
        until(lambda: link.pending() == [] and len(levels) >= 6)
        assert not link.connected
        link.stop()
    assert levels[:6] == [5, 4, 5, 4, 5, 4]
    assert caplog.text.count("MQTT 3.1.1 is tried") == 1
    assert len(caplog.messages) == 2  # it was said, once each, and not at every attempt


def test_a_broker_that_closed_connections_while_it_started_is_spoken_to_in_mqtt_5(broker):
    """Something takes its port before it does, as a container's proxy may."""
    broker.stop()
    levels = []

    def behave(connection):
        levels.append(level_of(connection.recv(1000)))
        connection.close()

    link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS, backoff=soon())
    with server(behave, broker.port):
        link.start()
        until(lambda: link.pending() == [] and len(levels) >= 2)
    broker.start()
    until(lambda: link.pending() == [] and link.connected)
    assert (levels[:2], link.version_5) == ([5, 4], True)
    link.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_version_that_is_configured_is_kept(version):
    levels = []

    def behave(connection):
        levels.append(level_of(connection.recv(1000)))
        connection.close()

    with server(behave) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
        link = DeviceLink(config, TOPICS, backoff=soon())
        link.start()
        until(lambda: len(levels) >= 4)
        link.stop()
    assert set(levels) == {5 if version == "5" else 4}


def test_the_wait_grows_with_every_connection_that_does_not_last():
    """A port that accepts and closes gets an attempt a minute in the end, and not a hundred a second."""
    waits, asked = [], []

    def uniform(_low, high):
        waits.append(high)
        asked.append(threading.current_thread().name)
        return 0.0

    with server(socket.socket.close) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port, version="3.1.1")
        link = DeviceLink(config, TOPICS, backoff=Backoff(uniform=uniform))
        link.start()
        until(lambda: len(waits) >= 8)
        link.stop()
    assert waits[:8] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert set(asked) == {"mqtt"}


@pytest.mark.parametrize(
    ("reason", "expected", "wait_seconds"),
    [
        (0x8E, "another device is connected as 'porch': give each device its own `device` name", 60),
        (0x8B, "disconnected: the broker says: Server shutting down", 2),
        (0x95, "disconnected: the broker says: Packet too large", 2),
    ],
)
def test_a_broker_that_says_why_it_closes_is_understood(reason, expected, wait_seconds):
    """mosquitto says so from 2.1 on; others do."""
    waits = []

    def behave(connection):
        connection.recv(1000)
        connection.sendall(b"\x20\x03\x00\x00\x00" + b"\xe0\x02" + bytes([reason]) + b"\x00")
        connection.recv(1000)

    def uniform(_low, high):
        waits.append(high)
        return 60.0

    with server(behave) as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        link = DeviceLink(config, TOPICS, backoff=Backoff(uniform=uniform))
        link.start()
        until(lambda: waits and link.pending() == [])
        assert link.last_error == expected
        assert waits == [wait_seconds]
        link.stop()


def test_closes_that_nobody_explains_are_put_down_to_another_device_as_a_question():
    """With an ACL under which a device does not hear its own `info`, nothing shows who takes its connection over."""

    def behave(connection):
        connection.recv(1000)
        connection.sendall(b"\x20\x03\x00\x00\x00")
        time.sleep(0.05)
        connection.close()

    with server(behave) as broker:
        link = DeviceLink(MqttConfig(host="127.0.0.1", port=broker.port), TOPICS, backoff=soon())
        link.start()
        until(lambda: link.pending() == [] and "if another device is connected as 'porch'" in (link.last_error or ""))
        assert link.connections >= 3
        link.stop()


def test_a_file_that_cannot_be_used_is_said_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.crt cannot be used"):
        DeviceLink(MqttConfig(ca_file=tmp_path / "no.crt"), TOPICS)
    with pytest.raises(ConfigError, match=r"need mqtt\.ca_file"):
        DeviceLink(MqttConfig(key_file=tmp_path / "no.key"), TOPICS)
    with pytest.raises(ConfigError, match="cannot be read"):
        DeviceLink(MqttConfig(username="porch", password_file=tmp_path / "none"), TOPICS)
