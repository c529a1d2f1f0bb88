"""A whole device that is connected to nothing: what comes in is put there, what goes out is taken."""

import base64
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge.config import Config, GalleryConfig, HistoryConfig, MqttConfig, StrangersConfig
from edge.core.types import Frame
from edge.demo.story import portrait
from edge.mqtt.reports import Message
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop

STATUSES = {"ok", "error", "progress"}


@cache
def face(who: int) -> np.ndarray:
    """Somebody at the door, (H, W, 3) uint8 RGB."""
    return cv2.imdecode(np.frombuffer(portrait(who, look=2.0), np.uint8), cv2.IMREAD_COLOR_RGB)


@cache
def picture(who: int) -> str:
    """Somebody, in base64."""
    return base64.b64encode(portrait(who, look=2.0)).decode()


class Porch:
    """Its gallery is in that folder; it can be closed and opened again."""

    def __init__(self, folder: Path) -> None:
        mqtt = MqttConfig(request_bytes_max=200_000, image_pixels_max=1_000_000)
        gallery, strangers = GalleryConfig(folder / "gallery.db"), StrangersConfig(keep_days=1.0)
        history = HistoryConfig(keep_hours=24, scene=True)
        self.config = Config(device="porch", gallery=gallery, strangers=strangers, history=history, mqtt=mqtt)
        self.at = 0.0
        self.open()

    def open(self) -> None:
        """Switch it on."""
        self.service = DeviceLoop(self.config, Device.open(self.config))

    def close(self) -> None:
        """Switch it off."""
        self.service.dispatcher.close()
        self.service.outbox.close()
        self.service.device.close()

    def see(self, picture: np.ndarray) -> list[tuple[str, str]]:
        """Somebody comes and goes: each event's id and kind."""
        before = set(self.service.publisher._recent)
        for image in [picture] * 8 + [np.zeros_like(picture)] * 2:
            self.at += 0.2 if image is picture else 10.0
            self.service._process(Frame(image, self.at))
        self.check()
        return [
            (name, event.event_type) for name, event in self.service.publisher._recent.items() if name not in before
        ]

    def hear(
        self, topic: str, payload: bytes, *, retain: bool = False, answer_to: str | None = None
    ) -> list[dict[str, object]]:
        """What it answers to a message. Raises AssertionError where that is not one answer, and the gallery whole."""
        link, dispatcher = self.service.link, self.service.dispatcher
        live = dispatcher._live.session is not None
        link.receive(Message(topic, payload, retain, answer_to, b"\x07"))
        while len(link._inbox) or dispatcher.waiting:
            self.service.process_requests()
        answers = [json.loads(message.payload) for message in link._waiting]
        assert all(len(message.topic.encode()) < 65_536 for message in link._waiting)
        link._waiting.clear()
        asked = self.service.topics.verb_of(topic) is not None
        ended = live and dispatcher._live.session is None  # and that was answered too
        assert len(answers) == asked + ended, f"{len(answers)} answers: {answers}"
        for answer in answers:
            assert answer["status"] in STATUSES
            assert (answer["status"] == "error") == bool(answer["code"] and answer["error"]), answer
        self.check()
        return answers

    def check(self) -> None:
        """What is in memory is what is on the disk, and every template is somebody's."""
        device = self.service.device
        people, templates = device.store.load()
        assert {person.person_id for person in people} >= {template.person_id for template in templates}
        assert list(device.recognizer.gallery.people.values()) == people
        known = {(one.template_id, one.person_id, one.negative) for one in device.recognizer.gallery.templates}
        assert known == {(one.template_id, one.person_id, one.negative) for one in templates}
