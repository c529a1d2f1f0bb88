"""The names of forty languages at a device and a real broker: each person has a topic and a sensor of their own."""

import json
from contextlib import contextmanager
from dataclasses import replace
from queue import SimpleQueue

import numpy as np
import pytest

from edge.api.discovery import discovery_topic
from edge.core.events import Event
from edge.runtime.pictures import samples_in
from edge.storage.gallery import SqliteGallery
from tests.household import Household, Nothing, portrait_jpeg, running, until

DISCOVERY = discovery_topic("homeassistant", "porch")
# Two of each, many with the same first eight letters; joiners, where a name is written with them.
NAMES = {
    "Amharic": ("አበበ ቢቂላ", "አበበ ቢቂላው"),
    "Arabic": ("عبد الرحمن", "عبد الرحمن محمد"),
    "Armenian": ("Արամ Խաչատրյան", "Արամ Խաչատուրյան"),
    "Assamese": ("ভূপেন হাজৰিকা", "ভূপেন হাজৰিকাৰ"),
    "Bengali": ("র\u200d্যাচেল দাস", "র\u200d্যাচেল দাশ"),
    "Bulgarian": ("Александър", "Александра"),
    "Burmese": ("အောင်ဆန်း", "အောင်ဆန်းစုကြည်"),
    "Cherokee": ("ᏍᏏᏉᏯ", "ᏍᏏᏉᏯᎢ"),
    "Chinese, simplified": ("李雷", "李雷雷"),
    "Chinese, traditional": ("陳怡君", "陳怡伶"),
    "Czech": ("Jiří Dvořák", "Jiri Dvorak"),
    "Dhivehi": ("އަޙްމަދު", "އަޙްމަދު ޢަލީ"),
    "English": ("Anna-Maria", "Anna Maria"),
    "French": ("Zoë", "Zoe"),
    "Georgian": ("ნინო", "ნინო ბერიძე"),
    "German": ("Groß", "Gross-Meier"),
    "Greek": ("Αλεξάνδρα", "Αλέξανδρος"),
    "Gujarati": ("નરેન્દ્ર", "નરેન્દ્રભાઈ"),
    "Hawaiian": ("Ka\u02bbiulani", "Kaiulani"),
    "Hebrew": ("יוסף", "יוסף־חיים"),
    "Hindi": ("राजेश्वरी", "राजेश्वर"),
    "Icelandic": ("Þórdís", "Thordis"),
    "Japanese": ("葛\U000e0100城 さくら", "葛城 さくら"),
    "Kannada": ("ಶ್\u200cಯಾಮ", "ಶ್ಯಾಮ"),
    "Khmer": ("សុខា", "សុខាភិបាល"),
    "Korean": ("김민준", "김민준우"),
    "Lao": ("ສົມສັກ", "ສົມສັກດີ"),
    "Malayalam": ("രാജന്\u200d", "രാജൻ"),
    "Marathi": ("सचिन तेंडुलकर", "सचिन तेंडुलकर्\u200dया"),
    "Mongolian": ("ᠪᠠᠲᠤ", "ᠪᠠᠲᠤᠬᠠᠨ"),
    "N'Ko": ("ߛߟߏߡߊߣߊ", "ߛߟߏߡߊߣߊ ߞߊ߲ߕߍ"),
    "Persian": ("علی\u200cرض\u0627", "علیرض\u0627"),
    "Punjabi": ("ਗੁਰਪ੍ਰੀਤ", "ਗੁਰਪ੍ਰੀਤ ਸਿੰਘ"),
    "Russian": ("Екатерина", "Екатерина II"),
    "Sinhala": ("ශ්\u200dරී", "ශ්\u200dරීමා"),
    "Tamil": ("முத்துலட்சுமி", "முத்துலட்சுமணன்"),
    "Telugu": ("వెంకటేశ్వర", "వెంకటేశ్వరరావు"),
    "Thai": ("สมชาย", "สมชายชาญ"),
    "Tibetan": ("བསྟན་འཛིན", "བསྟན་འཛིན་རྒྱ་མཚོ"),
    "Turkish": ("I\u015f\u0131k", "Isik"),
    "Ukrainian": ("Володимир", "Володимира"),
    "Urdu": ("محمد علی جناح", "محمد علی جوہر"),
    "Vietnamese": ("Nguyễn Văn Đức", "Nguyen Van Duc"),
    "emoji": ("👨\u200d👩\u200d👧\u200d👦 Berg", "👨\u200d👩\u200d👦\u200d👦 Berg"),
}


class Calls(Nothing):
    """A camera before which nothing happens, and which calls what a test wants to happen in the loop's thread."""

    def __init__(self):
        self.queue = SimpleQueue()

    def read(self, timeout_seconds):
        while not self.queue.empty():
            self.queue.get()()
        return super().read(timeout_seconds)


@contextmanager
def at_the_door(config, household):
    """A device, and a function by which somebody comes to it."""
    calls = Calls()
    with running(config, lambda: calls) as service:
        until(lambda: household.newest("status") == b"online")

        def come(person_id, name):
            event = Event("recognized", "new", "t1", 0.0, name, person_id, "a test")
            calls.queue.put(lambda: service.publisher.publish(event))

        yield service, come


def kept(port):
    """What the broker keeps of people: the payload of each topic, and the names of the sensors by their topic."""
    with Household(port) as late:
        late.client.subscribe("homeassistant/#", qos=1)
        until(lambda: any(message.topic == DISCOVERY for message in late.heard))
        heard = {message.topic: message.payload for message in late.heard if message.retain}
    people = {topic: json.loads(payload) for topic, payload in heard.items() if "/person/" in topic}
    components = json.loads(heard[DISCOVERY])["cmps"].items()
    return people, {part["stat_t"]: part["name"] for key, part in components if key.startswith("seen_")}


def others(monkeypatch):
    """Whoever is enrolled next looks like nobody before."""
    looks = iter(np.eye(128, dtype=np.float32))

    def unlike(found):
        return [replace(sample, embedding=next(looks)) for sample in samples_in(found)]

    monkeypatch.setattr("edge.runtime.handlers.enrollment.samples_in", unlike)


def test_the_names_of_forty_languages(config, household, broker, monkeypatch):
    everybody = [name for pair in NAMES.values() for name in pair]
    assert len(NAMES) >= 40
    portrait = portrait_jpeg()
    sensors_for_all = replace(config.home_assistant, people_max=len(everybody))
    config = replace(config, home_assistant=sensors_for_all)
    with at_the_door(config, household) as (_, come):
        others(monkeypatch)
        ids = {}
        for name in everybody:
            request = {"transaction": f"enroll {name}", "name": name, "images": [portrait]}
            answer = household.ask("enroll/image", request)
            assert answer["status"] == "ok", answer
            assert answer["data"]["name"] == name
            ids[name] = answer["data"]["person_id"]
        listed = household.ask("person/list", {"transaction": "list"})["data"]["people"]
        assert {person["name"]: person["person_id"] for person in listed} == ids
        for name in everybody:
            come(ids[name], name)
        until(lambda: len({message.payload for message in household.heard if "/person/" in message.topic}) >= len(ids))
        people, sensors = kept(broker.port)
        assert sorted(person["name"] for person in people.values()) == sorted(everybody)
        assert sensors == {topic: f"{person['name']} last seen" for topic, person in people.items()}

        for name in everybody:
            answer = household.ask(
                "person/rename", {"transaction": f"rename {name}", "name": name, "new_name": f"{name} 2"}
            )
            assert answer["data"] == {"name": f"{name} 2", "person_id": ids[name]}
        renamed, sensors = kept(broker.port)
        assert sorted(person["name"] for person in renamed.values()) == sorted(f"{name} 2" for name in everybody)
        assert sensors == {topic: f"{person['name']} last seen" for topic, person in renamed.items()}
        assert {person["last_seen"] for person in renamed.values()} == {
            person["last_seen"] for person in people.values()
        }

        for name in everybody:
            answer = household.ask("person/remove", {"transaction": f"forget {name}", "name": f"{name.casefold()} 2"})
            assert answer["data"]["person_id"] == ids[name]
        until(lambda: kept(broker.port) == ({}, {}))
        gallery = household.newest("gallery")
        assert json.loads(gallery)["people"] == []


def test_a_topic_moves_when_somebody_comes_whose_name_is_written_alike(config, household, broker, monkeypatch):
    with at_the_door(config, household) as (_, come):
        others(monkeypatch)

        def enroll(name):
            request = {"transaction": f"enroll {name}", "name": name, "images": [portrait_jpeg()]}
            return household.ask("enroll/image", request)["data"]["person_id"]

        zoe = enroll("Zoe")
        come(zoe, "Zoe")
        seen = json.loads(until(lambda: household.newest("person/zoe")))
        other = enroll("Zoë")
        assert json.loads(until(lambda: household.newest(f"person/{zoe}"))) == seen
        until(lambda: household.newest("person/zoe") == b"")
        come(other, "Zoë")
        until(lambda: household.newest(f"person/{other}"))
        household.ask("person/remove", {"transaction": "forget", "name": "Zoe"})
        until(lambda: b"Zo\xc3\xab" in household.newest("person/zoe"))
        until(lambda: len(kept(broker.port)[0]) == 1)
        people, sensors = kept(broker.port)
        assert {topic: person["name"] for topic, person in people.items()} == {"limen/porch/person/zoe": "Zoë"}
        assert sensors == {"limen/porch/person/zoe": "Zoë last seen"}


def of_the_first_release(name):
    """The level of a topic that it gave to a name without letters of a to z."""
    return "x" + name.casefold().encode().hex()[:32]


def test_the_topics_of_an_earlier_release_are_cleared_at_the_first_start(config, household, broker):
    store = SqliteGallery(config.gallery.path, "another model")
    anna, ivan, soren = (
        store.add(name, [np.eye(128, dtype=np.float32)[0]], [np.zeros((112, 112, 3), np.uint8)])
        for name in ("Анна", "Иван", "Søren")
    )
    store.close()
    old = [of_the_first_release("Анна"), of_the_first_release("Иван"), "sren", "forgotten-meanwhile"]
    sensors = {f"seen_{level}": {"p": "sensor", "stat_t": f"limen/porch/person/{level}"} for level in old}
    household.client.publish(DISCOVERY, json.dumps({"cmps": sensors}), qos=1, retain=True)
    seen = {"name": "Анна", "last_seen": "2026-11-22T11:59:23.791Z"}
    household.client.publish(f"limen/porch/person/{old[0]}", json.dumps(seen), qos=1, retain=True)
    household.client.publish("limen/porch/person/sren", b'{"name":"\\u0000"}', qos=1, retain=True)
    household.client.subscribe("homeassistant/#", qos=1)
    until(lambda: any(message.topic == DISCOVERY for message in household.heard))
    with running(config, Nothing):
        until(lambda: household.newest(f"person/{old[0]}") == b"" and household.newest("person/sren") == b"")
        assert json.loads(until(lambda: household.newest(f"person/{anna.person_id}"))) == seen

        def removed():
            told = [json.loads(message.payload)["cmps"] for message in household.heard if message.topic == DISCOVERY]
            return any(all(cmps.get(f"seen_{level}") == {"p": "sensor"} for level in old) for cmps in told)

        until(removed)
        topics = {f"limen/porch/person/{level}" for level in (anna.person_id, ivan.person_id, "soren")}
        until(lambda: kept(broker.port)[1].keys() == topics)
        assert {topic: person["name"] for topic, person in kept(broker.port)[0].items()} == {
            f"limen/porch/person/{anna.person_id}": "Анна"
        }
    assert soren.name == "Søren"


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"cmps": {"seen_x/#": {"stat_t": 1}, "face": {}}}', b"\xff", b"[" * 9999]
)
def test_whatever_is_told_of_us_on_our_topics_is_read_without_harm(porch, household, payload):
    household.client.publish("limen/porch/person/nobody", payload, qos=1, retain=True)
    porch.publisher.people.hear_introduction(payload)
    until(lambda: list(porch.publisher.people._removed) == ["nobody"])
    until(lambda: household.on("person/nobody") and household.newest("person/nobody") == b"")


def test_more_topics_than_a_broker_sends_at_once_are_cleared(config, household, monkeypatch):
    """mosquitto queues a thousand messages for a client and drops the rest."""
    monkeypatch.setattr("edge.runtime.people_topics.AGAIN_SECONDS", 0.5)
    for number in range(2000):
        household.client.publish(f"limen/porch/person/old-{number}", b"x", qos=1, retain=True)
    until(lambda: len(household.heard) >= 2000)
    with running(config, Nothing):
        until(
            lambda: len({one.topic for one in household.heard if "/person/" in one.topic and not one.payload}) == 2000
        )
