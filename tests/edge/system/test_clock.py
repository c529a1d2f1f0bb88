"""Whether the time of day is set: evidence in files and programs as a system has them."""

import json
import time
from dataclasses import replace

import pytest

from edge.runtime.assembly import Device
from edge.system import clock
from edge.system.clock import LAST_KNOWN, Clock
from tests.household import Nothing, running, until

NOW = 1_795_000_000.0


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A system that knows nothing of its time."""
    monkeypatch.setattr(clock, "TIMESYNCD", tmp_path / "synchronized")
    monkeypatch.setattr(clock, "HARDWARE_CLOCK", tmp_path / "since_epoch")
    monkeypatch.setattr(clock, "ASK_EVERY_SECONDS", 0.0)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(time, "time", lambda: NOW)
    return tmp_path


class Kept(dict):
    setting, set = dict.get, dict.__setitem__


def timedatectl(folder, says):
    program = folder / "timedatectl"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "show --property=NTPSynchronized --value" ] && echo {says}\n')
    program.chmod(0o755)


def test_a_system_that_says_nothing_has_no_clock(system):
    assert Clock(Kept()).now() is None
    timedatectl(system, "no")
    assert Clock(Kept()).now() is None


def test_it_is_set_once_the_network_has_said_it_and_stays_so(system):
    kept = Kept()
    asked = Clock(kept)
    assert asked.now() is None
    asked.keep()
    assert kept == {}
    (system / "synchronized").touch()
    assert asked.now() == NOW
    (system / "synchronized").unlink()
    assert asked.now() == NOW
    asked.keep()
    assert kept == {LAST_KNOWN: f"{NOW:.0f}"}
    assert Clock(kept).now() is None  # another boot


def test_any_other_client_is_known_by_timedatectl(system):
    timedatectl(system, "yes")
    assert Clock(Kept()).now() == NOW


@pytest.mark.parametrize(("says", "known"), [("1795000002", True), ("1794999000", False), ("5", False), ("", False)])
def test_a_hardware_clock_vouches_where_it_agrees(system, says, known):
    (system / "since_epoch").write_text(f"{says}\n")
    assert Clock(Kept()).now() == (NOW if known else None)


def test_what_is_only_vouched_for_does_not_go_backwards(system, monkeypatch):
    kept = Kept()
    trusted = Clock(kept, trusted=True)
    trusted.keep()
    for back_seconds, known in ((30, True), (90, False)):
        monkeypatch.setattr(time, "time", lambda back=back_seconds: NOW - back)
        assert (Clock(kept, trusted=True).now() is not None) is known
    (system / "synchronized").touch()  # the network knows better: it was wrong before
    corrected = Clock(kept)
    assert corrected.now() == NOW - 90
    corrected.keep()
    assert float(kept[LAST_KNOWN]) == NOW - 90


@pytest.mark.usefixtures("system")
def test_a_clock_that_was_once_far_ahead_is_believed_again_when_told_so(monkeypatch):
    kept = Kept()
    monkeypatch.setattr(time, "time", lambda: NOW + 1e8)
    Clock(kept, trusted=True).keep()
    monkeypatch.setattr(time, "time", lambda: NOW)
    clock_now = Clock(kept, trusted=True)
    assert (clock_now.now(), clock_now.gone_back_from()) == (None, NOW + 1e8)
    assert Clock(kept).gone_back_from() is None  # nothing vouches for it: that is why
    clock_now.forget()
    assert (clock_now.now(), clock_now.gone_back_from()) == (NOW, None)


def test_a_year_before_limen_is_not_believed_whoever_says_it(system, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 86_400.0)
    (system / "synchronized").touch()
    assert Clock(Kept(), trusted=True).now() is None


@pytest.mark.parametrize("seconds", [3600.0, 8 * 3600.0, 3 * 365 * 86_400.0])
def test_a_step_is_measured_once_against_a_clock_that_is_never_set(system, monkeypatch, seconds):
    (system / "synchronized").touch()
    world = {"wall": NOW + 1e9, "passed": 0.0}
    monkeypatch.setattr(time, "time", lambda: world["wall"])
    clock_now = Clock(Kept(), elapsed_seconds=lambda: world["passed"])
    assert clock_now.step() == 0.0
    for passed in (60.0, 86_400.0):
        world["wall"] += passed
        world["passed"] += passed
        assert clock_now.step() == 0.0
    for step in (seconds, -seconds):
        world["wall"] += step
        assert clock_now.step() == pytest.approx(step)
        assert clock_now.step() == 0.0
    world["wall"] += 3500.0  # too small to matter, and not added to the next one
    assert clock_now.step() == 0.0
    world["wall"] = 0.0  # not set
    assert clock_now.step() == 0.0
    world["wall"] = NOW + 2e9
    assert clock_now.step() == 0.0


def test_until_the_time_is_known_guests_stay_and_nobody_is_made_one(config, household, monkeypatch):
    known = []
    monkeypatch.setattr(clock, "synchronized", lambda: bool(known))
    monkeypatch.setattr(clock, "hardware_clock_agrees", lambda _now: False)
    monkeypatch.setattr(clock, "ASK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr("edge.runtime.loop.EXPIRE_EVERY_SECONDS", 0.0)
    device = Device.open(replace(config, clock="system"))
    guest = device.store.add("Guest", [], [], expires=NOW - 1e9)
    device.store.close()
    with running(replace(config, clock="system"), Nothing):
        until(lambda: len(household.on("health")) > 2)
        assert json.loads(household.newest("health"))["clock_set"] is False
        assert json.loads(household.newest("gallery"))["people"][0]["person_id"] == guest.person_id
        asked = household.ask("person/set", {"transaction": "1", "name": "Guest", "ttl_days": 1})
        assert asked["code"] == "clock_not_set"
        known.append("yes")
        until(lambda: json.loads(household.newest("gallery"))["people"] == [])
    records = Device.open(config).store.audit.records()
    assert [(record.verb, record.who, record.clock_set) for record in records[1:]] == [("remove", "limen itself", True)]
