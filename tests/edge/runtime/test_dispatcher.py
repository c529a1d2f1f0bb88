"""Whatever is asked is answered, once carried out and never twice."""

import json
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from skimage.data import astronaut

from edge.capture import open_source
from edge.commands.main import main
from edge.errors import GalleryError
from edge.runtime.assembly import Device
from tests.household import Nothing, base64_of, portrait_jpeg, running, until

BASE = "limen/porch"


def answers(household, verb):
    return [json.loads(message.payload) for message in household.on(f"response/{verb}")]


def answers_to_commands(household):
    """What limen's own commands were answered, each on a topic of its own."""
    return [json.loads(message.payload) for message in household.heard if message.topic.startswith("limen/answers/to/")]


def codes(household, verb):
    return {(answer["transaction"], answer["code"]) for answer in answers(household, verb)}


def test_whoever_stands_before_the_door_is_enrolled_and_guided(porch, household):
    """A portrait that walks by is nearly the same at every look, so one shot is what there is of it."""
    household.send("enroll/start", {"transaction": "live", "name": "Eileen", "shots": 3, "timeout_seconds": 8})
    until(lambda: answers(household, "enroll/start")[-1:] and answers(household, "enroll/start")[-1]["status"] == "ok")
    said = answers(household, "enroll/start")
    assert {answer["transaction"] for answer in said} == {"live"}
    assert said[0]["data"] == {"shots": 0, "of": 3, "reason": None}
    assert [answer["status"] for answer in said] == ["progress"] * (len(said) - 1) + ["ok"]
    assert {answer["data"]["reason"] for answer in said[1:-1]} <= {None, "no_face", "too_similar", "turned_away"}
    assert 1 <= said[-1]["data"]["templates"] <= 3
    again = household.ask("enroll/start", {"transaction": "live", "name": "Eileen", "shots": 3, "timeout_seconds": 8})
    assert again == said[-1]
    assert len(porch.device.recognizer.gallery.templates) == said[-1]["data"]["templates"]
    assert household.next_event(0, event_type="recognized")["name"] == "Eileen"


def test_a_live_enrollment_is_one_at_a_time_and_can_be_cancelled(porch, household):
    start = {"transaction": "first", "name": "Eileen", "shots": 20}
    assert household.ask("enroll/start", start)["status"] == "progress"
    household.send("enroll/start", {"transaction": "second", "name": "Ann"})
    until(lambda: ("second", "enrolling") in codes(household, "enroll/start"))
    reused = {"transaction": "first", "name": "Somebody else"}
    household.send("enroll/start", reused)
    until(lambda: ("first", "transaction_reused") in codes(household, "enroll/start"))
    assert household.ask("enroll/cancel", {"transaction": "stop"})["data"] == {"name": "Eileen"}
    until(lambda: ("first", "cancelled") in codes(household, "enroll/start"))
    assert household.ask("enroll/cancel", {"transaction": "stop again"})["code"] == "not_enrolling"
    assert porch.device.recognizer.gallery.templates == []


def test_nothing_is_left_without_an_answer_when_the_device_stops(config, household):
    with running(config, lambda: open_source(config.camera, loop=True)):
        until(lambda: household.newest("status") == b"online")
        household.ask("enroll/start", {"transaction": "live", "name": "Eileen", "shots": 20})
    until(lambda: ("live", "stopped") in codes(household, "enroll/start"))


def test_many_large_requests_do_not_blind_the_door(porch, household):
    wall = base64_of(np.full((4000, 4000, 3), 90, np.uint8), ".png")
    until(lambda: porch.running.watch.count > 5)
    for number in range(3):
        household.send("recognize/image", {"transaction": f"large-{number}", "image": wall})
    until(lambda: answers(household, "recognize/image"))
    frames = porch.running.watch.count
    until(lambda: len(answers(household, "recognize/image")) == 3, 120)
    assert porch.running.watch.count - frames >= 5  # frames in between, and not all requests first


def test_the_command_guides_whoever_is_there(porch):
    broker = f"127.0.0.1:{porch.config.mqtt.port}"
    live = ["--live", "--shots", "2", "--seconds", "8"]
    done = CliRunner().invoke(main, ["enroll", "Eileen", *live, "--broker", broker, "--device", "porch"])
    assert done.exit_code == 0, done.output
    assert "0 of 2" in done.output
    assert "1 of 2" in done.output
    assert done.output.splitlines()[-1].startswith("Eileen: ")
    neither = CliRunner().invoke(main, ["enroll", "Eileen"])
    assert (neither.exit_code, neither.output[:28]) == (1, "Error: enroll takes NAME and")


@pytest.mark.usefixtures("porch")
def test_the_same_transaction_gets_the_same_answer_and_changes_nothing(household):
    enroll = {"transaction": "twice", "name": "Eileen", "images": [portrait_jpeg()]}
    first = household.ask("enroll/image", enroll)
    assert household.ask("enroll/image", enroll) == first
    people = household.ask("person/list", {"transaction": "l1"})["data"]["people"]
    assert [(person["name"], person["templates"]) for person in people] == [("Eileen", 1)]


def test_an_answer_outlives_the_device(config, household):
    enroll = {"transaction": "restart", "name": "Eileen", "images": [portrait_jpeg()]}
    for _ in range(2):
        with running(config, lambda: open_source(config.camera, loop=True)):
            until(lambda: household.newest("status") == b"online")
            answer = household.ask("enroll/image", enroll)
            assert answer["data"]["templates"] == 1
        until(lambda: household.newest("status") == b"offline")
    device = Device.open(config)
    assert len(device.recognizer.gallery.templates) == 1


@pytest.mark.usefixtures("porch")
def test_with_mqtt_5_the_answer_goes_where_it_was_asked_for_if_that_is_allowed(household):
    for topic, expected in (
        ("limen/answers/of/one", "limen/answers/of/one"),
        ("other/place", f"{BASE}/response/person/list"),
        (f"{BASE}/status", f"{BASE}/response/person/list"),  # it speaks for itself there, not for whoever asks
    ):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = topic, b"\x07"
        household.heard.clear()
        household.send("person/list", {"transaction": topic}, properties=properties)
        until(lambda expected=expected: [message for message in household.heard if message.topic == expected])
        (answer,) = [message for message in household.heard if message.topic == expected]
        assert json.loads(answer.payload)["transaction"] == topic
        assert getattr(answer.properties, "CorrelationData", None) == (b"\x07" if topic == expected else None)


@pytest.mark.usefixtures("porch", "no_collection")
def test_whatever_is_asked_is_answered_with_a_code(household):
    two_faces = base64_of(np.concatenate([astronaut()[:300, 80:380]] * 2, axis=1))
    nobody = base64_of(np.full((240, 320, 3), 90, np.uint8), ".png")
    requests = [
        ("person/list", b"{", "not_json", None),
        ("person/list", b"\xff\xff", "not_json", None),
        ("person/list", b"x" * 5_000_000, "too_large", None),
        ("person/list", {"transaction": 5}, "invalid", None),
        ("person/list", b'{"transaction": "a", "x": ' + b"[" * 100_000, "not_json", None),
        ("door/open", {"transaction": "b1"}, "unknown_verb", "b1"),
        ("person/remove", {"transaction": "b2", "name": "nobody we know"}, "no_such_person", "b2"),
        ("enroll/image", {"transaction": "b3", "name": "x", "images": [two_faces]}, "multiple_faces", "b3"),
        ("enroll/image", {"transaction": "b4", "name": "x", "images": [nobody]}, "no_face", "b4"),
        ("enroll/image", {"transaction": "b5", "name": "x", "images": [portrait_jpeg()[:400]]}, "image_broken", "b5"),
    ]
    for verb, payload, code, transaction in requests:
        answer = household.ask(verb, payload)
        assert (answer["status"], answer["code"], answer["transaction"]) == ("error", code, transaction)
        assert answer["error"]
    refused = household.ask("person/list", {"transaction": "kept"}, retain=True)
    assert (refused["code"], refused["transaction"]) == ("retained", "kept")
    household.client.publish(f"{BASE}/request/person/list", b"", retain=True)
    assert (
        household.ask("recognize/image", {"transaction": "b6", "image": portrait_jpeg()})["data"]["faces"][0]["name"]
        is None
    )


@pytest.mark.usefixtures("porch")
def test_a_verb_that_is_none_is_answered_whatever_its_topic(household):
    household.send("x" * 65_000, {"transaction": "long"})
    until(lambda: household.on("response/unknown"))
    assert json.loads(household.newest("response/unknown"))["code"] == "unknown_verb"
    household.client.publish(f"{BASE}/request", b"{}", qos=1)
    until(lambda: household.on("response"))
    assert json.loads(household.newest("response"))["code"] == "unknown_verb"


@pytest.mark.usefixtures("porch")
def test_a_transaction_is_for_one_request(household):
    assert household.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    reused = household.ask("person/remove", {"transaction": "1", "name": "Eileen"})
    assert (reused["code"], reused["transaction"]) == ("transaction_reused", "1")
    assert household.ask("person/list", {"transaction": "2"})["data"]["people"][0]["name"] == "Eileen"


@pytest.mark.usefixtures("porch")
def test_more_at_once_than_can_be_kept_is_answered_too(household):
    image = portrait_jpeg() + "A" * 3_600_000
    for number in range(8):
        household.send("recognize/image", {"transaction": f"many-{number}", "image": image})
    until(lambda: len(household.on("response/recognize/image")) == 8)
    codes = {json.loads(message.payload)["code"] for message in household.on("response/recognize/image")}
    assert codes <= {None, "not_base64", "image_broken", "busy"}  # what follows a JPEG's end is not read


def test_the_commands_ask_a_running_device(porch, household, tmp_path):
    picture = tmp_path / "eileen.png"
    cv2.imwrite(str(picture), cv2.resize(astronaut()[..., ::-1], None, fx=4, fy=4))  # larger than need be sent
    broker = f"127.0.0.1:{porch.config.mqtt.port}"

    def limen(*arguments, device="porch"):
        return CliRunner().invoke(main, [*map(str, arguments), "--broker", broker, "--device", device])

    assert limen("people").output.startswith("0 people; tau ")
    assert limen("enroll", "Eileen", picture).output == "Eileen: 1 template added\n"
    assert len(household.on("request/enroll/image")[0].payload) < 1_000_000
    assert limen("people").output.startswith("Eileen  1 template  p_")
    assert limen("forget", "eileen").output.startswith("eileen: forgotten; 1 template and 1 picture overwritten, p_")
    for again, said in (
        (limen("forget", "eileen"), "Error: no_such_person: nobody has this name"),
        (limen("people", device="Back Porch"), "Error: device 'Back Porch'"),
        (limen("enroll", "x", tmp_path / "gone.png"), "Error: there is no picture"),
    ):
        assert again.exit_code == 1
        assert again.output.startswith(said)


def test_how_things_are_is_told_also_where_the_disk_cannot_be_written(porch, household, monkeypatch):
    enroll = {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]}
    assert household.ask("enroll/image", enroll)["status"] == "ok"

    def fail(*_):
        raise GalleryError("disk full")

    monkeypatch.setattr(porch.device.store.answers, "keep", fail)
    assert household.ask("person/list", {"transaction": "2"})["data"]["people"][0]["name"] == "Eileen"
    assert household.ask("config/get", {"transaction": "3"})["data"] == {"recognition": True, "fpir": 1e-5}
    rename = {"transaction": "4", "name": "Eileen", "new_name": "Colonel"}
    assert household.ask("person/rename", rename)["code"] == "storage"
    assert household.ask("config/set", {"transaction": "5", "recognition": False})["code"] == "storage"
    monkeypatch.undo()
    assert household.ask("person/list", {"transaction": "6"})["data"]["people"][0]["name"] == "Eileen"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_live_enrollment_whose_command_is_interrupted_is_cancelled(config, household, number):
    """Or the next person who passes by would be enrolled under that name."""
    broker = f"127.0.0.1:{config.mqtt.port}"
    with running(config, Nothing) as porch:
        until(lambda: household.newest("status") == b"online")
        command = [sys.executable, "-m", "edge", "enroll", "Eileen", "--live", "--broker", broker, "--device", "porch"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until(lambda: answers_to_commands(household))
        assert porch.device.recognizer.live is not None
        process.send_signal(number)
        output, _ = process.communicate(timeout=30)
        assert process.returncode != 0
        assert b"Traceback" not in output
        until(lambda: porch.device.recognizer.live is None)
        until(lambda: "cancelled" in {answer["code"] for answer in answers_to_commands(household)})
