"""The story that `limen demo` tells: a stranger, one picture, a friend; and another stranger."""

import base64
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np

from edge.config import Config, GalleryConfig, HomeAssistantConfig
from edge.demo.film import Film
from edge.demo.scene import HEIGHT, WIDTH, Pose, with_noise, with_person
from edge.errors import LimenError
from edge.mqtt.controller import Controller
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop
from edge.system.files import exists, is_dir

ANNA, OTTO = 0, 3  # who they are in the sheet of people
ONLINE_SECONDS, VERDICT_SECONDS = 30.0, 30.0
GREEN, RED = (90, 220, 120), (235, 96, 84)
FONT = cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2


class StoryError(LimenError):
    """The demo did not go as it should have: something is wrong with this installation."""


def play(config: Config, folder: Path, picture: Path, say: Callable[[str], None], slowness: float = 1.0) -> None:
    """Play the story against the broker of that configuration.

    folder: for the gallery of these few seconds; picture: where the annotated frame is written; slowness: see Film.
    Raises StoryError where an event differs from the story.
    """
    if not cv2.haveImageWriter(str(picture)) or not is_dir(picture.parent):
        raise StoryError(f"--picture {picture}: expected a name that ends in .jpg or .png, in a folder that is there")
    if not os.access(picture if exists(picture) else picture.parent, os.W_OK, effective_ids=True):
        raise StoryError(f"--picture {picture} is not for this user to write")
    config = replace(
        config,
        device="demo",
        gallery=GalleryConfig(folder / "gallery.db"),
        home_assistant=HomeAssistantConfig(discovery=False),
    )
    device = Device.open(config)
    film, stop = Film(slowness), threading.Event()
    story = Story(config, film, picture, say)
    # The gallery belongs to the thread that opened it, so the door has this one and the story one of its own.
    teller = threading.Thread(target=story.run, args=(stop,), name="story", daemon=True)
    teller.start()
    try:
        DeviceLoop(config, device).run(film, stop)
    finally:  # also at Ctrl-C: the story ends before its broker does
        story.stop()
        teller.join(VERDICT_SECONDS)
        device.store.close()
    if story.failure is not None:
        raise story.failure
    with Controller(config.mqtt, config.device) as household:  # a broker of the user's own keeps nothing of this
        household.clear()
    detect, embed = (device.times[stage] for stage in ("detect", "embed"))
    say("")
    say(
        f"The detector looked at {detect.count} frames, {detect.ms()['p50']:.1f} ms each; a closer look "
        f"and an encoding took {embed.ms()['p50']:.1f} ms. No frame left this process. To look at: {picture}"
    )


class Story:
    """Somebody in the household, who sends people to the door and listens to what it says."""

    def __init__(self, config: Config, film: Film, picture: Path, say: Callable[[str], None]) -> None:
        self.config, self.film, self.picture, self._say = config, film, picture, say
        self.failure: Exception | None = None
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()  # None: there will be no more
        self._begun = time.monotonic()

    def stop(self) -> None:
        """Wait for nothing more."""
        self._events.put(None)

    def run(self, stop: threading.Event) -> None:
        """From beginning to end; then the door may stop."""
        try:
            with Controller(self.config.mqtt, self.config.device, self._hear) as household:
                household.wait_until_online(ONLINE_SECONDS)
                self._tell(household)
        except Exception as error:  # noqa: BLE001 -- raised again by play()
            self.failure = error
        finally:
            stop.set()

    def _tell(self, household: Controller) -> None:
        self.say("limen/demo is online; nobody is enrolled")
        self.paragraph("A stranger comes to the door.")
        self.film.send(ANNA, first_look=0.0)
        self.expect("unknown", None)
        self.expect("unknown", None, phase="end")
        self.paragraph("The household knows her, and sends one picture of her. No training, no restart.")
        photo = portrait(ANNA, look=2.0)
        begun = time.perf_counter()
        reply = household.ask("enroll/image", {"name": "Anna", "images": [base64.b64encode(photo).decode()]})
        took_ms = 1000 * (time.perf_counter() - begun)
        self.say(f"request/enroll/image Anna, {len(photo) / 1000:.0f} kB of JPEG")
        self.say(f"response/enroll/image ok after {took_ms:.0f} ms: {reply['templates']} template of {reply['name']}")
        self.expect("enrolled", "Anna")
        self.paragraph("She returns, and looks a little different.")
        self.film.send(ANNA, first_look=1.0)
        event = self.expect("recognized", "Anna")
        self._annotate(event)
        self.expect("recognized", "Anna", phase="end")
        self.paragraph("Another stranger comes.")
        self.film.send(OTTO, first_look=0.0)
        self.expect("unknown", None)
        self.expect("unknown", None, phase="end")

    def paragraph(self, line: str) -> None:
        """A line that begins a part of the story."""
        self._say("")
        self._say(line)

    def say(self, line: str) -> None:
        """A line with the time."""
        self._say(f"  {time.monotonic() - self._begun:5.1f} s  {line}")

    def expect(self, kind: str, name: str | None, phase: str = "new") -> dict[str, Any]:
        """The next event, which must be this one. Raises StoryError."""
        patience_seconds = VERDICT_SECONDS * self.film.slowness
        try:
            event = self._events.get(timeout=patience_seconds)
        except queue.Empty:
            raise StoryError(f"no event for {patience_seconds:g} s; expected was {kind} {phase}") from None
        if event is None:
            raise StoryError("the door was stopped")
        self.say(sentence(event))
        if (event["event_type"], event["name"], event["phase"]) != (kind, name, phase):
            raise StoryError(f"the event was {event['event_type']} {event['phase']}; expected was {kind} {phase}")
        return event

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == "event":
            self._events.put(msgspec.json.decode(payload))

    def _annotate(self, event: dict[str, Any]) -> None:
        at = datetime.fromisoformat(event["ts"]).timestamp()
        image = annotated(self.film.seen_at(at), event)
        if not cv2.imwrite(str(self.picture), image[..., ::-1]):
            raise StoryError(f"{self.picture} cannot be written")


def sentence(event: dict[str, Any]) -> str:
    """An event, for people."""
    if event["phase"] == "end":
        return f"event {event['event_type']} end: {event['name'] or 'the stranger'} has left"
    if event["event_type"] in ("enrolled", "forgotten"):
        return f"event {event['event_type']} {event['name']}: {event['why']}"
    nearest = (
        "nobody is enrolled" if event["distance"] is None else f"d {event['distance']:.3f}, tau {event['tau']:.3f}"
    )
    name = f" {event['name']}" if event["name"] else ""
    return f"event {event['event_type']}{name}: {nearest}; {event['why']}"


def portrait(person: int, look: float) -> bytes:
    """A picture of somebody from the phone, as JPEG: another place, another light."""
    wall = np.full((HEIGHT, WIDTH, 3), (196, 186, 170), np.uint8)
    image = with_person(wall, person, Pose(0.5, 0.45, 200.0, turn=3.0, look=look, light=1.1))
    image = with_noise(image, np.random.default_rng(0))
    return cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def annotated(image: np.ndarray, event: dict[str, Any]) -> np.ndarray:
    """(H, W, 3) uint8 RGB with the face's box and the verdict."""
    height, width = image.shape[:2]
    left, top, wide, high = event["box"]
    corner, other = (
        (round(left * width), round(top * height)),
        (
            round((left + wide) * width),
            round((top + high) * height),
        ),
    )
    colour = GREEN if event["name"] else RED
    image = cv2.rectangle(image.copy(), corner, other, colour, 2, cv2.LINE_AA)
    text = f"{event['name'] or 'unknown'}  d {event['distance']:.3f} <= tau {event['tau']:.3f}"
    (long, tall), _ = cv2.getTextSize(text, *FONT)
    x, y = min(corner[0], width - long - 8), max(corner[1] - 8, tall + 8)
    cv2.rectangle(image, (x - 5, y - tall - 6), (x + long + 5, y + 6), (24, 24, 28), -1)
    cv2.putText(image, text, (x, y), *FONT[:2], colour, FONT[2], cv2.LINE_AA)
    return image
