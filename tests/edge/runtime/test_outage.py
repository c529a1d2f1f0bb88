"""What was seen while the broker was away is told when it is back; too late, it is told where nobody acts on it."""

import json
import signal
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.config import CameraConfig, Config, GalleryConfig, MqttConfig
from edge.core.events import Event
from edge.core.types import Frame
from edge.errors import OutboxError
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from tests.edge.mqtt.brokers import mosquitto, server
from tests.household import Household, Nothing, running, until


@pytest.fixture
def config(broker, tmp_path):
    return Config(
        device="porch",
        clock="trusted",
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


@pytest.mark.parametrize("behind_seconds", [20_000, 0])
def test_an_old_event_is_not_new_again_because_the_clock_is_behind(
    broker, config, household, monkeypatch, behind_seconds
):
    """A Pi without a network boots with the time at which it was last switched off (0), or an older one."""
    broker.stop()
    tell_offline(config, range(3))
    broker.start()
    until(household.client.is_connected)
    at_boot = time.time() - behind_seconds
    monkeypatch.setattr("edge.runtime.publisher.time.time", lambda: at_boot)
    monkeypatch.setattr("edge.system.clock.synchronized", lambda: False)
    monkeypatch.setattr("edge.system.clock.hardware_clock_agrees", lambda _now: False)
    with running(replace(config, clock="system"), Nothing):
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


def snapshot_config(broker, tmp_path, **changes):
    mqtt = MqttConfig(host="127.0.0.1", port=broker.port, snapshot=True, **changes)
    return Config(device="porch", gallery=GalleryConfig(tmp_path / "gallery.db"), mqtt=mqtt)


class Sharp(Nothing):
    """Pictures that do not compress."""

    def __init__(self):
        self._picture = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)

    def read(self, timeout_seconds):
        super().read(timeout_seconds)
        return Frame(self._picture, time.monotonic())


@pytest.mark.parametrize("kind", ["announced", "configured", "unknown"])
def test_an_answer_that_is_too_large_for_the_broker_is_said_to_be_and_the_device_goes_on(tmp_path, kind):
    """announced: MQTT 5; configured, unknown: 3.1.1, in which a broker cannot say its limit."""
    version = "5" if kind == "announced" else "3.1.1"
    limit = 20_000 if kind == "configured" else None
    with mosquitto(tmp_path, "max_packet_size 20000") as broker, Household(broker.port) as household:
        config = snapshot_config(broker, tmp_path, version=version, packet_bytes_max=limit)
        with running(config, Sharp) as service:
            until(lambda: service.running.newest is not None and household.newest("status") == b"online")
            for number in range(3):
                answer = household.ask("snapshot/get", {"transaction": f"s{number}"})
                assert answer["code"] == "answer_too_large"
                assert ("20000 bytes" in answer["error"]) == (kind != "unknown")
                assert household.ask("person/list", {"transaction": f"p{number}"})["status"] == "ok"
        assert service.link.connections == (4 if kind == "unknown" else 1)  # of what is larger, it knows by then


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_response_topic_that_no_broker_takes_does_not_silence_the_device(broker, tmp_path, household, version):
    """An attacker names it. mosquitto passes it on, and closes the connection of whoever answers there."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic, properties.CorrelationData = "limen/answers/" + "/".join("x" * 248), b"7"
    with running(snapshot_config(broker, tmp_path, version=version), Nothing) as service:
        until(lambda: household.newest("status") == b"online")
        for number in range(3):
            answer = household.ask("person/list", {"transaction": f"{number}"}, properties=properties)
            assert answer["status"] == "ok"
            household.send("x", b"garbage", properties=properties)
        assert household.ask("person/list", {"transaction": "last"})["status"] == "ok"
        assert service.link.connections == 1
        assert len(household.on("status")) == 1


@pytest.mark.parametrize("behave", ["closes", "silent"])
def test_a_port_that_is_no_broker_does_not_hold_the_frame_loop(tmp_path, behave):
    """Every call of the network is made by the network thread; the frame loop goes on meanwhile."""
    callers = set()

    def misbehave(connection):
        if behave == "silent":
            connection.recv(1000)
            connection.recv(1000)
        connection.close()

    class Counting(Nothing):
        frames = 0

        def read(self, timeout_seconds):
            self.frames += 1
            super().read(timeout_seconds)

    source, connect = Counting(), socket.create_connection

    def noted(*arguments, **options):
        callers.add(threading.current_thread().name)
        return connect(*arguments, **options)

    with server(misbehave) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr("socket.create_connection", noted)
        config = snapshot_config(port, tmp_path)
        with running(config, lambda: source) as service:
            until(lambda: len(port.came) >= 2 and source.frames > 100)
            assert not service.link.connected
    assert callers == {"mqtt"}
