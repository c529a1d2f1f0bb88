"""While pictures are read apart: frames and others go on, every request is answered once, and nobody comes back."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from edge.api.signing import sign
from edge.core.types import Frame
from edge.mqtt.reports import Message
from edge.runtime.assembly import Device
from tests.faults.porch import Porch, face, picture
from tests.household import until

KEY = "k" * 32


class Door:
    """A device whose worker stands still until it is let go, and those who ask it."""

    def __init__(self, folder):
        self.porch = Porch(folder)

    @property
    def service(self):
        return self.porch.service

    @property
    def worker(self):
        return self.service.running.worker

    def ask(self, asker, verb, transaction, *, key=None, **fields):
        topic = f"limen/porch/request/{verb}"
        payload = json.dumps({"transaction": transaction, **fields}).encode()
        self.put(asker, topic, payload if key is None else sign(key.encode(), topic, payload))

    def put(self, asker, topic, payload):
        answer_to = None if asker is None else f"limen/answers/{asker}/1"
        self.service.link.receive(Message(topic, payload, False, answer_to, b"\x07"))

    def answers(self):
        """What was answered since: who, transaction, and code or data."""
        self.service.process_requests()
        sent = [(message.topic, json.loads(message.payload)) for message in self.service.link._waiting]
        self.service.link._waiting.clear()
        return [(topic.split("/")[-2], one["transaction"], one["code"] or one["data"]) for topic, one in sent]

    def answered(self, count):
        found = []
        until(lambda: len(found) >= count or (found.extend(self.answers()) or len(found) >= count))
        return found

    def hold(self):
        """Have the worker stand still."""
        self.ask("first", "recognize/image", "warm", image=picture(3))
        self.answered(1)
        os.kill(self.worker._process.pid, signal.SIGSTOP)

    def release(self):
        os.kill(self.worker._process.pid, signal.SIGCONT)

    def people(self):
        return [person.name for person in self.service.device.recognizer.gallery.people.values()]


@pytest.fixture
def door(tmp_path):
    made = Door(tmp_path)
    yield made
    made.porch.close()


def test_frames_and_others_go_on_while_a_picture_is_read(door):
    door.hold()
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.ask("one", "person/list", "l1")
    door.ask("two", "recognize/image", "r2", image=picture(0))
    door.ask("three", "person/list", "l3")
    door.ask(None, "config/get", "c4")
    assert [who for who, *_ in door.answers()] == ["three", "config"]
    for number in range(10):
        door.service._process(Frame(np.zeros((240, 320, 3), np.uint8), number / 10))
        assert door.answers() == []
    assert door.service.running.watch.count == 10
    door.release()
    enrolled, listed, recognized = door.answered(3)
    assert enrolled[:2] == ("one", "e1")
    assert listed[:2] == ("one", "l1")
    assert [person["name"] for person in listed[2]["people"]] == ["Anna"]  # nobody overtakes themselves
    assert recognized[:2] == ("two", "r2")
    assert recognized[2]["faces"][0]["name"] == "Anna"


@pytest.mark.parametrize("by", ["a request", "another process", "another name"])
def test_whoever_is_removed_meanwhile_does_not_come_back(door, by):
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.answered(1)
    door.hold()
    door.ask("one", "enroll/image", "e2", name="ANNA", images=[picture(1)], force=True)
    door.ask("three", "enroll/image", "e3", name="anna", images=[picture(2)])  # waits
    door.answers()
    if by == "a request":
        door.ask("two", "person/remove", "r", name="Anna")
        assert door.answers()[0][2]["templates"] == 1
    elif by == "another process":
        with Device.open(door.porch.config) as other:
            other.recognizer.people.remove("Anna")
    else:
        door.ask("two", "person/rename", "r", name="Anna", new_name="Anne")
        door.answers()
    door.release()
    answers = door.answered(2)
    if by == "another name":  # as if the enrollments had come after it
        assert answers[0][2]["templates"] == 1
        assert answers[1] == ("three", "e3", "different_person")
        assert door.people() == ["Anne", "ANNA"]
        return
    assert answers == [("one", "e2", "cancelled"), ("three", "e3", "cancelled")]
    assert door.people() == []
    kept = door.service.device.store.answers.given("e2")[1]
    assert b"cancelled" in kept
    assert b"anna" not in kept.lower()
    door.ask("one", "enroll/image", "e4", name="Anna", images=[picture(0)])
    assert door.answered(1)[0][2]["templates"] == 1


@pytest.mark.parametrize("named", ["before", "meanwhile"])
def test_whoever_got_another_name_before_the_removal_does_not_come_back(door, named):
    if named == "before":
        door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
        door.answered(1)
    door.hold()
    door.ask("one", "enroll/image", "e2", name="ANNA", images=[picture(1)], force=True)
    door.ask("three", "enroll/image", "e3", name="anna", images=[picture(2)], force=True)  # waits
    door.answers()
    if named == "meanwhile":
        with Device.open(door.porch.config) as other:
            other.store.add("Anna", [np.eye(1, 128, dtype=np.float32)[0]], [np.zeros((112, 112, 3), np.uint8)])
        door.answers()
    for transaction, verb, fields in (
        ("n", "person/rename", {"name": "Anna", "new_name": "Berta"}),
        ("m", "person/rename", {"name": "Berta", "new_name": "Clara"}),
        ("r", "person/remove", {"name": "Clara"}),
    ):
        door.ask("two", verb, transaction, **fields)
    assert [transaction for _, transaction, _ in door.answers()] == ["n", "m", "r"]
    door.ask("four", "enroll/image", "e4", name="Anna", images=[picture(0)])  # after it: somebody new
    door.release()
    answers = {transaction: said for _, transaction, said in door.answered(3)}
    assert (answers["e2"], answers["e3"], answers["e4"]["templates"]) == ("cancelled", "cancelled", 1)
    assert door.people() == ["Anna"]


@pytest.mark.parametrize("by", ["a request", "another process", "another name", "expiry", "a conflict"])
def test_whoever_is_removed_during_a_live_enrollment_does_not_come_back(door, by):
    device = door.service.device
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.answered(1)
    door.ask("three", "enroll/start", "l", name="Berta" if by == "a conflict" else "anna", shots=2)
    assert door.answers()[0][2]["shots"] == 0
    for number in range(10):
        door.service._process(Frame(face(0), float(number)))
    if by == "a conflict":  # it names her, and is not told yet
        assert device.recognizer.live is None
    else:
        assert device.recognizer.live.samples
        door.answers()
    if by == "a request":
        door.ask("two", "person/remove", "r", name="Anna")
    elif by == "another name":
        door.ask("two", "person/rename", "n", name="Anna", new_name="Clara")
        door.ask("two", "person/remove", "r", name="Clara")
    elif by == "expiry":
        with device.store.transaction():
            device.recognizer.people.set("Anna", expires=1.0)
            device.recognizer.people.expire(2.0, 0.0)
        door.service._publish_people()
    else:
        with Device.open(door.porch.config) as other:
            other.recognizer.people.remove("Anna")
    assert ("three", "l", "cancelled") in door.answers()
    assert device.recognizer.live is None
    assert door.people() == []
    assert b"anna" not in device.store.answers.given("l")[1].lower()


def test_a_live_enrollment_goes_on_where_somebody_else_is_removed(door):
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.answered(1)
    door.ask("three", "enroll/start", "l", name="Berta")
    door.ask("two", "person/remove", "r", name="Anna")
    assert [one[1] for one in door.answers()] == ["l", "r"]
    assert door.service.device.recognizer.live.name == "Berta"


def test_frames_and_others_go_on_while_the_gallery_is_rebuilt(door, monkeypatch):
    monkeypatch.setattr("edge.runtime.handlers.gallery.CROPS_AT_ONCE", 1)
    door.ask("one", "gallery/rebuild", "r0")
    assert door.answers() == [("one", "r0", {"templates": 0, "without_picture": 0})]
    for number, name in enumerate(("Anna", "Boris", "Clara")):
        door.ask("one", "enroll/image", f"e{number}", name=name, images=[picture(number)])
    door.answered(3)
    device = door.service.device
    before = {one.template_id: one.embedding for one in device.recognizer.gallery.templates}
    device.store.execute("UPDATE template SET model = 'of before', embedding = x'00000000'")
    device.recognizer.reload()
    assert device.recognizer.gallery.templates == []
    door.hold()
    door.ask("one", "gallery/rebuild", "r1")
    door.ask("two", "person/remove", "x1", name="Boris")
    door.ask("three", "person/list", "l1")
    assert [transaction for _, transaction, _ in door.answers()] == ["x1", "l1"]
    door.service._process(Frame(np.zeros((240, 320, 3), np.uint8), 0.0))
    door.release()
    assert door.answered(1) == [("one", "r1", {"templates": 2, "without_picture": 0})]
    after = {one.template_id: one.embedding for one in device.recognizer.gallery.templates}
    assert len(after) == 2
    for template_id, embedding in after.items():
        np.testing.assert_allclose(embedding, before[template_id], atol=1e-4)
    assert door.people() == ["Anna", "Clara"]


def test_a_picture_that_cannot_be_read_is_left_out_of_a_rebuilt_gallery(door, caplog):
    for number, name in enumerate(("Anna", "Boris", "Clara")):
        door.ask("one", "enroll/image", f"e{number}", name=name, images=[picture(number)])
    door.answered(3)
    store = door.service.device.store
    bad, crop = store.row("SELECT id, crop FROM template ORDER BY added LIMIT 1")
    store.execute("UPDATE template SET crop = ? WHERE id = ?", (crop[:60] + bytes(200) + crop[260:], bad))
    store.execute("UPDATE template SET model = 'of before', embedding = x'00000000'")
    door.service.device.recognizer.reload()
    door.ask("one", "gallery/rebuild", "r1")
    assert door.answered(1) == [("one", "r1", {"templates": 2, "without_picture": 1})]
    assert len(door.service.device.recognizer.gallery.templates) == 2
    assert f"the picture of template {bad} cannot be read" in caplog.text


def test_a_gallery_that_cannot_be_read_is_not_rebuilt_and_the_next_request_is_carried_out(door):
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.answered(1)
    device = door.service.device
    device.store.execute("ALTER TABLE template RENAME TO elsewhere")
    door.ask("one", "gallery/rebuild", "r1")
    assert door.answers() == [("one", "r1", "storage")]
    device.store.execute("ALTER TABLE elsewhere RENAME TO template")
    door.ask("one", "recognize/image", "i1", image=picture(0))
    assert door.answered(1)[0][2]["faces"][0]["name"] == "Anna"


def test_a_request_that_comes_again_meanwhile_is_carried_out_once_and_answered_each_time(door):
    door.hold()
    for asker in ("one", "two", "one"):
        door.ask(asker, "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.ask("three", "enroll/image", "e1", name="Boris", images=[picture(1)])
    assert door.answers() == []
    door.release()
    answers = door.answered(4)
    assert sorted(who for who, _, data in answers if data != "transaction_reused") == ["one", "one", "two"]
    assert ("three", "e1", "transaction_reused") in answers
    assert len(door.service.device.recognizer.gallery.templates) == 1
    assert door.people() == ["Anna"]


def test_a_transaction_is_for_one_request_while_its_pictures_are_read_too(door):
    door.hold()
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.ask("two", "person/remove", "e1", name="Anna")
    assert door.answers() == [("two", "e1", "transaction_reused")]
    door.release()
    assert door.answered(1)[0][2]["templates"] == 1


def test_nothing_is_left_without_an_answer_at_the_end(tmp_path):
    door = Door(tmp_path)
    door.hold()
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
    door.answers()
    door.ask("one", "person/list", "l1")
    door.ask("two", "enroll/image", "e2", name="Boris", images=[picture(1)])
    service = door.service
    door.porch.close()
    sent = {
        json.loads(message.payload)["transaction"]: json.loads(message.payload) for message in service.link._waiting
    }
    assert {transaction: answer["code"] for transaction, answer in sent.items()} == dict.fromkeys(
        ["e1", "l1", "e2"], "stopped"
    )
    door.porch.open()
    assert door.people() == []
    door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])  # delivered once more
    door.ask("two", "enroll/image", "e2", name="Boris", images=[picture(1)])  # was never begun
    assert sorted((one[1], one[2] if one[2] == "stopped" else "ok") for one in door.answered(2)) == [
        ("e1", "stopped"),
        ("e2", "ok"),
    ]
    door.porch.close()


def test_a_signature_counts_once_before_anything_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMEN_MQTT_SIGNING_KEY", KEY)
    door = Door(tmp_path)
    door.porch.close()
    door.porch.config = replace(door.porch.config, clock="trusted")
    door.porch.open()
    for key in (None, "x" * 32):
        door.ask("one", "enroll/image", "e0", key=key, name="Anna", images=[picture(0)])
    assert [code for *_, code in door.answers()] == ["unsigned", "bad_signature"]
    assert door.worker.memory_mb is None  # nothing was read for them

    topic = "limen/porch/request/enroll/image"
    payload = json.dumps({"transaction": "e1", "name": "Anna", "images": [picture(0)]}).encode()
    signed = sign(KEY.encode(), topic, payload)
    door.put("one", topic, signed)
    door.ask("two", "config/set", "s1", key=KEY, recognition=True)  # signed later, carried out earlier
    answers = dict(one[1:] for one in door.answered(2))
    assert (answers["e1"]["templates"], answers["s1"]["recognition"]) == (1, True)

    signed = sign(KEY.encode(), topic, payload.replace(b"e1", b"e2"))
    door.put("one", topic, signed)
    door.answers()
    assert door.service.dispatcher.waiting
    door.service.dispatcher._pictures.job = None  # as if the power went
    door.porch.close()
    door.porch.open()
    door.put("one", topic, signed)
    assert door.answered(1) == [("one", "e2", "replayed")]
    door.porch.close()


def test_a_picture_that_costs_too_much_is_refused_counted_and_not_read_again(door):
    usual = door.worker._settings
    door.worker._settings = structs.replace(usual, picture_seconds=0.001)
    for _ in range(2):
        door.ask("one", "enroll/image", "e1", name="Anna", images=[picture(0)])
        assert door.answered(1) == [("one", "e1", "image_too_costly")]
    health = door.service.running.health()
    assert (health.workers_lost, health.worker_mb) == (1, None)
    assert door.people() == []
    door.worker._settings = usual
    door.ask("one", "enroll/image", "e2", name="Anna", images=[picture(0)])
    assert door.answered(1)[0][2]["templates"] == 1
    assert 40 < door.service.running.health().worker_mb < 150
