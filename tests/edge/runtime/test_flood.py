"""More requests than can be answered: frames come first, others are answered, and nothing grows."""

import json
from dataclasses import replace

import pytest

from edge.mqtt.inbox import COUNT_MAX
from edge.mqtt.reports import Message
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from tests.faults import attacks
from tests.household import until


class World:
    """A clock that only requests and frames move; every request takes as long as it is said to."""

    def __init__(self, service, monkeypatch, request_seconds):
        self.now, self.service, self.frames, self.late, self.requests = 1000.0, service, 0, [], 0
        monkeypatch.setattr("edge.runtime.loop.time.monotonic", lambda: self.now)
        monkeypatch.setattr(service.link, "pending", lambda _count: [Message("limen/porch/request/config/get", b"")])

        def dispatch(*_):
            self.now += request_seconds
            self.requests += 1

        monkeypatch.setattr(service.dispatcher, "dispatch", dispatch)

    def run(self, seconds, frame_seconds):
        """A camera of ten frames a second, whose slot holds one."""
        end, next_frame = self.now + seconds, self.now
        while self.now < end:
            self.service._process_requests_between_frames()
            self.now = max(self.now, next_frame)
            self.service.running.newest_at = self.now
            while next_frame <= self.now:
                next_frame += 0.1
            self.frames += 1
            self.now += frame_seconds


@pytest.fixture
def service(config):
    config = replace(config, camera=replace(config.camera, fps_max=10.0))
    device = Device.open(config)
    loop = DeviceLoop(config, device)
    yield loop
    loop.outbox.close()
    device.close()


@pytest.mark.parametrize("frame_seconds", [0.002, 0.05, 0.09])
@pytest.mark.parametrize("request_seconds", [0.0005, 0.01, 0.06, 0.15, 0.3])
def test_requests_without_end_take_a_fifth_of_the_frames_at_most(service, monkeypatch, request_seconds, frame_seconds):
    world = World(service, monkeypatch, request_seconds)
    world.run(60, frame_seconds)
    assert world.frames >= 0.8 * 600
    assert world.requests * request_seconds >= 60 * 0.04  # and they are answered, all the same


def test_a_flood_is_answered_busy_and_grows_nothing(service):
    link, topic = service.link, "limen/porch/request/person/list"
    before = attacks.gallery_bytes(service.config.gallery.path.parent)
    for number in range(2000):
        request = json.dumps({"transaction": f"flood-{number}"}).encode()
        link.receive(Message(topic, request, response_topic="limen/answers/flood/1", correlation=b"flood"))
    link.receive(Message(topic, b'{"transaction": "other"}', response_topic="limen/answers/other/1"))
    service.process_requests()
    answers = [json.loads(message.payload) for message in link._waiting]
    busy = [answer for answer in answers if answer["code"] == "busy"]
    assert len(answers) == COUNT_MAX + len(busy)
    assert 0 < len(busy) == 2001 - COUNT_MAX - link.refused < 20
    assert busy[0]["data"] == {"retry_after_seconds": 1.0}
    assert busy[0]["transaction"].startswith("flood-")
    assert "ask again in 1 s" in busy[0]["error"]
    other = [number for number, answer in enumerate(answers) if answer["transaction"] == "other"]
    assert other
    assert other[0] < 20  # in turn, not behind all others
    assert attacks.gallery_bytes(service.config.gallery.path.parent) == before


@pytest.mark.usefixtures("porch")
def test_answers_that_the_broker_does_not_take_yet_are_not_pushed_out(porch, household):
    """Nobody waits for an answer before asking again."""
    porch.link._out._queue_max = 70
    for number in range(250):
        household.send("health/check", {"transaction": f"many-{number}"})
    until(lambda: len(household.on("response/health/check")) == 250)
    assert porch.link.dropped == 0
