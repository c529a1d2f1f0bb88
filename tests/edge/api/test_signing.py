"""What a signature holds against, at a device that runs: its clock is the machine's, or is not set."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from threading import Event, Timer

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from edge.api.discovery import discovery_topic
from edge.api.signing import Signatures, key_id, sign, signature_of
from edge.commands.checks import reset_clock
from edge.commands.main import main
from edge.config import SIGNING_KEY_VARIABLE
from edge.errors import RefusedError
from edge.mqtt.controller import Controller
from edge.runtime.assembly import Device
from edge.runtime.dispatcher import decoded
from edge.system import clock
from tests.household import Nothing, portrait_jpeg, running, until

KEY, ANOTHER = b"0123456789abcdef0123456789abcdef", b"fedcba9876543210fedcba9876543210"
TOPIC = "limen/porch/request/{}"


@pytest.fixture
def config(config, tmp_path):
    """The porch, with a key."""
    (tmp_path / "key").write_bytes(KEY + b"\n")
    return replace(config, clock="trusted", mqtt=replace(config.mqtt, signing_key_file=tmp_path / "key"))


@pytest.fixture
def porch(config, household):
    with running(config, Nothing) as service:
        until(lambda: household.newest("status") == b"online")
        yield service


def signed(verb, request, key=KEY, later_ms=0, nonce=None, topic=None):
    """Whoever has the key and a clock, in a few lines of their own."""
    text, timestamp_ms, nonce = (
        json.dumps(request),
        int(time.time() * 1000) + later_ms,
        nonce or f"{time.time_ns():032d}",
    )
    signature = signature_of(key, topic or TOPIC.format(verb), text, timestamp_ms, nonce)
    return {"signed": text, "timestamp_ms": timestamp_ms, "nonce": nonce, "signature": signature}


def test_who_signs_is_served(porch, household):
    enroll = {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]}
    assert household.ask("enroll/image", signed("enroll/image", enroll))["data"]["name"] == "Eileen"
    here = Device.open(porch.config)
    (record,) = here.store.audit.records()
    here.store.close()
    assert (record.verb, record.clock_set) == ("enroll", True)
    assert record.who == f"mqtt enroll/image, signed by key {key_id(KEY)}"


def test_who_signed_gets_an_answer_with_the_transaction_from_a_device_that_stops(config, household):
    held, release = Event(), Event()

    class Late(Nothing):
        """A camera whose frame comes late."""

        def read(self, timeout_seconds):
            super().read(timeout_seconds)
            if held.is_set():
                release.wait(10)

    requests = {name: signed("person/list", {"transaction": name}, later_ms=ms) for ms, name in enumerate("abc")}
    with running(config, Late) as porch:
        until(lambda: household.newest("status") == b"online")
        held.set()
        for request in requests.values():
            household.send("person/list", request)
        until(lambda: len(porch.link._inbox) > 1)
        Timer(0.5, release.set).start()
    until(lambda: len(household.on("response/person/list")) == 3)
    answers = [json.loads(one.payload) for one in household.on("response/person/list")]
    assert {answer["transaction"] for answer in answers} == set(requests)
    assert "stopped" in {answer["code"] for answer in answers}


@pytest.mark.usefixtures("porch")
def test_who_does_not_sign_or_cannot_is_refused(household):
    good = signed("person/list", {"transaction": "1"})
    for payload, code in (
        ({"transaction": "1"}, "unsigned"),
        (b"{", "unsigned"),
        (b"", "unsigned"),
        ({key: value for key, value in good.items() if key != "nonce"}, "unsigned"),
        (good | {"nonce": "short"}, "unsigned"),
        (good | {"signature": "f" * 64}, "bad_signature"),
        (good | {"signed": json.dumps({"transaction": "1", "x": 1})}, "bad_signature"),
        (good | {"timestamp_ms": good["timestamp_ms"] + 1}, "bad_signature"),
        (good | {"nonce": "another-nonce-0123456789"}, "bad_signature"),
        (signed("person/list", {"transaction": "1"}, key=ANOTHER), "bad_signature"),
        (signed("config/get", {"transaction": "1"}), "bad_signature"),  # of another request
        (signed("person/list", {}, topic="limen/back/request/person/list"), "bad_signature"),  # to another device
        (signed("person/list", {"transaction": "1"}, later_ms=-61_000), "stale"),
        (signed("person/list", {"transaction": "1"}, later_ms=62_000), "stale"),
        (signed("person/list", {"transaction": 1}), "invalid"),
        (b"x" * 5_000_000, "too_large"),
    ):
        answer = household.ask("person/list", payload)
        assert (answer["status"], answer["code"]) == ("error", code), answer
        assert KEY.decode() not in answer["error"]
    assert (
        "at most 60 s"
        in household.ask("person/list", signed("person/list", {"transaction": "s"}, later_ms=-90_000))["error"]
    )
    assert household.ask("person/list", good)["data"]["people"] == []  # none of it spent the good one's nonce


def test_what_was_asked_before_is_not_carried_out_again_also_after_a_restart(config, household):
    enroll = signed("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})
    remove = signed("person/remove", {"transaction": "2", "name": "Eileen"}, later_ms=1)
    start = signed("enroll/start", {"transaction": "3", "name": "Ann"}, later_ms=2)
    held_back = signed("config/set", {"transaction": "4", "recognition": False})
    for attempt in range(2):
        with running(config, Nothing) as porch:
            until(lambda: household.newest("status") == b"online")
            if attempt == 0:
                answered = household.ask("enroll/image", enroll)
                assert answered["status"] == "ok"
                assert household.ask("enroll/image", enroll) == answered  # as QoS 1 may bring it twice
                forgotten = household.ask("person/remove", remove)
                assert forgotten["data"]["templates"] == 1
                assert household.ask("enroll/start", start)["status"] == "progress"
            # Another text under a nonce that was seen, by somebody who has the key and a nonce of little use.
            for spent in (remove, start):
                again = signed("person/list", {"transaction": "5"}, later_ms=3, nonce=spent["nonce"])
                assert household.ask("person/list", again)["code"] == "replayed"
            assert household.ask("config/set", held_back)["code"] == "out_of_order"
            assert household.ask("person/remove", remove) == forgotten
            # Its answer named somebody who is forgotten, and so is gone; what was asked is still not done twice.
            assert household.ask("enroll/image", enroll)["code"] == "answered_before"
            if attempt == 1:
                assert household.ask("enroll/start", start)["code"] == "stopped"
            assert porch.device.recognizer.gallery.people == {}
            assert porch.device.recognizer.recognizing
        until(lambda: household.newest("status") == b"offline")


@pytest.mark.usefixtures("porch")
def test_what_is_answered_anew_each_time_is_so_once(household):
    """No answer of it is kept that could be given again: a replay must not fetch another picture."""
    check = signed("health/check", {"transaction": "1"})
    assert household.ask("health/check", check)["data"]["clock_set"] is True
    assert household.ask("health/check", check)["code"] == "replayed"


def test_a_live_enrollment_that_a_power_cut_ended_is_not_begun_again_by_a_replay(config, household):
    start = signed("enroll/start", {"transaction": "3", "name": "Ann"})
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        assert household.ask("enroll/start", start)["status"] == "progress"
        porch.dispatcher._live.session = None  # as if the power went
    until(lambda: household.newest("status") == b"offline")
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        assert household.ask("enroll/start", start)["code"] == "replayed"
        assert porch.device.recognizer.live is None


def test_without_the_time_of_day_nothing_signed_is_carried_out_and_the_door_goes_on(config, household, monkeypatch):
    known = []
    monkeypatch.setattr(clock, "synchronized", lambda: bool(known))
    monkeypatch.setattr(clock, "ASK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(clock, "hardware_clock_agrees", lambda _now: False)
    with running(replace(config, clock="system"), Nothing) as porch:
        until(lambda: household.newest("health"))
        assert json.loads(household.newest("health"))["clock_set"] is False
        request = signed("person/list", {"transaction": "1"})
        assert household.ask("person/list", request)["code"] == "clock_not_set"
        assert porch.link.connected
        known.append("yes")
        assert household.ask("person/list", request)["status"] == "ok"
        until(lambda: json.loads(household.newest("health"))["clock_set"])


def test_the_commands_sign_with_the_key_they_have(porch, household, tmp_path, monkeypatch):
    broker = ["--broker", f"127.0.0.1:{porch.config.mqtt.port}", "--device", "porch"]
    without = CliRunner().invoke(main, ["people", *broker])
    assert without.output.startswith("Error: unsigned: this device accepts signed requests only")
    assert "limen's own commands sign where mqtt.signing_key_file is set" in without.output
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, KEY.decode())
    assert CliRunner().invoke(main, ["people", *broker]).output.startswith("0 people")
    monkeypatch.setenv(SIGNING_KEY_VARIABLE, "")
    empty = CliRunner().invoke(main, ["people", *broker])
    assert "has 0 bytes, at least 32 are wanted" in empty.output
    monkeypatch.delenv(SIGNING_KEY_VARIABLE)
    (tmp_path / "limen.toml").write_text(f'[mqtt]\nsigning_key_file = "{tmp_path}/key"\n')
    said = CliRunner().invoke(main, ["--config", str(tmp_path / "limen.toml"), "forget", "Nemo", *broker])
    assert said.output.startswith("Error: no_such_person")
    assert all(KEY not in message.payload for message in household.heard)


def test_in_mqtt_3_1_1_too(config):
    config = replace(config, mqtt=replace(config.mqtt, version="3.1.1"))
    with running(config, Nothing), Controller(config.mqtt, "porch") as controller:
        assert not controller._network.version_5
        controller.wait_until_online(10)
        assert controller.ask("person/list", {})["people"] == []
        enroll = {"name": "Eileen", "images": [portrait_jpeg() + "A" * 4_000_000]}
        with pytest.raises(RefusedError, match="too_large"):
            controller.ask("enroll/image", enroll)


@pytest.mark.usefixtures("household")
def test_a_device_without_a_key_says_that_it_cannot_check(config):
    with (
        running(replace(config, mqtt=replace(config.mqtt, signing_key_file=None)), Nothing),
        Controller(config.mqtt, "porch") as controller,
    ):
        controller.wait_until_online(10)
        with pytest.raises(RefusedError, match="no_key: this device has no key"):
            controller.ask("person/list", {})


def test_home_assistant_is_offered_nothing_that_it_would_have_to_sign(porch, household):
    topic, told = discovery_topic("homeassistant", "porch"), []
    household.client.message_callback_add(topic, lambda _client, _userdata, message: told.append(message.payload))
    household.client.subscribe(topic, qos=1)
    until(lambda: told)
    parts = json.loads(told[-1])["cmps"]
    assert parts["recognition"] == {"p": "switch"}  # which takes one away that was there
    assert parts["enroll"] == {"p": "button"}
    assert b"cmd_t" not in told[-1]
    assert parts["face"]["stat_t"] == "limen/porch/event"
    assert porch.config.mqtt.signing_key()


class Disk:
    """Nonces of a moment."""

    def seen(self, _key_id, _nonce):
        return False

    def newest_ms(self, _key_id):
        return None

    def dropped_ms(self, _key_id):
        return -1


class Noon:
    def now(self):
        return time.time()


@given(request=st.text(max_size=50), at=st.integers(0, 200), flip=st.integers(1, 127))
def test_a_payload_with_any_byte_changed_is_no_signed_request(request, at, flip):
    topic, signatures = TOPIC.format("person/list"), Signatures(KEY, Noon(), Disk())
    payload = bytearray(sign(KEY, topic, request.encode()))
    text, stamp = signatures.open(topic, json.loads(payload))
    assert text.decode() == request
    signatures.check_freshness(stamp)
    payload[at % len(payload)] ^= flip
    text = None
    with suppress(RefusedError):
        text, _ = signatures.open(topic, decoded("person/list", bytes(payload))[0])
    # A signature in capitals, or an escape written otherwise, says the same.
    assert text is None or text.decode() == request


def test_a_put_back_clock_makes_nothing_old_new_again(config):
    device = Device.open(config)
    signatures = Signatures(KEY, device.store.clock, device.store.nonces)
    topic, stamps = TOPIC.format("person/list"), []
    for number in range(3):
        payload = json.dumps(signed("person/list", {"transaction": str(number)}, later_ms=number * 40_000 - 50_000))
        stamps.append(signatures.open(topic, json.loads(payload))[1])
        signatures.consume_nonce(stamps[-1])
    codes = []
    for stamp in stamps:
        with pytest.raises(RefusedError) as refused:
            signatures.check_freshness(stamp)
        codes.append(refused.value.code)
    assert codes == ["replayed"] * 3
    another = Signatures(ANOTHER, device.store.clock, device.store.nonces)
    late = signed("person/list", {}, key=ANOTHER, later_ms=-50_000)
    another.check_freshness(another.open(topic, late)[1])  # another key begins anew
    device.store.close()


def test_after_a_clock_that_was_ahead_for_some_requests_a_reset_lets_new_ones_in_and_no_old_one(config, monkeypatch):
    """The clock of the device and of its household was 25 hours ahead."""
    topic, day, began = TOPIC.format("person/remove"), 25 * 3600, time.time()
    with Device.open(config) as device:
        signatures = Signatures(KEY, device.store.clock, device.store.nonces)

        def at(seconds):
            monkeypatch.setattr(device.store.clock, "now", lambda: began + seconds)

        def asked(seconds):
            payload = signed("person/remove", {"transaction": "1"}, later_ms=1000 * seconds)
            return signatures.open(topic, payload)[1]

        def code(stamp):
            try:
                signatures.check_freshness(stamp)
            except RefusedError as refusal:
                return refusal.code
            signatures.consume_nonce(stamp)
            return "ok"

        carried_out = []
        for seconds in (-5, day, day + 300):
            at(seconds)
            carried_out.append(asked(seconds))
            assert code(carried_out[-1]) == "ok"
        at(10)
        fresh = asked(10)
        with pytest.raises(RefusedError, match=r"signed 902\d\d.*limen doctor --reset-clock"):
            signatures.check_freshness(fresh)
        reset_clock(config)
        assert code(fresh) == "ok"
        assert [code(stamp) for stamp in (fresh, *carried_out)] == ["replayed"] * 4
        assert code(asked(5)) == "out_of_order"
        for seconds in (day, day + 300):  # when that time comes, what was carried out in it is not new
            at(seconds)
            assert code(carried_out[1 if seconds == day else 2]) == "replayed"
            assert code(asked(seconds)) == "ok"


@pytest.mark.usefixtures("porch")
def test_of_several_who_ask_at_once_each_is_served(config):
    """What was signed first may come last: it is signed again."""

    def asked(_number):
        with Controller(config.mqtt, "porch") as controller:
            return [controller.ask("config/get", {})["recognition"] for _ in range(8)]

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(asked, range(3))) == [[True] * 8] * 3
