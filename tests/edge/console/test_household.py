"""What the console knows and asks, against a real broker."""

import asyncio
import json
import threading
import time
from contextlib import asynccontextmanager, suppress

import pytest

from edge.config import MqttConfig
from edge.console.camera import EVENTS_MAX
from edge.console.household import CAMERAS_MAX, WAITING_MAX, Asker, Household
from edge.errors import BrokerError
from tests.edge.mqtt.test_controller import SOON_SECONDS, answering
from tests.household import until


@pytest.fixture
def console(broker):
    console = Household(MqttConfig(host="127.0.0.1", port=broker.port))
    console.start()
    yield console
    console.stop()


def publish(household, device, name, payload, *, retain=True):
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    household.client.publish(f"limen/{device}/{name}", data, qos=1, retain=retain).wait_for_publish(10)


def test_it_knows_every_camera_and_what_they_say(console, household):
    publish(household, "garden", "status", b"offline")
    publish(household, "porch", "status", b"online")
    until(lambda: len(console.cameras()) == 2)
    publish(household, "porch", "info", {"version": "9", "embedder": {"name": "embedder"}, "later": 1})
    publish(household, "porch", "health", {"fps": 10.0, "camera_ok": False, "clock_set": False})
    publish(household, "porch", "presence", {"state": "Anna", "people": ["Anna"]})
    event = {"event_type": "unknown", "id": "e1", "ts": "2026-01-01T00:00:00Z", "phase": "new"}
    publish(household, "porch", "event", event, retain=False)
    until(lambda: console.camera("porch") and console.camera("porch").events)
    porch = console.camera("porch")
    assert [one.device for one in console.cameras()] == ["garden", "porch"]
    assert (porch.about.version, porch.presence.people, porch.online) == ("9", ["Anna"], True)
    assert porch.health.problems() == ["camera: no frames", "the time of day is not set"]
    assert console.camera("nobody's").device == "porch"  # the first that is online
    publish(household, "garden", "status", b"")
    until(lambda: len(console.cameras()) == 1)


def test_what_a_page_holds_does_not_change_under_it(console, household):
    publish(household, "porch", "status", b"online")
    until(console.cameras)
    porch = console.camera("porch")
    event = {"event_type": "unknown", "id": "e", "ts": "2026-01-01T00:00:00Z", "phase": "new"}
    publish(household, "porch", "event", event, retain=False)
    until(lambda: console.camera("porch").events)
    assert not porch.events
    for ts in ("", "yesterday", "2026-01-01T00:00:00"):
        publish(household, "porch", "event", event | {"id": "bad", "ts": ts}, retain=False)
    publish(household, "porch", "event", event | {"id": "last"}, retain=False)
    until(lambda: len(console.camera("porch").events) == 2)
    assert [one.id for one in console.camera("porch").events] == ["last", "e"]


@pytest.mark.usefixtures("no_collection")
def test_what_cannot_be_read_and_what_is_too_much_changes_nothing(console, household):
    publish(household, "porch", "status", b"online")
    until(console.cameras)
    for payload in (b"[" * 10_000, b"\xff", b"{}", b"x" * 100_000, {"fps": "ten"}):
        for name in ("event", "health", "info", "presence", "config"):
            publish(household, "porch", name, payload, retain=False)
    event = {"event_type": "unknown", "id": "e", "ts": "2026-01-01T00:00:00Z", "phase": "new"}
    for _ in range(EVENTS_MAX + 5):
        publish(household, "porch", "event", event, retain=False)
    for number in range(CAMERAS_MAX + 5):
        publish(household, f"camera-{number}", "status", b"online")
    until(lambda: len(console.cameras()) == CAMERAS_MAX)
    porch = console.camera("porch")
    assert len(porch.events) == EVENTS_MAX
    assert porch.health is None or porch.health.fps is None


def test_the_broker_goes_and_comes_back(broker, console, household):
    publish(household, "porch", "status", b"online")
    until(lambda: console.connected and console.cameras())
    broker.stop()
    until(lambda: not console.connected)
    assert "disconnected" in console.problem
    with pytest.raises(BrokerError):
        console.ask("porch", "health/check")
    broker.start()
    until(lambda: console.connected)
    assert console.problem == ""


def test_a_camera_that_is_not_there_is_named_within_a_second(console, household):
    publish(household, "porch", "status", b"offline")
    until(console.cameras)
    with pytest.raises(BrokerError, match="porch"):
        console.ask("porch", "person/list")


@pytest.mark.parametrize("status", [b"offline", b""])
def test_the_connection_to_a_camera_that_is_gone_is_closed(console, household, status):
    others = set(threading.enumerate())
    answering(household, data={"people": []})
    publish(household, "porch", "status", b"online")
    until(console.cameras)
    assert console.people("porch") == []
    assert console.asked == ["porch"]
    publish(household, "porch", "status", status)
    until(lambda: not console.asked)
    until(lambda: not [one for one in set(threading.enumerate()) - others if "ask" not in one.name])


def test_who_asks_a_camera_that_goes_meanwhile_closes_the_connection(broker, household):
    answering(household, data={"people": []})
    asker = Asker(MqttConfig(host="127.0.0.1", port=broker.port), "porch")
    others = set(threading.enumerate())
    asker.close()
    assert asker.ask("person/list", {}) == {"people": []}
    assert set(threading.enumerate()) == others


def online_but_silent(household, console, *silent):
    """Cameras that are online and answer, but for the silent ones; returns the requests to these, as they come."""
    answering(household, data={"people": []})
    answer, unanswered = household.client.on_message, []

    def hear(client, userdata, message):
        if message.topic.split("/")[1] not in silent:
            answer(client, userdata, message)
        elif "/request/" in message.topic:
            unanswered.append(message)

    household.client.on_message = hear
    for device in ("garden", *silent):
        publish(household, device, "status", b"online")
    until(lambda: len(console.cameras()) == 1 + len(silent))
    return unanswered


def asking_threads(before=()):
    return [one for one in set(threading.enumerate()) - set(before) if one.name.startswith("ask")]


@asynccontextmanager
async def asked(console, device, count):
    """While so many requests to a camera are not answered."""
    tasks = [asyncio.create_task(console.answer(device, "person/list")) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def met(condition):
    """until(), beside what else the event loop does."""
    await asyncio.to_thread(until, condition)


def test_a_silent_camera_holds_one_thread_and_the_others_answer_at_once(console, household):
    before = threading.enumerate()
    unanswered = online_but_silent(household, console, "porch")

    async def ask():
        async with asked(console, "porch", 20):
            await met(lambda: unanswered)
            assert len(asking_threads(before)) == 1
            began = time.monotonic()
            assert await console.answer("garden", "person/list") == {"people": []}
            assert await console.everybody("garden") == []
            assert time.monotonic() - began < SOON_SECONDS
            assert len(asking_threads(before)) == 2
        publish(household, "porch", "status", b"offline")  # or the one that is asked would wait for its answer

    asyncio.run(ask())
    until(lambda: console.asked == ["garden"] and len(asking_threads(before)) == 1)
    assert len(unanswered) == 1  # who has left is not asked for


def test_who_leaves_while_a_camera_is_asked_lets_nobody_past(console, household):
    before = threading.enumerate()
    unanswered = online_but_silent(household, console, "porch")

    async def ask():
        for _ in range(5):
            async with asked(console, "porch", 1):
                await met(lambda: unanswered)
        assert len(asking_threads(before)) == 1
        publish(household, "porch", "status", b"offline")

    asyncio.run(ask())
    until(lambda: not asking_threads(before))
    assert len(unanswered) == 1


def test_not_more_than_so_many_wait_for_one_camera(console, household):
    online_but_silent(household, console, "porch")

    async def ask():
        async with asked(console, "porch", WAITING_MAX):
            await asyncio.sleep(0)
            with pytest.raises(BrokerError, match=f"{WAITING_MAX} requests .* 'porch'"):
                await console.everybody("porch")
            assert await console.everybody("garden") == []
        async with asked(console, "porch", WAITING_MAX - 1) as tasks:  # but for the one that is asked
            await asyncio.sleep(0)
            assert not [one for one in tasks if one.done()]
        publish(household, "porch", "status", b"offline")

    asyncio.run(ask())


def test_after_the_end_no_camera_is_asked(console, household):
    before = threading.enumerate()
    unanswered = online_but_silent(household, console, "porch")

    async def ask():
        async with asked(console, "porch", 3) as tasks:
            await met(lambda: unanswered)
            console.stop()
            with suppress(asyncio.CancelledError):
                await tasks[-1]  # which waited for its turn
            with pytest.raises(BrokerError, match="ends"):
                await console.answer("porch", "person/list")
        publish(household, "porch", "status", b"offline")

    asyncio.run(ask())
    until(lambda: not asking_threads(before))
    assert len(unanswered) == 1
