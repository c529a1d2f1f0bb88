"""The household's side of the broker."""

import socket
import threading

import pytest

from edge.config import MqttConfig
from edge.errors import BrokerError, RefusedError
from edge.mqtt.controller import Controller
from tests.household import free_port, until


def answering(household, payload):
    """A device that answers whatever it is asked."""

    def answer(_client, _userdata, message):
        if "/request/" in message.topic:
            transaction = message.payload.split(b'"transaction":"')[1].split(b'"')[0]
            household.client.publish(
                message.topic.replace("/request/", "/response/"), payload.replace(b"THIS", transaction), qos=1
            )

    household.client.on_message = answer


@pytest.fixture
def config(broker):
    return MqttConfig(host="127.0.0.1", port=broker.port)


def test_an_answer_is_known_by_its_transaction(config, household):
    answering(household, b'{"status": "ok", "data": {"people": []}, "transaction": "THIS"}')
    with Controller(config, "porch") as controller:
        assert controller.ask("person/list", {}) == {"people": []}


def test_somebody_elses_answer_is_not_ours(config, household):
    answering(household, b'{"status": "ok", "transaction": "of another"}')
    household.client.publish("limen/porch/status", b"online", retain=True)
    with Controller(config, "porch") as controller:
        controller.wait_until_online(10)
        with pytest.raises(BrokerError, match=r"'porch' gave no answer to person/list in 0\.5 s .*; it is online"):
            controller.ask("person/list", {}, timeout_seconds=0.5)


@pytest.mark.parametrize(("transaction", "size"), [(b'"THIS"', 1), (b"null", 200_000)])  # null: it was not read
def test_a_refusal_has_its_code_and_reason(config, household, transaction, size):
    answering(
        household, b'{"status": "error", "code": "too_large", "error": "5 of 4", "transaction": %s}' % transaction
    )
    with Controller(config, "porch") as controller, pytest.raises(RefusedError, match="too_large: 5 of 4") as refused:
        controller.ask("enroll/image", {"images": "A" * size})
    assert refused.value.code == "too_large"


def test_a_refusal_of_what_somebody_else_sent_is_not_ours(config, household):
    for answer in (b'"not_json", "transaction": null', b'"too_large", "transaction": null'):
        answering(household, b'{"status": "error", "error": "x", "code": %s}' % answer)
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
        until(lambda: back._status == "x")
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
    """A refusal (5, not authorized) is not taken for a connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse():
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"\x20\x02\x00\x05")
            connection.recv(1000)
            connection.close()

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(BrokerError, match="does not let us in: Not authorized"):
            Controller(MqttConfig(host="127.0.0.1", port=server.getsockname()[1]), "porch")
