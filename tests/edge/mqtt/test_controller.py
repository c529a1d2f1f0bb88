"""The household's side of the broker."""

import json
import threading
import time
from contextlib import contextmanager

import pytest
from paho.mqtt.client import MQTTErrorCode

from edge.config import MqttConfig
from edge.errors import BrokerError, RefusedError
from edge.mqtt.asked import Asked
from edge.mqtt.controller import ANSWERS_MAX, DEVICES_MAX, RETAINED_MAX, Controller
from edge.mqtt.reports import Message
from tests.edge.mqtt.brokers import World, level_of, mosquitto, server
from tests.household import Household, free_port, until

LONG_SECONDS = 20.0  # that a request waits for its answer
SOON_SECONDS = 5.0  # a second, on a machine that has other things to do
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


def answering(household, **fields):
    """A device that answers whatever it is asked. transaction: THIS is that of the request."""

    def answer(_client, _userdata, message):
        if "/request/" in message.topic:
            own = json.loads(message.payload)["transaction"]
            told = {"status": "ok", "data": {}, "code": None, "error": None, "transaction": "THIS"} | fields
            told["transaction"] = own if told["transaction"] == "THIS" else told["transaction"]
            household.client.publish(message.topic.replace("/request/", "/response/"), json.dumps(told), qos=1)

    household.client.on_message = answer


@pytest.fixture
def config(broker):
    return MqttConfig(host="127.0.0.1", port=broker.port)


def test_an_answer_is_known_by_its_transaction(config, household):
    answering(household, data={"people": []})
    with Controller(config, "porch") as controller:
        assert controller.ask("person/list", {}) == {"people": []}


def test_somebody_elses_answer_is_not_ours(config, household):
    answering(household, transaction="of another")
    household.client.publish("limen/porch/status", b"online", retain=True)
    with Controller(config, "porch") as controller:
        controller.wait_until_online(10)
        with pytest.raises(BrokerError, match=r"'porch' gave no answer to person/list in 0\.5 s .*; it is online"):
            controller.ask("person/list", {}, timeout_seconds=0.5)


@pytest.mark.parametrize(("transaction", "size"), [("THIS", 1), (None, 200_000)])  # null: it was not read
def test_a_refusal_has_its_code_and_reason(config, household, transaction, size):
    answering(household, status="error", code="too_large", error="5 of 4", transaction=transaction)
    with Controller(config, "porch") as controller, pytest.raises(RefusedError, match="too_large: 5 of 4") as refused:
        controller.ask("enroll/image", {"images": "A" * size})
    assert refused.value.code == "too_large"


def test_a_refusal_of_what_somebody_else_sent_is_not_ours(config, household):
    for code in ("not_json", "too_large"):
        answering(household, status="error", error="x", code=code, transaction=None)
        with Controller(config, "porch") as controller, pytest.raises(BrokerError, match="no answer"):
            controller.ask("person/list", {}, timeout_seconds=0.5)


def test_the_broker_can_be_made_to_forget_a_device(config, household):
    for name in ("status", "person/alice"):
        household.client.publish(f"limen/porch/{name}", b"x", qos=1, retain=True)
    household.client.publish("limen/back/status", b"x", qos=1, retain=True)
    with Controller(config, "porch") as controller:
        controller.clear()
    heard = []
    with Controller(config, "porch", lambda name, _payload: heard.append(name)), Controller(config, "back") as back:
        until(lambda: back._statuses.get("back") == "x")
        assert heard == []


def test_what_the_device_says_is_heard(config, household):
    heard = []
    with Controller(config, "porch", lambda name, payload: heard.append((name, payload))):
        household.client.publish("limen/porch/event", b"{}")
        household.client.publish("limen/porch/request/person/list", b"{}")
        household.client.publish("limen/porch/presence", b"nobody")
        until(lambda: len(heard) == 2)
    assert heard == [("event", b"{}"), ("presence", b"nobody")]


def test_a_broker_that_is_not_there_is_named():
    port = free_port()
    with pytest.raises(BrokerError, match=f"127.0.0.1:{port} cannot be reached"):
        Controller(MqttConfig(host="127.0.0.1", port=port), "porch")


def test_a_broker_that_says_no_is_named():
    """A refusal (5, not authorized) is not taken for a connection; this broker has MQTT 3.1.1 alone."""

    def refuse(connection):
        old = level_of(connection.recv(1000)) == 4
        connection.sendall(b"\x20\x02\x00\x05" if old else b"\x20\x02\x00\x01")
        connection.recv(1000)
        connection.close()

    with server(refuse) as broker, pytest.raises(BrokerError, match="does not let us in: Not authorized"):
        Controller(MqttConfig(host="127.0.0.1", port=broker.port), "porch")


@contextmanager
def refused_soon(match):
    """It is said by name what keeps the answer from coming, and not after the whole wait for it."""
    began = time.monotonic()
    with pytest.raises(BrokerError, match=match):
        yield
    assert time.monotonic() - began < SOON_SECONDS


@VERSIONS
def test_a_device_that_is_not_there_is_named_with_those_that_are(broker, household, version):
    for device, status in {"back": b"online", "garden": b"online", "attic": b"offline"}.items():
        household.client.publish(f"limen/{device}/status", status, qos=1, retain=True)
    config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
    with (
        Controller(config, "porhc") as controller,
        refused_soon(
            "'porhc' was never seen at this broker: another name, or this user may not hear it; "
            "online are back, garden$"
        ),
    ):
        controller.ask("person/list", {}, LONG_SECONDS)


@VERSIONS
def test_a_device_that_is_offline_is_named(broker, household, version):
    household.client.publish("limen/porch/status", b"offline", qos=1, retain=True)
    config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
    with Controller(config, "porch") as controller, refused_soon("'porch' is offline: it is not running, or"):
        controller.ask("person/list", {}, LONG_SECONDS)


def test_a_device_that_goes_offline_meanwhile_is_named(config, household):
    household.client.publish("limen/porch/status", b"online", qos=1, retain=True)
    threading.Timer(1.0, household.client.publish, ("limen/porch/status", b"offline", 1)).start()
    with Controller(config, "porch") as controller, refused_soon("'porch' is offline"):
        controller.ask("enroll/start", {}, LONG_SECONDS)


def test_a_request_that_nobody_hears_is_said_to_be_unheard(broker, config):
    with Household(broker.port) as household:
        household.client.publish("limen/porch/status", b"online", qos=1, retain=True).wait_for_publish(10)
        household.client.unsubscribe("limen/#")
        with Controller(config, "porch") as controller, refused_soon("nobody at .* hears requests to device 'porch'"):
            controller.wait_until_online(10)
            controller.ask("person/list", {}, LONG_SECONDS)


def test_a_request_that_is_not_let_through_is_said_to_be(tmp_path):
    (tmp_path / "acl").write_text("topic read limen/#\n")
    with mosquitto(tmp_path, f"acl_file {tmp_path}/acl") as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port)
        with (
            Controller(config, "porch") as controller,
            refused_soon("does not take limen/porch/request/person/list from a user without a name: Not authorized"),
        ):
            controller.ask("person/list", {}, LONG_SECONDS)


@VERSIONS
def test_a_request_that_is_too_large_for_the_broker_is_said_to_be(tmp_path, version):
    known = "the request has 3002[0-9]{2} bytes; the broker .* takes 20000"
    guessed = "the broker closed the connection; it may not take the 3000[0-9]{2} bytes of the request"
    with mosquitto(tmp_path, "max_packet_size 20000") as broker:
        config = MqttConfig(host="127.0.0.1", port=broker.port, version=version)
        with Controller(config, "porch") as controller, refused_soon(known if version == "5" else guessed):
            controller.ask("enroll/image", {"images": "A" * 300_000}, LONG_SECONDS)


def test_a_connection_that_ends_meanwhile_is_said_to_have_ended(broker, config, household):
    household.client.publish("limen/porch/status", b"online", qos=1, retain=True)
    threading.Timer(1.0, broker.stop).start()
    with Controller(config, "porch") as controller, refused_soon("the broker .*: disconnected: the broker closed"):
        controller.ask("person/list", {}, LONG_SECONDS)


def test_a_subscription_that_is_refused_is_said_to_be(config, monkeypatch):
    world = World()
    world.suback = "Not authorized"
    monkeypatch.setattr("edge.mqtt.controller.Network", world.network)
    with refused_soon("does not let us in: limen/porch/response/#: Not authorized"):
        Controller(config, "porch")


def test_a_request_that_paho_does_not_take_is_said_to_be(config, monkeypatch):
    world = World()
    world.rc["publish"], world.failing = MQTTErrorCode.MQTT_ERR_QUEUE_SIZE, {"limen/porch/request/person/list"}
    monkeypatch.setattr("edge.mqtt.controller.Network", world.network)
    with Controller(config, "porch") as controller, refused_soon("Message queue full|queue"):
        controller.ask("person/list", {}, LONG_SECONDS)


def test_what_is_heard_is_bounded(config):
    with Controller(config, "porch") as controller:
        answer = b'{"status": "ok", "data": {}, "code": null, "error": null, "transaction": "x"}'
        for number in range(RETAINED_MAX + 1000):
            controller._receive(Message(f"limen/porch/person/{number}", b"x", retain=True))
            controller._receive(Message(f"limen/d{number}/status", b"online" * 1000, retain=True))
            controller._receive(Message(f"limen/porch/response/v{number}", answer))
        assert len(controller._retained) == RETAINED_MAX
        assert len(controller._statuses) == DEVICES_MAX
        assert max(map(len, controller._statuses.values())) <= 100
        assert not controller._answers  # nothing was asked


def test_of_answers_only_those_to_what_is_asked_are_kept(config):
    asked = Asked("v", "t", "limen/porch/request/v", b"{}")
    with Controller(config, "porch") as controller:
        controller._asked = asked
        for transaction in ("of another", "t"):
            answer = json.dumps(
                {"status": "progress", "data": {}, "code": None, "error": None, "transaction": transaction}
            )
            for _ in range(ANSWERS_MAX + 10):
                controller._receive(Message("limen/porch/response/v", answer.encode()))
            assert len(controller._answers) == (ANSWERS_MAX if transaction == "t" else 0)


def test_nothing_of_an_answer_is_kept_after_it_was_given(config, household):
    answering(household, data={"people": []})
    with Controller(config, "porch") as controller:
        controller.ask("person/list", {})
        assert not controller._answers
        assert not controller._receipts
