"""Three cameras of a household, each with a gallery of its own, at two brokers that are bridged: one gallery."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import count

import numpy as np
from skimage.data import astronaut

from edge.api.replication import read_revision_message
from edge.config import (
    HistoryConfig,
    ModelsConfig,
)
from edge.core.events import Event
from edge.runtime.assembly import Device
from edge.system.crypto import REVISIONS, HouseholdCipher
from tests.edge.core.asking import EnrollImages
from tests.edge.runtime.replication.cameras import kept_at, listening, on_disk, settled, somebody
from tests.household import base64_of, portrait_jpeg, until


def test_who_is_enrolled_at_one_camera_is_known_to_all_and_forgotten_by_all(bridged, camera, fleet, tmp_path):
    one, two = bridged
    for device, broker in (("porch", one), ("garden", one), ("back", two)):
        fleet.switch_on(camera(device, broker.port))
    answer = fleet["porch"].ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})
    assert answer["status"] == "ok"
    fleet.all_know("Eileen")
    mirrored = base64_of(astronaut()[:300, 80:380][:, ::-1])
    for device in ("garden", "back"):
        (face,) = fleet[device].ask("recognize/image", {"transaction": "2", "image": mirrored})["data"]["faces"]
        assert face["name"] == "Eileen"

    request = {"transaction": "3", "name": "Unmistakable", "images": [base64_of(somebody())]}
    assert fleet["back"].ask("enroll/image", request)["status"] == "ok"
    fleet.all_know("Eileen", "Unmistakable")
    galleries = fleet.galleries()
    assert galleries["porch"] == galleries["garden"] == galleries["back"]
    (person_id,) = [who for who, name in galleries["back"][0] if name == "Unmistakable"]
    (template,) = [blob for _, who, blob in galleries["back"][1] if who == person_id]
    for broker in bridged:
        people = {topic: heard for topic, heard in kept_at(broker.port).items() if "/household/" in topic}
        assert len(people) == 2
        for topic, (payload,) in people.items():
            for secret in (b"Unmistakable", b"Eileen", person_id.encode(), template[:32]):
                assert secret not in payload
                assert secret.decode("latin-1").casefold() not in topic

    fleet.switch_off("garden")
    assert fleet["porch"].ask("person/remove", {"transaction": "4", "name": "Unmistakable"})["status"] == "ok"
    fleet.all_know("Eileen")
    fleet.switch_on(camera("garden", one.port))
    fleet.all_know("Eileen")
    galleries = fleet.galleries()
    assert galleries["porch"] == galleries["garden"] == galleries["back"]
    kept = b"".join(
        topic.encode() + b"".join(heard) for broker in bridged for topic, heard in kept_at(broker.port).items()
    )
    for device in ("porch", "garden", "back"):
        fleet.switch_off(device)
    for broker in bridged:
        broker.stop()
    files = [*tmp_path.glob("*/gallery.db*"), *tmp_path.glob("*/mosquitto.db")]
    assert len(files) >= 5
    for found in (kept, *(file.read_bytes() for file in files)):
        assert template[:64] not in found
        assert b"nmistakable" not in found


def test_two_who_are_enrolled_at_once_on_two_brokers_become_one_gallery(bridged, camera, fleet):
    one, two = bridged
    configs = [camera("porch", one.port), camera("garden", one.port), camera("back", two.port)]
    on_disk(configs[1], EnrollImages("Eileen", [astronaut()[:300, 80:380]]))  # and this one is not on yet
    fleet.switch_on(configs[0])
    fleet.switch_on(configs[2])
    mirrored = base64_of(astronaut()[:300, 80:380][:, ::-1])  # the same picture would be there already
    for device, image in (("porch", portrait_jpeg()), ("back", mirrored)):
        fleet[device].send("enroll/image", {"transaction": "1", "name": "Eileen", "images": [image]})
    for device in ("porch", "back"):
        until(lambda device=device: fleet[device].on("response/enroll/image"))
    fleet.switch_on(configs[1])
    fleet.all_know("Eileen")

    def everybody():
        ((people, templates), *others) = fleet.galleries().values()
        return len(templates) == 3 and others == [(people, templates)] * 2 and (people, templates)

    people, templates = until(everybody)
    (eileen,) = [who for who, name in people if name == "Eileen"]
    assert len([1 for _, who, _ in templates if who == eileen]) == 3
    assert fleet["back"].ask("person/remove", {"transaction": "2", "name": "Eileen"})["status"] == "ok"
    fleet.all_know()
    until(lambda: all(gallery == ([], []) for gallery in fleet.galleries().values()))


def test_visits_go_on_where_two_people_of_one_name_become_one(broker, camera, fleet):
    configs = [
        camera(device, broker.port, history=HistoryConfig(keep_hours=24), clock="trusted")
        for device in ("porch", "garden")
    ]
    for config in configs:
        on_disk(config, EnrollImages("Eileen", [astronaut()[:300, 80:380]]))
        with closing(Device.open(config)) as device:
            eileen = device.recognizer.gallery.find("Eileen")
            event = Event("recognized", "new", "t1", 0.0, eileen.name, eileen.person_id, "seen", votes={})
            device.history.note(f"visit-{config.device}", time.time(), True, event, None)
    for config in configs:
        fleet.switch_on(config)
    until(lambda: len({str(people) for people, _ in fleet.galleries().values()}) == 1)

    def visits(device, transactions=count(), **wanted):  # noqa: B008 -- one counter for all calls
        answer = fleet[device].ask("event/list", {"transaction": f"list-{next(transactions)}", **wanted})
        return [(visit["id"], visit["name"]) for visit in answer.get("data", {}).get("visits", [])]

    for device in ("porch", "garden"):
        until(lambda device=device: visits(device) == [(f"visit-{device}", "Eileen")])
        until(lambda device=device: visits(device, name="Eileen") == [(f"visit-{device}", "Eileen")])
    fleet.switch_off("porch")
    fleet.switch_on(configs[0])
    until(lambda: visits("porch") == [("visit-porch", "Eileen")])
    assert fleet["porch"].ask("person/remove", {"transaction": "r", "name": "Eileen"})["status"] == "ok"
    fleet.all_know()
    for config in configs:
        until(lambda device=config.device: visits(device) == [])
        with closing(sqlite3.connect(config.gallery.path.with_name("history.db"))) as db:
            until(lambda db=db: db.execute("SELECT count(*) FROM visit").fetchone() == (0,))


def test_templates_of_another_model_are_made_anew_from_crops_and_named_where_there_are_none(broker, camera, fleet):
    lite = ModelsConfig(embedder="lite")
    porch = fleet.switch_on(camera("porch", broker.port))
    fleet.switch_on(camera("back", broker.port, models=lite))
    assert porch.ask("enroll/image", {"transaction": "1", "name": "Eileen", "images": [portrait_jpeg()]})["data"]
    fleet.all_know("Eileen")
    picture = base64_of(astronaut()[:300, 80:380][:, ::-1])
    (face,) = fleet["back"].ask("recognize/image", {"transaction": "2", "image": picture})["data"]["faces"]
    assert face["name"] == "Eileen"
    assert fleet.health("back")["unusable_templates"] == 0

    bare = camera("garden", broker.port)
    bare = replace(bare, gallery=replace(bare.gallery, keep_crops=False))
    fleet.switch_on(bare)
    picture = base64_of(somebody())
    assert fleet["garden"].ask("enroll/image", {"transaction": "3", "name": "Bob", "images": [picture]})["data"]
    fleet.all_know("Bob", "Eileen")
    until(lambda: fleet.health("back")["unusable_templates"] == 1)
    health = fleet.health("back")
    models = {device: service.device.embedder.card.sha256[:12] for device, service in fleet.services.items()}
    said = f"camera garden: its templates are of model {models['garden']}, this camera has {models['back']}"
    assert health["problems"] == [said]
    faces = fleet["back"].ask("recognize/image", {"transaction": "4", "image": picture})["data"]["faces"]
    assert [face["name"] for face in faces] == [None]
    (face,) = porch.ask("recognize/image", {"transaction": "5", "image": picture})["data"]["faces"]
    assert face["name"] == "Bob"


def test_a_camera_without_crops_does_not_take_them_from_the_others(broker, camera, fleet, key):
    """It says somebody without crops; whoever has them says so, once."""
    fleet.switch_on(camera("porch", broker.port))
    bare = camera("garden", broker.port)
    fleet.switch_on(replace(bare, gallery=replace(bare.gallery, keep_crops=False)))
    seal = HouseholdCipher(key.read_text(), REVISIONS)
    with listening(broker.port) as (_, heard):
        images = {"name": "Eileen", "images": [portrait_jpeg()]}
        assert fleet["porch"].ask("enroll/image", {"transaction": "1", **images})["data"]
        fleet.all_know("Eileen")
        assert fleet["garden"].ask("person/set", {"transaction": "2", "name": "Eileen", "tau": 0.5})["data"]
        until(lambda: json.loads(fleet["porch"].newest("gallery"))["people"][0]["tau"] == 0.5)
        settled(fleet, heard)
        ((topic, payloads),) = heard.items()
        newest = read_revision_message(seal.decrypt(payloads[-1], topic))
        assert [look.crop is not None for look in newest.records] == [True]
        assert len(payloads) <= 4


def test_a_person_has_the_same_topic_on_all_cameras(broker, camera, fleet):
    names = {"porch": ["Zoe", "علی\u200cر", "Александр"], "back": ["Zoë", "👩\u200d🚀", "Александра", "Bob"]}
    looks = iter(np.eye(128, dtype=np.float32))
    for device, called in names.items():
        store = Device.open(camera(device, broker.port)).store
        for name in called:
            store.add(name, [next(looks)], [np.zeros((112, 112, 3), np.uint8)])
        store.close()
    for device in names:
        fleet.switch_on(camera(device, broker.port))
    fleet.all_know(*names["porch"], *names["back"])
    until(lambda: len({frozenset(fleet.services[one].publisher.people._levels.items()) for one in names}) == 1)
    people = fleet.services["porch"].publisher.people
    levels = {people.names[person_id]: level for person_id, level in people._levels.items()}
    assert len(set(levels.values())) == 7
    assert [name for name, level in levels.items() if not level.startswith("p_")] == ["Bob"]
