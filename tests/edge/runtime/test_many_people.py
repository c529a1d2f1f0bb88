"""Many people at a device and a real broker: lists come in pages, and the newest people alone have a sensor."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from edge.api.discovery import discovery_topic
from edge.api.fields import PAGE_MAX
from edge.commands.main import main
from edge.inference import embedder
from edge.inference.embedder import Embedder
from edge.storage.gallery import SqliteGallery
from tests.edge.mqtt.brokers import mosquitto
from tests.household import Household, Nothing, portrait_jpeg, running, until

DISCOVERY = discovery_topic("homeassistant", "porch")


def fill(config, count):
    """That many people, unlike one another; returns their names in the order of enrollment."""
    card, rng = Embedder(embedder.STANDARD).card, np.random.default_rng(0)
    store, crop = SqliteGallery(config.gallery.path, card.sha256), np.zeros((112, 112, 3), np.uint8)
    with store.transaction():
        for number in range(count):
            look = rng.normal(size=128).astype(np.float32)
            store.add(f"Guest {number}", [look / np.linalg.norm(look)], [crop])
    names = [person.name for person in store.people()]
    store.close()
    return names


def pages(household, **fields):
    """The names on each page."""
    found, after = [], {}
    while True:
        answer = household.ask("person/list", {"transaction": f"page {len(found)}", **fields, **after})
        assert answer["status"] == "ok", answer
        found.append([person["name"] for person in answer["data"]["people"]])
        if "next" not in answer["data"]:
            return found
        after = {"after": answer["data"]["next"]}


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_list_comes_in_pages_that_the_broker_takes(config, tmp_path, version):
    names = fill(config, 400)
    with mosquitto(tmp_path, "max_packet_size 20000") as broker, Household(broker.port) as household:
        limit = None if version == "5" else 20_000  # MQTT 3.1.1 cannot say it
        mqtt = replace(config.mqtt, port=broker.port, version=version, packet_bytes_max=limit)
        with running(replace(config, mqtt=mqtt), Nothing) as porch:
            until(lambda: household.newest("status") == b"online")
            found = pages(household)
            assert len(found) > 2
            assert [name for page in found for name in page] == names
            assert all(len(message.payload) < 20_000 for message in household.on("response/person/list"))
            at = ["--broker", f"127.0.0.1:{broker.port}", "--device", "porch"]
            shown = CliRunner().invoke(main, ["people", *at, "--json"], catch_exceptions=False).output
            assert [person["name"] for person in json.loads(shown)["people"]] == names
            assert porch.link.connections == 1


def test_who_asks_without_a_limit_gets_a_page_and_who_was_on_it_may_be_removed_meanwhile(config, household):
    names = fill(config, PAGE_MAX + 1)
    with running(config, Nothing):
        until(lambda: household.newest("status") == b"online")
        assert pages(household) == [names[:-1], names[-1:]]
        first = household.ask("person/list", {"transaction": "first", "limit": 3})["data"]
        assert [person["name"] for person in first["people"]] == names[:3]
        assert household.ask("person/remove", {"transaction": "r", "name": names[2]})["status"] == "ok"
        second = household.ask("person/list", {"transaction": "second", "limit": 3, "after": first["next"]})["data"]
        assert [person["name"] for person in second["people"]] == names[3:6]
        assert household.ask("person/list", {"transaction": "none", "limit": 0})["code"] == "invalid"
        told = json.loads(household.newest("gallery"))
        assert told["count"] == PAGE_MAX
        assert [person["name"] for person in told["people"]] == names[-100:]


def test_those_enrolled_last_alone_have_a_sensor(config, household):
    *_, before, last = fill(config, 5)
    config = replace(config, home_assistant=replace(config.home_assistant, people_max=2))
    household.client.subscribe("homeassistant/#", qos=1)

    def sensors():
        told = [message.payload for message in household.heard if message.topic == DISCOVERY]
        parts = json.loads(told[-1])["cmps"].items() if told else ()
        return [part.get("name") for key, part in parts if key.startswith("seen_")]

    with running(config, Nothing):
        until(lambda: sensors() == [f"{before} last seen", f"{last} last seen"])
        enrolled = {"transaction": "e", "name": "Eileen", "images": [portrait_jpeg()]}
        assert household.ask("enroll/image", enrolled)["status"] == "ok"
        until(lambda: sensors() == [f"{last} last seen", "Eileen last seen"])
        removals = [json.loads(message.payload)["cmps"] for message in household.heard if message.topic == DISCOVERY]
        assert any(cmps.get(f"seen_{before.lower().replace(' ', '-')}") == {"p": "sensor"} for cmps in removals)
        assert household.ask("person/remove", {"transaction": "r", "name": "Eileen"})["status"] == "ok"
        until(lambda: sensors() == [f"{before} last seen", f"{last} last seen"])
