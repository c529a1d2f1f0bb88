"""What was seen while the broker was away is told when it is back; too late, it is told where nobody acts on it."""

import json
import signal
import threading
import time
from dataclasses import replace

import pytest

from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.core.events import Event
from edge.errors import OutboxError
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from tests.household import Nothing, running, until


@pytest.fixture
def config(broker, tmp_path):
    return Config(
        device="porch",
        camera=CameraConfig("images", "none"),
        gallery=GalleryConfig(tmp_path / "gallery.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port, health_every_seconds=0.1),
    )


def seen(number):
    return Event("unknown", "new", f"t{number}", 0.0, None, None, "in a test", votes={"unknown": 3}, box=(0, 0, 1, 1))


def tell_offline(config, events):
    """Publish events with no broker there, and end as if switched off: nothing was delivered."""
    service = DeviceLoop(config, Device.open(config))
    for number in events:
        service.publisher.publish(seen(number))
    stopped = threading.Event()
    stopped.set()
    service.run(Nothing(), stopped)
    service.device.store.close()
    assert service.link.connections == 0


def tracks(household, name):
    return [json.loads(message.payload)["track"] for message in household.on(name)]


def test_what_was_seen_before_the_power_went_is_told_when_it_is_back(broker, config, household):
    broker.stop()
    tell_offline(config, range(40))
    tell_offline(config, range(40, 50))
    broker.start()
    until(household.client.is_connected)
    with running(config, Nothing):
        until(lambda: len(household.on("event")) >= 50)
    assert list(dict.fromkeys(tracks(household, "event"))) == [f"t{number}" for number in range(50)]
    events = household.events()
    assert sorted({event["seq"] for event in events}) == list(range(1, 51))
    assert len({event["id"] for event in events}) == 50
    assert household.on("event/late") == []


def test_after_an_outage_of_a_day_nothing_is_lost_and_nothing_fires_late(broker, config, household, monkeypatch):
    broker.stop()
    tell_offline(config, range(1440))  # one a minute
    broker.start()
    until(household.client.is_connected)
    a_day_later = time.time() + 86_400
    monkeypatch.setattr("edge.runtime.publisher.time.time", lambda: a_day_later)
    with running(config, Nothing):
        until(lambda: len(set(tracks(household, "event/late"))) == 1440, 60)
    assert list(dict.fromkeys(tracks(household, "event/late"))) == [f"t{number}" for number in range(1440)]
    assert household.on("event") == []


def test_what_was_under_way_when_the_broker_hung_does_not_fire_late(broker, config, household):
    """It had been sent, was not acknowledged, and is stale by the time there is a broker again."""
    config = replace(config, mqtt=replace(config.mqtt, event_expiry_seconds=2))

    class Hanging(Nothing):
        step = 0

        def read(self, timeout_seconds):
            if self.step == 0 and service.link.connected:
                broker.process.send_signal(signal.SIGSTOP)
                for number in range(20):  # more than may be under way at once
                    service.publisher.publish(seen(number))
                self.step = 1
                heard_again.wait(60)  # or the device is back before the household, whose session the broker has lost
            super().read(timeout_seconds)

    heard_again, source = threading.Event(), Hanging()
    household.client.on_subscribe = lambda *_: heard_again.set()
    with running(config, lambda: source) as service:
        until(lambda: source.step == 1)
        time.sleep(2.5)
        broker.process.kill()
        broker.process.wait()
        broker.start()
        until(lambda: len(set(tracks(household, "event/late"))) == 20, 60)
    assert household.on("event") == []
    assert list(dict.fromkeys(tracks(household, "event/late"))) == [f"t{number}" for number in range(20)]


def test_an_old_event_is_not_new_again_because_the_clock_is_behind(broker, config, household, monkeypatch):
    """A Pi without a network boots with the time at which it was last switched off, or an older one."""
    broker.stop()
    tell_offline(config, range(3))
    broker.start()
    until(household.client.is_connected)
    hours_behind = time.time() - 20_000
    monkeypatch.setattr("edge.runtime.publisher.time.time", lambda: hours_behind)
    with running(config, Nothing):
        until(lambda: len(household.on("event/late")) == 3)
    assert household.on("event") == []


def test_a_disk_that_cannot_be_written_is_said_and_the_events_come_all_the_same(config, household):
    service = DeviceLoop(config, Device.open(config))

    class Watching(Nothing):
        reads = 0

        def read(self, timeout_seconds):
            self.reads += 1
            if self.reads == 1:
                service.outbox._db.execute("PRAGMA query_only = ON")
                for number in range(5):
                    service.publisher.publish(seen(number))
            self.ended = self.reads > 100
            super().read(timeout_seconds)

    service.run(Watching(), threading.Event())
    until(lambda: len(set(tracks(household, "event"))) == 5)
    health = [json.loads(message.payload)["outbox_problem"] for message in household.on("health")]
    assert any(problem is not None and "readonly" in problem for problem in health)


def test_two_doors_do_not_share_an_outbox(config):
    with running(config, Nothing), pytest.raises(OutboxError, match="another limen run has it"):
        DeviceLoop(config, Device.open(config))
