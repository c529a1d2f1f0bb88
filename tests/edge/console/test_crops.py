"""Faces that a page holds, against a real broker: as the newest visits show them, and of nobody who is forgotten."""

import asyncio
from functools import partial

import pytest

from edge.config import MqttConfig
from edge.console.crops import Crops
from edge.console.household import Household
from tests.edge.mqtt.test_controller import answering

VISITS = [{"id": f"v{number}", "person_id": f"p{number % 3}"} for number in reversed(range(6))]


@pytest.fixture
def crops(broker, household):
    answering(household, data={"visits": VISITS, "crops": {row["id"]: f"face of {row['id']}" for row in VISITS}})
    console = Household(MqttConfig(host="127.0.0.1", port=broker.port))
    yield Crops(partial(console.answer, "porch"), "recognized", "person_id")
    console.stop()


async def load(crops):
    return [page async for page in crops.load()]


def test_a_face_is_that_of_the_newest_visit_and_goes_with_whoever_is_forgotten(crops):
    crops.keep({"p0", "p1"})
    assert len(asyncio.run(load(crops))) == 1
    assert [crops.of(one) for one in ("p0", "p1", "p2")] == ["face of v3", "face of v4", None]
    crops.keep({"p1"})
    assert (crops.of("p0"), crops.of("p1")) == (None, "face of v4")
    assert asyncio.run(load(crops)) == []  # nothing is asked: nobody is missing
    crops.keep({"p0", "p1"})
    assert crops.of("p0") is None


def test_of_whoever_is_forgotten_while_visits_are_read_nothing_is_kept(crops):
    crops.keep({"p0", "p1"})

    async def forget():
        reading = asyncio.create_task(load(crops))
        await asyncio.sleep(0)  # until it is asked
        crops.keep({"p1"})
        await reading

    asyncio.run(forget())
    assert (crops.of("p0"), crops.of("p1")) == (None, "face of v4")
