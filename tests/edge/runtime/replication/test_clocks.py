"""Cameras whose clocks differ."""

import json
import time

import pytest

from edge.runtime import loop, peer_clocks
from edge.runtime.assembly import Device
from edge.system.clock import PEERS_APART, Clock
from tests.edge.runtime.replication.cameras import kept_at, somebody
from tests.household import base64_of, portrait_jpeg, until


@pytest.fixture
def ahead(monkeypatch, tmp_path):
    """By how many seconds the clock of a device is ahead; the clocks are set, and looked at all the time."""
    seconds = {}
    monkeypatch.setattr(
        Clock, "now", lambda self: time.time() + seconds.get(self._settings.path.relative_to(tmp_path).parts[0], 0.0)
    )
    monkeypatch.setattr(peer_clocks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(peer_clocks, "FIRST_GREETING_SECONDS", 0.5)
    monkeypatch.setattr(peer_clocks, "GREET_SECONDS", 0.5)
    monkeypatch.setattr(loop, "EXPIRE_EVERY_SECONDS", 0.2)
    return seconds


TEN_YEARS = 3650 * 86_400.0


def clocks_named(fleet, device):
    return sorted(text for text in fleet.health(device)["problems"] if "clock" in text)


def test_a_camera_ten_years_ahead_forgets_guests_for_itself_alone(broker, camera, fleet, ahead):
    for device in ("porch", "garden", "back"):
        fleet.switch_on(camera(device, broker.port))
    picture = {"images": [portrait_jpeg()]}
    assert fleet["porch"].ask("enroll/image", {"transaction": "1", "name": "Anna", **picture})["status"] == "ok"
    guest = {"transaction": "2", "name": "Guest", "images": [base64_of(somebody())], "ttl_days": 3}
    assert fleet["porch"].ask("enroll/image", guest)["status"] == "ok"
    fleet.all_know("Anna", "Guest")

    ahead["garden"] = TEN_YEARS
    until(lambda: fleet.known("garden") == ["Anna"])
    said = "camera garden: its clock is 3650.0 days ahead of the one of this camera"
    until(lambda: clocks_named(fleet, "porch") == clocks_named(fleet, "back") == [said])
    until(lambda: len(clocks_named(fleet, "garden")) == 2)
    time.sleep(2.5)  # the broker was asked to remove the guest, and a camera that knows the guest said so
    assert [fleet.known(device) for device in ("porch", "back", "garden")] == [["Anna", "Guest"]] * 2 + [["Anna"]]
    shared = {topic for topic in kept_at(broker.port) if "/household/" in topic}
    assert len(shared) == 2
    with Device.open(fleet.configs["back"]) as device:
        assert json.loads(device.store.setting(PEERS_APART)) == [said]

    fleet.switch_off("garden")  # the same after a start
    fleet.switch_on(camera("garden", broker.port))
    until(lambda: fleet.known("garden") == ["Anna"])
    time.sleep(2.5)
    assert fleet.known("porch") == ["Anna", "Guest"]

    ahead["garden"] = 0.0
    fleet.all_know("Anna", "Guest")
    until(lambda: not any(clocks_named(fleet, device) for device in fleet.on))

    ahead |= dict.fromkeys(fleet.on, 4 * 86_400.0)  # now the time of the guest is over for all
    fleet.all_know("Anna")
    until(lambda: len({topic for topic in kept_at(broker.port) if "/household/" in topic}) == 1)


def test_a_guest_of_a_camera_whose_clock_is_ahead_stays_there_and_is_named(broker, camera, fleet, ahead):
    ahead["garden"] = TEN_YEARS
    for device in ("porch", "garden"):
        fleet.switch_on(camera(device, broker.port))
    guest = {"transaction": "2", "name": "Guest", "images": [portrait_jpeg()], "ttl_days": 30}
    assert fleet["garden"].ask("enroll/image", guest)["status"] == "ok"
    said = "camera garden: a guest of its would stay for more than 3650 days by the clock of this camera"
    until(lambda: any(text.startswith(said) for text in fleet.health("porch")["problems"]))
    assert fleet.known("porch") == []
