"""A door to which people keep coming, and the household's page beside it: what `limen demo --console` shows."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from itertools import cycle
from pathlib import Path

from edge.config import Config, GalleryConfig, HistoryConfig, HomeAssistantConfig, MqttConfig, StrangersConfig
from edge.demo.film import Film
from edge.demo.story import ANNA, OTTO
from edge.errors import LimenError
from edge.mqtt.controller import Controller
from edge.runtime.assembly import Device
from edge.runtime.loop import DeviceLoop

VISITORS = (ANNA, OTTO, 1, ANNA, 2, OTTO)  # people of the demo's sheet, in turn
PAUSE_SECONDS = 12.0
END_SECONDS = 10.0
DEVICE = "demo"


def play_on(config: Config, folder: Path, port: int, say: Callable[[str], None], stop: threading.Event) -> None:
    """Have people come until `stop`, with the page on that port, opened in a browser where there is one.

    Raises LimenError where the page ends by itself.
    """
    config = replace(
        config,
        device=DEVICE,
        clock="trusted",
        gallery=GalleryConfig(folder / "gallery.db"),
        history=HistoryConfig(keep_hours=24.0),
        strangers=StrangersConfig(keep_days=1),
        home_assistant=HomeAssistantConfig(discovery=False),
        mqtt=replace(config.mqtt, snapshot=True, health_every_seconds=5.0),
    )
    settings = folder / "limen.toml"
    settings.write_text(toml_of(config.mqtt))
    settings.chmod(0o600)
    film = Film()
    visitors = threading.Thread(target=send_visitors, args=(film, stop), name="visitors", daemon=True)
    words = [sys.executable, "-m", "edge", "--config", str(settings), "console", "--port", str(port)]
    page = subprocess.Popen(words)  # noqa: S603 -- limen itself
    watcher = threading.Thread(target=stop_with, args=(page, stop), name="page", daemon=True)
    say(f"People come every {PAUSE_SECONDS:g} seconds. Name one in Visits, and see their next visit. Ctrl-C ends it.")
    visitors.start()
    watcher.start()
    try:
        with Device.open(config) as device:
            DeviceLoop(config, device).run(film, stop)
        ended = page.poll()
    finally:
        stop.set()
        page.terminate()
        try:
            page.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            page.kill()
            page.wait()
    if ended:
        raise LimenError(f"the page on port {port} ended with status {ended}")
    with Controller(config.mqtt, config.device) as household:  # a broker of the user's own keeps nothing of this
        household.clear()


def stop_with(page: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Have the door stop when the page does."""
    page.wait()
    stop.set()


def send_visitors(film: Film, stop: threading.Event) -> None:
    """One after the other."""
    for visit, person in enumerate(cycle(VISITORS)):
        film.send(person, first_look=0.3 * (visit % 7))
        if stop.wait(PAUSE_SECONDS):
            return


def toml_of(mqtt: MqttConfig) -> str:
    """The broker's part of a configuration; a secret of the environment is in none."""
    values = {field.name: getattr(mqtt, field.name) for field in fields(mqtt)}
    lines = [
        f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)}"
        for key, value in values.items()
        if value is not None
    ]
    return "\n".join(["[mqtt]", *lines, ""])
