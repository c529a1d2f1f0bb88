"""The device as a household meets it: a camera, a broker, and somebody who sends messages."""

import base64
import json
import threading
import time

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from skimage.data import astronaut

from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.device import Device
from edge.service import Service

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


def portrait_jpeg(**changes):
    image = astronaut()[:300, 80:380, ::-1]
    if changes.get("mirrored"):
        image = np.ascontiguousarray(image[:, ::-1])
    return base64.b64encode(cv2.imencode(".jpg", image)[1].tobytes()).decode()


class Household:
    """Somebody at the broker who asks and listens."""

    def __init__(self, port):
        self.heard = []
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = lambda _client, _userdata, message: self.heard.append(message)
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        ready = threading.Event()
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert ready.wait(10)

    def send(self, verb, payload, **options):
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        self.client.publish(f"{BASE}/request/{verb}", data, qos=1, **options)

    def ask(self, verb, payload, **options):
        """The first answer on the twin topic after asking."""
        before = len(self.on(f"response/{verb}"))
        self.send(verb, payload, **options)
        self.until(lambda: len(self.on(f"response/{verb}")) > before)
        return json.loads(self.on(f"response/{verb}")[before].payload)

    def on(self, name):
        return [message for message in list(self.heard) if message.topic == f"{BASE}/{name}"]

    def events(self):
        return [json.loads(message.payload) for message in self.on("event")]

    def until(self, condition, seconds=20.0):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"it did not happen; heard {[m.topic for m in self.heard][-5:]}"
            time.sleep(0.02)

    def next_event(self, after, **wanted):
        """The first event from there on in which these fields have these values."""

        def found():
            return [
                event for event in self.events()[after:] if all(event[key] == value for key, value in wanted.items())
            ]

        self.until(found)
        return found()[0]


@pytest.fixture
def config(broker, footage, tmp_path):
    return Config(
        device="porch",
        camera=CameraConfig("images", str(footage), fps_max=20.0),
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port, health_every_seconds=0.5),
    )


@pytest.fixture
def household(broker):
    household = Household(broker.port)
    yield household
    household.client.disconnect()
    household.client.loop_stop()


def live(config, stop):
    Service(config, Device.of(config)).run(open_source(config.camera, loop=True), stop)


@pytest.fixture
def porch(config, household):
    """The running device: footage again and again."""
    stop, failures = threading.Event(), []

    def watched():
        try:
            live(config, stop)
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=watched)
    thread.start()
    household.until(lambda: household.on("status"))
    yield config
    stop.set()
    thread.join(timeout=20)
    assert not thread.is_alive()
    assert failures == []


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
    household.until(lambda: b"Eileen" in household.on("presence")[-1].payload)
    household.until(lambda: household.on("person/eileen"))
    household.next_event(0, event_type="recognized", phase="end")
    household.until(lambda: json.loads(household.on("presence")[-1].payload)["state"] == "nobody")
    assert household.ask("person/remove", {"transaction": "a2", "name": "eileen"})["status"] == "ok"
    household.until(lambda: household.on("person/eileen")[-1].payload == b"")  # the broker forgets too
    household.until(lambda: b"Eileen" not in household.on("presence")[-1].payload)
    household.next_event(len(household.events()) + 1, event_type="unknown", phase="new")
    numbers = [event["seq"] for event in household.events()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({event["id"] for event in household.events()}) == len(numbers)


@pytest.mark.usefixtures("porch")
def test_what_is_said_of_the_device_itself(household):
    household.until(lambda: household.on("info") and household.on("gallery") and household.on("health"))
    info = json.loads(household.on("info")[-1].payload)
    assert info["embedder"]["name"] == "embedder"
    assert info["detector"]["name"] == "detector"
    assert 0 < info["tau"] < 4
    household.until(lambda: json.loads(household.on("health")[-1].payload)["fps"] > 5)
    health = json.loads(household.on("health")[-1].payload)
    assert 0 < health["ms"]["frame"]["p50"] <= health["ms"]["frame"]["p95"]
    assert health["ms"]["detect"]["p50"] > 0
    assert health["rss_mb"] > 10
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
        stop = threading.Event()
        thread = threading.Thread(
            target=lambda stop=stop: Service(config, Device.of(config)).run(open_source(config.camera, loop=True), stop)
        )
        thread.start()
        household.until(lambda: household.on("status") and household.on("status")[-1].payload == b"online")
        answer = household.ask("enroll/image", enroll)
        assert answer["data"]["templates"] == 1
        stop.set()
        thread.join(timeout=20)
        household.until(lambda: household.on("status")[-1].payload == b"offline")
    device = Device.of(config)
    assert len(device.door.gallery.templates) == 1


@pytest.mark.usefixtures("porch")
def test_with_mqtt_5_the_answer_goes_where_it_was_asked_for_if_that_is_allowed(household):
    for topic, expected in (
        ("limen/controller/answers", "limen/controller/answers"),
        ("other/place", f"{BASE}/response/person/list"),
    ):
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic, properties.CorrelationData = topic, b"\x07"
        household.heard.clear()
        household.send("person/list", {"transaction": topic}, properties=properties)
        household.until(lambda expected=expected: [message for message in household.heard if message.topic == expected])
        (answer,) = [message for message in household.heard if message.topic == expected]
        assert json.loads(answer.payload)["transaction"] == topic
        assert getattr(answer.properties, "CorrelationData", None) == (b"\x07" if topic == expected else None)


@pytest.mark.usefixtures("porch")
def test_whatever_is_asked_is_answered_with_a_code(household):
    two = np.concatenate([astronaut()[:300, 80:380, ::-1]] * 2, axis=1)
    two_faces = base64.b64encode(cv2.imencode(".jpg", two)[1].tobytes()).decode()
    nobody = base64.b64encode(cv2.imencode(".png", np.full((240, 320, 3), 90, np.uint8))[1].tobytes()).decode()
    requests = [
        ("person/list", b"{", "not_json", None),
        ("person/list", b"\xff\xff", "not_json", None),
        ("person/list", b"x" * 5_000_000, "too_large", None),
        ("person/list", {"transaction": 5}, "invalid", None),
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
