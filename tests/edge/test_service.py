"""The device as a household meets it: a camera, a broker, and somebody who sends messages."""

import json
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from skimage.data import astronaut

from edge.capture import open_source
from edge.cli import main
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.core.types import EnrollImages, Frame, RemovePerson
from edge.demo.scene import Pose, with_person
from edge.demo.scene import porch as porch_without_people
from edge.device import Device
from edge.inference.detector import Detector
from edge.mqtt.discovery import discovery_topic
from tests.household import base64_of, running, until

BASE = "limen/porch"


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    """Somebody walks slowly through a hall, and then the hall is empty for a while."""
    folder = tmp_path_factory.mktemp("footage")
    portrait = cv2.resize(astronaut(), (360, 360), interpolation=cv2.INTER_AREA)
    for number in range(65):
        frame = np.full((480, 640, 3), (120, 110, 100), dtype=np.uint8)
        if number < 25:
            left = 20 + 8 * number
            frame[100:460, left : left + 360] = portrait
        cv2.imwrite(str(folder / f"{number:03d}.jpg"), frame[..., ::-1])
    return folder


def portrait_jpeg():
    return base64_of(astronaut()[:300, 80:380])


@pytest.fixture
def config(broker, footage, tmp_path):
    return Config(
        device="porch",
        camera=CameraConfig("images", str(footage), fps_max=20.0),
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port, health_every_seconds=0.5),
    )


@pytest.fixture
def porch(config, household):
    """The running device: footage again and again."""
    with running(config, lambda: open_source(config.camera, loop=True)) as service:
        until(lambda: household.on("status"))
        yield service


@pytest.mark.usefixtures("porch")
def test_a_stranger_is_enrolled_by_one_message_recognized_and_forgotten(household):
    first = household.next_event(0, event_type="unknown", phase="new")
    assert first["name"] is None
    reply = household.ask("enroll/image", {"transaction": "a1", "name": "Eileen", "images": [portrait_jpeg()]})
    assert reply["status"] == "ok", reply
    assert reply["transaction"] == "a1"
    seen = household.next_event(len(household.events()), event_type="recognized", phase="new")
    assert seen["name"] == "Eileen"
    assert seen["distance"] < seen["tau"]
    assert seen["faces_in_frame"] == 1
    until(lambda: b"Eileen" in household.on("presence")[-1].payload)
    until(lambda: household.on("person/eileen"))
    household.next_event(0, event_type="recognized", phase="end")
    until(lambda: json.loads(household.on("presence")[-1].payload)["state"] == "nobody")
    assert household.ask("person/remove", {"transaction": "a2", "name": "eileen"})["status"] == "ok"
    until(lambda: household.on("person/eileen")[-1].payload == b"")  # the broker forgets too
    until(lambda: b"Eileen" not in household.on("presence")[-1].payload)
    household.next_event(len(household.events()) + 1, event_type="unknown", phase="new")
    numbers = [event["seq"] for event in household.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({event["id"] for event in household.events()}) == len(numbers)


def answers(household, verb):
    return [json.loads(message.payload) for message in household.on(f"response/{verb}")]


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
    assert len(porch.device.door.gallery.templates) == said[-1]["data"]["templates"]
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
    assert porch.device.door.gallery.templates == []


def test_nothing_is_left_without_an_answer_when_the_device_stops(config, household):
    with running(config, lambda: open_source(config.camera, loop=True)):
        until(lambda: household.newest("status") == b"online")
        household.ask("enroll/start", {"transaction": "live", "name": "Eileen", "shots": 20})
    until(lambda: ("live", "stopped") in codes(household, "enroll/start"))


def test_many_large_requests_do_not_blind_the_door(porch, household):
    wall = base64_of(np.full((4000, 4000, 3), 90, np.uint8), ".png")
    until(lambda: porch.watch.count > 5)
    for number in range(20):
        household.send("recognize/image", {"transaction": f"large-{number}", "image": wall})
    until(lambda: answers(household, "recognize/image"))
    frames = porch.watch.count
    until(lambda: len(answers(household, "recognize/image")) == 20)
    assert porch.watch.count - frames >= 5  # frames in between, and not all requests first


def test_whoever_is_renamed_while_they_are_there_is_not_somebody_unknown(porch, household):
    household.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})
    until(lambda: b'"state":"Eileen"' in household.newest("presence"))
    before = len(household.on("presence"))
    household.ask("person/rename", {"transaction": "2", "name": "Eileen", "new_name": "Colonel"})
    until(lambda: b'"state":"Colonel"' in household.newest("presence"))
    assert not any(b"unknown" in message.payload for message in household.on("presence")[before:])
    assert porch.device.door.gallery.find("colonel")


@pytest.mark.usefixtures("porch")
def test_what_others_write_under_our_people_is_erased_and_not_kept(porch, household):
    for number in range(20):
        household.client.publish(f"{BASE}/person/nobody-{number}", b"x", qos=1, retain=True)
    until(lambda: all(household.newest(f"person/nobody-{number}") == b"" for number in range(20)))
    assert not any("nobody-" in topic for topic in porch.link._states)


def test_the_command_guides_whoever_is_there(porch):
    broker = f"127.0.0.1:{porch.config.mqtt.port}"
    live = ["--live", "--shots", "2", "--seconds", "8"]
    done = CliRunner().invoke(main, ["enroll", "Eileen", *live, "--broker", broker, "--device", "porch"])
    assert done.exit_code == 0, done.output
    assert "0 of 2" in done.output
    assert "1 of 2" in done.output
    assert done.output.splitlines()[-1].startswith("Eileen: ")
    neither = CliRunner().invoke(main, ["enroll", "Eileen"])
    assert (neither.exit_code, neither.output[:28]) == (1, "Error: enroll takes PICTURES")


@pytest.mark.usefixtures("porch")
def test_what_is_said_of_the_device_itself(household):
    until(lambda: household.on("info") and household.on("gallery") and household.on("health"))
    info = json.loads(household.on("info")[-1].payload)
    assert info["embedder"]["name"] == "embedder"
    assert info["detector"]["name"] == "detector"
    assert 0 < info["tau"] < 4
    assert info["runtime"] in {"ai_edge_litert", "tflite_runtime"}
    until(lambda: json.loads(household.on("health")[-1].payload)["fps"] > 5)
    health = json.loads(household.on("health")[-1].payload)
    assert 0 < health["ms"]["frame"]["p50"] <= health["ms"]["frame"]["p95"]
    assert health["ms"]["detect"]["p50"] > 0
    assert health["rss_mb"] > 10
    assert health["camera_ok"] is True
    assert health["temp_c"] is None or health["temp_c"] > 0
    assert json.loads(household.on("gallery")[-1].payload)["people"] == []


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
    device = Device.of(config)
    assert len(device.door.gallery.templates) == 1


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


@pytest.mark.usefixtures("porch")
def test_whatever_is_asked_is_answered_with_a_code(household):
    two_faces = base64_of(np.concatenate([astronaut()[:300, 80:380]] * 2, axis=1))
    nobody = base64_of(np.full((240, 320, 3), 90, np.uint8), ".png")
    requests = [
        ("person/list", b"{", "not_json", None),
        ("person/list", b"\xff\xff", "not_json", None),
        ("person/list", b"x" * 5_000_000, "too_large", None),
        ("person/list", {"transaction": 5}, "invalid", None),
        ("person/list", b'{"transaction": "a", "x": ' + b"[" * 100_000, "invalid", None),
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
    assert codes <= {"not_base64", "image_broken", "busy"}


def test_who_was_forgotten_on_the_disk_is_forgotten_by_the_broker_too(config, household):
    """By a command on the device while it runs, and while it does not."""
    for running_meanwhile in (True, False):
        transaction = f"enroll-{running_meanwhile}"
        with running(config, lambda: open_source(config.camera, loop=True)):
            until(lambda: household.newest("status") == b"online")
            enroll = {"transaction": transaction, "name": "Eileen", "images": [portrait_jpeg()]}
            assert household.ask("enroll/image", enroll)["status"] == "ok"
            until(lambda: household.newest("person/eileen"))
            if running_meanwhile:
                forget_on_disk(config)
                until(lambda: household.newest("person/eileen") == b"")
                until(lambda: b"Eileen" not in household.newest("presence"))
        until(lambda: household.newest("status") == b"offline")
    forget_on_disk(config)
    assert household.newest("person/eileen")
    with running(config, lambda: open_source(config.camera, loop=True)):
        until(lambda: household.newest("person/eileen") == b"")


def forget_on_disk(config):
    device = Device.of(config)
    assert device.door.handle(RemovePerson("Eileen")).ok
    device.store.close()


def test_the_commands_ask_a_running_device(porch, household, tmp_path):
    picture = tmp_path / "eileen.png"
    cv2.imwrite(str(picture), cv2.resize(astronaut()[..., ::-1], None, fx=4, fy=4))  # larger than need be sent
    broker = f"127.0.0.1:{porch.config.mqtt.port}"

    def limen(*arguments, device="porch"):
        return CliRunner().invoke(main, [*map(str, arguments), "--broker", broker, "--device", device])

    assert limen("people").output.startswith("0 people; tau ")
    assert limen("enroll", "Eileen", picture).output == "Eileen: 1 template(s) added\n"
    assert len(household.on("request/enroll/image")[0].payload) < 1_000_000
    assert limen("people").output.startswith("Eileen  1 template(s)  p_")
    assert limen("forget", "eileen").output == "Eileen: forgotten\n"
    for again, said in (
        (limen("forget", "eileen"), "Error: no_such_person: nobody is called eileen"),
        (limen("people", device="Back Porch"), "Error: device 'Back Porch'"),
        (limen("enroll", "x", tmp_path / "gone.png"), "Error: there is no picture"),
    ):
        assert again.exit_code == 1
        assert again.output.startswith(said)


def test_who_is_enrolled_on_the_devices_own_disk_is_known_at_once(porch, household):
    first = household.next_event(0, event_type="unknown", phase="new")
    assert first["runner_up"] is None
    elsewhere = Device.of(porch.config)  # as `limen enroll` on the device does
    assert elsewhere.door.handle(EnrollImages("Eileen", [astronaut()[:300, 80:380]])).ok
    elsewhere.store.close()
    until(lambda: b"Eileen" in household.newest("gallery"))
    assert household.next_event(1, event_type="recognized", phase="new")["name"] == "Eileen"


class Stalling:
    """A camera that gives the frames it has and then none, without ending."""

    def __init__(self, frames):
        self.ended, self.dropped = False, 0
        self._frames = list(frames)

    def read(self, timeout_seconds):
        time.sleep(min(timeout_seconds, 0.02))
        return self._frames.pop(0) if self._frames else None

    def close(self):
        self.ended = True


def test_whoever_was_there_when_the_camera_stalled_is_not_there_for_ever(config, household, monkeypatch):
    monkeypatch.setattr("edge.service.CAMERA_SILENT_SECONDS", 1.0)
    somebody = with_person(porch_without_people(), 0, Pose(0.5, 0.4, 120.0))
    source = Stalling(Frame(somebody, number / 10) for number in range(10))
    with running(config, lambda: source):
        household.next_event(0, event_type="unknown", phase="new")
        household.next_event(0, event_type="unknown", phase="end")
        until(lambda: json.loads(household.newest("presence"))["state"] == "nobody")
        until(lambda: json.loads(household.newest("health"))["camera_ok"] is False)


def test_home_assistant_is_told_of_the_device_and_again_when_it_starts(porch, household):
    topic = discovery_topic("homeassistant", "porch")
    told = []
    household.client.message_callback_add(topic, lambda _client, _userdata, message: told.append(message.payload))
    household.client.subscribe(topic, qos=1)
    until(lambda: told)
    assert "seen_eileen" not in json.loads(told[-1])["cmps"]
    household.client.publish("homeassistant/status", b"online", qos=1)
    until(lambda: len(told) == 2)
    assert told[0] == told[1]
    assert household.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    until(lambda: json.loads(told[-1])["cmps"].get("seen_eileen", {}).get("name") == "Eileen last seen")
    assert household.ask("person/remove", {"transaction": "2", "name": "Eileen"})["status"] == "ok"
    until(lambda: json.loads(told[-1])["cmps"]["seen_eileen"] == {"p": "sensor"})
    assert household.ask("enroll/image", {"transaction": "3", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    until(lambda: json.loads(told[-1])["cmps"]["seen_eileen"].get("name"))
    assert porch.config.home_assistant.discovery


def test_recognition_is_switched_off_and_stays_off_over_a_restart(config, household):
    config = replace(config, mqtt=replace(config.mqtt, image_last=True))
    with running(config, lambda: open_source(config.camera, loop=True)):
        first = household.next_event(0, event_type="unknown", phase="new")
        until(lambda: household.on("image/last"))
        assert Detector().detect(cv2.imdecode(np.frombuffer(household.newest("image/last"), np.uint8), 1)[..., ::-1])
        assert len(household.newest("image/last")) <= 64 * 1024
        off = household.ask("config/set", {"transaction": "off", "recognition": False})
        assert off["data"] == {"recognition": False}
        household.next_event(0, event_type="unknown", phase="end", track=first["track"])
        until(lambda: json.loads(household.newest("config")) == {"recognition": False})
        until(lambda: json.loads(household.newest("presence"))["state"] == "nobody")
    until(lambda: household.newest("status") == b"offline")
    before = len(household.events())
    with running(config, lambda: open_source(config.camera, loop=True)):
        until(lambda: household.newest("status") == b"online")
        assert household.ask("config/get", {"transaction": "get"})["data"] == {"recognition": False}
        time.sleep(2)  # the footage shows somebody within it
        assert len(household.events()) == before
        assert household.ask("config/set", {"transaction": "on", "recognition": True})["data"] == {"recognition": True}
        household.next_event(before, event_type="unknown", phase="new")
