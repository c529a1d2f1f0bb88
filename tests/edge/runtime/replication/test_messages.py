"""Messages between cameras: forgotten, old, unsealed, unreadable, too large."""

import base64
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from edge.api.replication import RevisionMessage, read_revision_message
from edge.config import (
    FleetConfig,
)
from edge.mqtt.inbox import Inbox
from edge.runtime.assembly import Device
from edge.system.crypto import REVISIONS, HouseholdCipher, new_key
from tests.edge.runtime.replication.cameras import listening, settled
from tests.household import portrait_jpeg, until


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_camera_that_cannot_take_all_at_once_asks_again_for_the_rest(broker, camera, fleet, monkeypatch, version):
    names = [f"Guest {number}" for number in range(12)]
    config = camera("porch", broker.port)
    config = replace(config, mqtt=replace(config.mqtt, version=version))
    store = Device.open(config).store
    noise = np.random.default_rng(0)
    for name in names:
        vector = noise.normal(size=128).astype(np.float32)
        vector /= np.linalg.norm(vector)
        store.add(name, [vector], [noise.integers(0, 256, (112, 112, 3), dtype=np.uint8)])  # 38 kB each
    store.close()
    fleet.switch_on(config)
    with listening(broker.port) as (_, heard):
        until(lambda: len(heard) == len(names))
    monkeypatch.setattr("edge.mqtt.device_link.Inbox", partial(Inbox, bytes_max=100_000))
    fleet.switch_on(replace(camera("back", broker.port), mqtt=replace(config.mqtt, version=version)))
    fleet.all_know(*names)
    galleries = fleet.galleries()
    assert galleries["porch"] == galleries["back"]


def test_what_the_broker_forgot_is_said_again_and_then_nothing_more(broker, camera, fleet):
    porch = fleet.switch_on(camera("porch", broker.port))
    fleet.switch_on(camera("back", broker.port))
    assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    fleet.all_know("Eileen")
    with listening(broker.port) as (client, heard):
        (topic,) = until(lambda: list(heard))
        client.publish(topic, b"", qos=1, retain=True)
        until(lambda: heard[topic][-1] and b"" in heard[topic])
        settled(fleet, heard)
        assert len([payload for payload in heard[topic] if payload]) <= 3  # once before, once by each camera


def test_an_old_message_after_a_tombstone_is_answered_with_the_tombstone(broker, camera, fleet, key):
    porch = fleet.switch_on(camera("porch", broker.port))
    fleet.switch_on(camera("back", broker.port))
    seal = HouseholdCipher(key.read_text(), REVISIONS)
    with listening(broker.port) as (client, heard):
        assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
        fleet.all_know("Eileen")
        ((topic, (old, *_)),) = heard.items()
        assert porch.ask("person/remove", {"transaction": "2", "name": "Eileen"})["status"] == "ok"
        fleet.all_know()
        client.publish(topic, old, qos=1, retain=True)
        until(lambda: old in heard[topic][1:])
        until(lambda: read_revision_message(seal.decrypt(heard[topic][-1], topic)).revision.forgotten)
        settled(fleet, heard)
        tombstone = read_revision_message(seal.decrypt(heard[topic][-1], topic))
        assert tombstone.records == []
        assert tombstone.revision.fields == {}
    fleet.all_know()
    events = [event["event_type"] for event in fleet["back"].events()]
    assert events == ["enrolled", "forgotten"]


def test_what_nobody_sealed_is_counted_and_changes_nothing(broker, camera, fleet, key):
    porch = fleet.switch_on(camera("porch", broker.port))
    assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    with listening(broker.port) as (client, heard):
        (topic,) = until(lambda: list(heard))
        payload = heard[topic][0]
        elsewhere = topic[:-1] + ("0" if topic[-1] != "0" else "1")
        seal, another = HouseholdCipher(key.read_text(), REVISIONS), HouseholdCipher(new_key(), REVISIONS)
        told = read_revision_message(seal.decrypt(payload, topic))
        alien = RevisionMessage(device="back", revision=told.revision, records=[]).bytes()
        for place, bad in (
            (topic, b"x"),
            (topic, payload[:-1] + bytes([payload[-1] ^ 1])),
            (elsewhere, payload),  # moved to somebody else's topic
            (topic, another.encrypt(alien, topic)),
            (topic, seal.encrypt(b"\xc1", topic)),
        ):
            client.publish(place, bad, qos=1)
        for number in range(300):
            client.publish(topic, bytes(100) + str(number).encode(), qos=1)
        until(lambda: fleet.health("porch")["refused"] == 305)
    assert fleet.known("porch") == ["Eileen"]
    assert porch.ask("person/list", {"transaction": "2"})["status"] == "ok"


def test_a_person_too_large_for_a_message_is_said_without_crops_and_a_larger_one_not_at_all(broker, camera, fleet, key):
    config = camera("porch", broker.port)
    config = replace(config, fleet=replace(config.fleet, message_bytes_max=10_000))
    noise = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    vector = np.ones(128, np.float32) / np.sqrt(128, dtype=np.float32)
    seal = HouseholdCipher(key.read_text(), REVISIONS)
    with listening(broker.port) as (_, heard):
        fleet.switch_on(config)
        store = Device.open(config).store
        store.add("Alice", [vector] * 2, [noise] * 2)
        ((topic, (payload,)),) = until(lambda: list(heard.items()))
        assert [look.crop for look in read_revision_message(seal.decrypt(payload, topic)).records] == [None, None]
        assert len(payload) < 10_000
        store.add("Alice", [vector] * 20, [noise] * 20)
        store.close()
        until(lambda: fleet.health("porch")["too_large"] == 1)
        assert [len(payloads) for payloads in heard.values()] == [1]
        settled(fleet, heard)


def test_a_disk_that_cannot_be_written_stops_nothing_and_what_was_heard_is_heard_again(
    broker, camera, fleet, monkeypatch
):
    porch = fleet.switch_on(camera("porch", broker.port))
    fleet.switch_on(camera("back", broker.port))
    monkeypatch.setattr("edge.runtime.replication.RETRY_SECONDS", 0.5)
    other = sqlite3.connect(fleet.configs["back"].gallery.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # as a disk that takes nothing
    assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    until(lambda: "locked" in str(fleet.health("back")["problems"]))
    assert fleet.known("back") == []
    other.execute("ROLLBACK")
    other.close()
    fleet.all_know("Eileen")
    until(lambda: fleet.health("back")["problems"] == [])


def test_a_gallery_crosses_mqtt_sealed_and_not_without_a_key(broker, camera, fleet, key):
    porch = fleet.switch_on(camera("porch", broker.port))
    alone = fleet.switch_on(camera("back", broker.port, fleet=FleetConfig(household="other", key_file=key)))
    bare = fleet.switch_on(camera("garden", broker.port, fleet=FleetConfig()))
    assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    export = porch.ask("gallery/export", {"transaction": "2"})["data"]
    assert export["people"] == 1
    assert b"Eileen" not in base64.b64decode(export["gallery"])
    small = porch.ask("gallery/export", {"transaction": "3", "crops": False})["data"]
    assert len(small["gallery"]) < len(export["gallery"])
    with closing(sqlite3.connect(fleet.configs["porch"].gallery.path)) as raw:
        records = raw.execute("SELECT who, person, detail FROM audit WHERE verb = 'export'").fetchall()
    assert records == [("mqtt gallery/export, unsigned", None, "1 person")] * 2
    assert alone.ask("gallery/import", {"transaction": "4", "gallery": export["gallery"]})["data"] == {
        "people": 1,
        "templates": 1,
        "waiting": 0,
    }
    until(lambda: fleet.known("back") == ["Eileen"])
    for verb, fields in (("export", {}), ("import", {"gallery": export["gallery"]})):
        assert bare.ask(f"gallery/{verb}", {"transaction": verb, **fields})["code"] == "no_household_key"
    for number, (bad, code) in enumerate(
        (
            ("%", "not_base64"),
            ("", "not_authentic"),
            (base64.b64encode(base64.b64decode(export["gallery"])[:-1]).decode(), "not_authentic"),
            (
                base64.b64encode(
                    HouseholdCipher(key.read_text(), "gallery").encrypt(b"no gallery", "gallery")
                ).decode(),
                "invalid",
            ),
        )
    ):
        assert alone.ask("gallery/import", {"transaction": f"bad{number}", "gallery": bad})["code"] == code
