"""Three cameras of a household, each with a gallery of its own, at two brokers that are bridged: one gallery."""

import base64
import json
import sqlite3
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import paho.mqtt.client as paho
import pytest
from skimage.data import astronaut

from edge.api.replication import RevisionMessage, read_revision_message
from edge.config import (
    Config,
    FleetConfig,
    GalleryConfig,
    HistoryConfig,
    HomeAssistantConfig,
    ModelsConfig,
    MqttConfig,
)
from edge.core.events import Event
from edge.demo.scene import Pose, with_person
from edge.demo.scene import porch as porch_without_people
from edge.mqtt.inbox import Inbox
from edge.runtime import loop, peer_clocks
from edge.runtime.assembly import Device
from edge.system.clock import PEERS_APART, Clock
from edge.system.crypto import REVISIONS, HouseholdCipher, new_key
from tests.edge.core.asking import EnrollImages, handle
from tests.household import Broker, Household, Nothing, base64_of, portrait_jpeg, running, until

SHARED = "limen/household/home/person/+"


@pytest.fixture(autouse=True)
def silent(monkeypatch):
    """No camera says what time it has, but where a test is about that: where a machine knows it, all would."""
    monkeypatch.setattr(peer_clocks, "FIRST_GREETING_SECONDS", 1e6)


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "household.key"
    path.write_text(new_key())
    return path


@pytest.fixture
def camera(tmp_path, key):
    """camera(device, port) -> its configuration."""

    def of(device, port, **changes):
        return replace(
            Config(
                device=device,
                gallery=GalleryConfig(tmp_path / device / "gallery.db"),
                mqtt=MqttConfig(host="127.0.0.1", port=port, health_every_seconds=0.2),
                home_assistant=HomeAssistantConfig(discovery=False),
                fleet=FleetConfig(key_file=key),
            ),
            **changes,
        )

    return of


@pytest.fixture
def bridged(tmp_path):
    """Two brokers; the first takes everything to and from the second."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = Broker(tmp_path / "one"), Broker(tmp_path / "two")
    with one.config.open("a") as config:
        config.write(
            f"connection two\naddress 127.0.0.1:{two.port}\ntopic limen/# both 2\nrestart_timeout 1\n"
            "cleansession false\nremote_clientid bridge-of-one\n"
        )
    with two, one:
        yield one, two


class Replication:
    """Cameras that are switched on and off, and somebody who hears each of them."""

    def __init__(self, stack):
        self.stack, self.on, self.configs, self.services, self.households = stack, {}, {}, {}, {}

    def switch_on(self, config):
        device = config.device
        if device not in self.households:
            self.households[device] = self.stack.enter_context(Household(config.mqtt.port, device))
        self.on[device], self.configs[device] = self.stack.enter_context(ExitStack()), config
        self.services[device] = self.on[device].enter_context(running(config, Nothing))
        until(lambda: self[device].newest("status") == b"online")
        return self[device]

    def switch_off(self, device):
        self.on.pop(device).close()
        until(lambda: self[device].newest("status") == b"offline")

    def __getitem__(self, device):
        return self.households[device]

    def health(self, device):
        return json.loads(until(lambda: self[device].newest("health")))["fleet"]

    def known(self, device):
        return sorted(
            person["name"] for person in json.loads(self[device].newest("gallery") or b'{"people":[]}')["people"]
        )

    def all_know(self, *names, seconds=30):
        until(lambda: all(self.known(device) == sorted(names) for device in self.on), seconds)

    def galleries(self):
        """What is on each disk, by device."""
        found = {}
        for device, config in self.configs.items():
            store = Device.open(config).store
            people, templates = store.load()
            store.close()
            found[device] = (
                sorted((person.person_id, person.name) for person in people),
                sorted((t.template_id, t.person_id, t.embedding.tobytes()) for t in templates),
            )
        return found


@pytest.fixture
def fleet():
    with ExitStack() as stack:
        yield Replication(stack)


def on_disk(config, command):
    """As `limen enroll` and `limen forget` do it on the device."""
    device = Device.open(config)
    assert handle(device.recognizer, command).ok
    device.store.close()


def somebody(seed=0):
    """(H, W, 3) of a person who does not exist."""
    return with_person(porch_without_people(), seed, Pose(0.5, 0.4, 120.0))


@contextmanager
def listening(port, topic="limen/household/#", *, kept_alone=False):
    """What the broker keeps or says, by topic."""
    heard, ready = {}, []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)

    def hear(_client, _userdata, message):
        if message.retain or not kept_alone:
            heard.setdefault(message.topic, []).append(message.payload)

    client.on_message = hear
    client.on_subscribe = lambda *_: ready.append(1)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(topic, qos=1)
    until(lambda: ready)
    try:
        yield client, heard
    finally:
        client.disconnect()
        client.loop_stop()


def kept_at(port):
    with listening(port, "#", kept_alone=True) as (_, heard):
        time.sleep(0.5)
        return heard


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


def settled(fleet, heard):
    """Nobody has anything more to say: what is said is said once, and not for ever."""

    def still():
        before = sum(map(len, heard.values()))
        time.sleep(2.5)
        return before == sum(map(len, heard.values()))

    until(still)
    assert all(fleet.health(device)["unsaid"] == 0 for device in fleet.on)


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


@pytest.fixture
def ahead(monkeypatch, tmp_path):
    """By how many seconds the clock of a device is ahead; the clocks are set, and looked at all the time."""
    seconds = {}
    monkeypatch.setattr(
        Clock, "now", lambda self: time.time() + seconds.get(self._settings.path.relative_to(tmp_path).parts[0], 0.0)
    )
    monkeypatch.setattr(peer_clocks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(peer_clocks, "FIRST_GREETING_SECONDS", 0.5)
    monkeypatch.setattr(peer_clocks, "GREET_SECONDS", 0.5)
    monkeypatch.setattr(loop, "EXPIRE_EVERY_SECONDS", 0.2)
    return seconds


TEN_YEARS = 3650 * 86_400.0


def clocks_named(fleet, device):
    return sorted(text for text in fleet.health(device)["problems"] if "clock" in text)


def test_a_camera_ten_years_ahead_forgets_guests_for_itself_alone(broker, camera, fleet, ahead):
    for device in ("porch", "garden", "back"):
        fleet.switch_on(camera(device, broker.port))
    picture = {"images": [portrait_jpeg()]}
    assert fleet["porch"].ask("enroll/image", {"transaction": "1", "name": "Anna", **picture})["status"] == "ok"
    guest = {"transaction": "2", "name": "Guest", "images": [base64_of(somebody())], "ttl_days": 3}
    assert fleet["porch"].ask("enroll/image", guest)["status"] == "ok"
    fleet.all_know("Anna", "Guest")

    ahead["garden"] = TEN_YEARS
    until(lambda: fleet.known("garden") == ["Anna"])
    said = "camera garden: its clock is 3650.0 days ahead of the one of this camera"
    until(lambda: clocks_named(fleet, "porch") == clocks_named(fleet, "back") == [said])
    until(lambda: len(clocks_named(fleet, "garden")) == 2)
    time.sleep(2.5)  # the broker was asked to remove the guest, and a camera that knows the guest said so
    assert [fleet.known(device) for device in ("porch", "back", "garden")] == [["Anna", "Guest"]] * 2 + [["Anna"]]
    shared = {topic for topic in kept_at(broker.port) if "/household/" in topic}
    assert len(shared) == 2
    with Device.open(fleet.configs["back"]) as device:
        assert json.loads(device.store.setting(PEERS_APART)) == [said]

    fleet.switch_off("garden")  # the same after a start
    fleet.switch_on(camera("garden", broker.port))
    until(lambda: fleet.known("garden") == ["Anna"])
    time.sleep(2.5)
    assert fleet.known("porch") == ["Anna", "Guest"]

    ahead["garden"] = 0.0
    fleet.all_know("Anna", "Guest")
    until(lambda: not any(clocks_named(fleet, device) for device in fleet.on))

    ahead |= dict.fromkeys(fleet.on, 4 * 86_400.0)  # now the time of the guest is over for all
    fleet.all_know("Anna")
    until(lambda: len({topic for topic in kept_at(broker.port) if "/household/" in topic}) == 1)


def test_a_guest_of_a_camera_whose_clock_is_ahead_stays_there_and_is_named(broker, camera, fleet, ahead):
    ahead["garden"] = TEN_YEARS
    for device in ("porch", "garden"):
        fleet.switch_on(camera(device, broker.port))
    guest = {"transaction": "2", "name": "Guest", "images": [portrait_jpeg()], "ttl_days": 30}
    assert fleet["garden"].ask("enroll/image", guest)["status"] == "ok"
    said = "camera garden: a guest of its would stay for more than 3650 days by the clock of this camera"
    until(lambda: any(text.startswith(said) for text in fleet.health("porch")["problems"]))
    assert fleet.known("porch") == []
