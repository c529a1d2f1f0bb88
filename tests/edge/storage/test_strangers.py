"""Strangers on a real disk, and what jumps of the clock do to them."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pytest

from edge.errors import GalleryError
from edge.storage.gallery import SqliteGallery
from edge.storage.strangers import SqliteStrangers
from edge.system import clock as clocks
from edge.system.clock import Clock

MODEL = "a" * 64
VECTOR, CROP = np.eye(1, 128, dtype=np.float32)[0], np.full((112, 112, 3), 9, np.uint8)
HOUR, DAY, YEAR = 3600.0, 86_400.0, 365 * 86_400.0
START = 1_900_000_000.0
KEEP_DAYS = 30


@pytest.fixture
def db(tmp_path):
    store = SqliteGallery(tmp_path / "gallery.db", MODEL)
    yield store
    store.close()


def test_a_newcomer_replaces_whoever_was_not_seen_for_longest_whatever_the_clock_did(db):
    strangers = SqliteStrangers(db, strangers_max=2)
    first, second = (strangers.meet(None, VECTOR, CROP) for _ in range(2))
    db.execute("UPDATE stranger SET last_seen = '2099-01-01T00:00:00.000Z' WHERE id = ?", (first,))
    newcomer = strangers.meet(None, VECTOR, CROP)
    people, templates = strangers.load()
    assert {stranger.stranger_id for stranger in people} == {second, newcomer}
    assert {template.person_id for template in templates} == {second, newcomer}
    strangers.meet(second, None, None)
    last = strangers.meet(None, None, None)
    assert {stranger.stranger_id for stranger in strangers.load()[0]} == {second, last}


def test_nothing_of_who_is_pushed_out_is_left_on_the_disk(db, tmp_path):
    strangers = SqliteStrangers(db, strangers_max=1)
    vector = np.random.default_rng(0).normal(size=128).astype(np.float32)
    vector /= np.linalg.norm(vector)

    def left():
        return any(vector.tobytes()[:64] in file.read_bytes() for file in tmp_path.iterdir())

    strangers.meet(None, vector, CROP)
    assert left()
    strangers.meet(None, VECTOR, CROP)
    assert not left()


@dataclass
class World:
    """A machine's clocks. known: whether the network has set the time of day."""

    wall: float = START
    passed: float = 0.0
    known: bool = True

    def wait(self, seconds):
        self.wall += seconds
        self.passed += seconds


class Device:
    """What purges once a minute, as the loop of a device does."""

    def __init__(self, db, world):
        db.clock = Clock(db, elapsed_seconds=lambda: world.passed)
        self.world, self.clock, self.strangers = world, db.clock, SqliteStrangers(db)
        self.purge()

    def purge(self):
        now = self.clock.now()
        if now is None:
            return 0
        return self.strangers.purge(unseen_since=now - KEEP_DAYS * DAY)

    def run(self, days):
        """Returns how many were purged."""
        purged = 0
        for _ in range(round(days * 2)):
            self.world.wait(DAY / 2)
            purged += self.purge()
        return purged

    def meet(self):
        return self.strangers.meet(None, VECTOR, CROP)

    def last_seen(self):
        (stranger,) = self.strangers.load()[0]
        return datetime.fromisoformat(stranger.last_seen).timestamp()


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(clocks.time, "time", lambda: world.wall)
    monkeypatch.setattr(clocks, "ASK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(clocks, "synchronized", lambda: world.known)
    monkeypatch.setattr(clocks, "hardware_clock_agrees", lambda _now: False)
    return world


@pytest.fixture
def device(db, world):
    return Device(db, world)


def test_a_stranger_who_does_not_come_again_is_purged_after_the_days_that_are_set(device):
    device.meet()
    assert device.run(29.5) == 0
    assert device.run(1) == 1


def test_nobody_is_purged_while_the_time_of_day_is_not_set(db, world):
    world.known = False
    device = Device(db, world)
    device.meet()
    assert device.run(100) == 0
    assert device.strangers.purge(unseen_since=world.wall) == 0
    assert device.strangers.purge() == 1  # a request to purge them all does not depend on the time


@pytest.mark.parametrize("jump", [3 * HOUR, 20 * YEAR])
def test_a_sighting_before_the_time_was_set_counts_from_when_it_was(db, world, jump):
    world.known = False
    device = Device(db, world)
    device.meet()
    device.run(2)
    world.known, world.wall = True, world.wall + jump
    assert device.purge() == 0
    assert device.last_seen() == pytest.approx(world.wall, abs=1)
    assert device.run(29.5) == 0
    assert device.run(1) == 1


@pytest.mark.parametrize("jump", [3 * HOUR, 3 * YEAR])
def test_a_sighting_before_the_time_was_set_back_counts_from_when_it_was(db, world, jump):
    """At boot the machine was years ahead."""
    world.known = False
    device = Device(db, world)
    device.meet()
    world.known, world.wall = True, world.wall - jump
    assert device.purge() == 0
    assert device.run(29.5) == 0
    assert device.run(1) == 1


@pytest.mark.parametrize("jump", [2 * HOUR, 40 * DAY, 3 * YEAR])
def test_a_jump_forward_of_a_time_that_was_set_purges_nobody_and_ages_nobody(device, world, jump):
    device.meet()
    assert device.run(10) == 0
    world.wall += jump
    assert device.purge() == 0
    assert device.last_seen() == pytest.approx(world.wall - 10 * DAY, abs=1)
    assert device.run(19.5) == 0
    assert device.run(1) == 1


@pytest.mark.parametrize("jump", [2 * HOUR, 40 * DAY])
def test_a_jump_back_purges_nobody_and_keeps_nobody_for_years(device, world, jump):
    device.run(50)
    device.meet()
    world.wall -= jump
    assert device.purge() == 0
    assert device.last_seen() <= world.wall + 1
    assert device.run(31) == 1


def test_forward_and_back_again_purges_nobody(device, world):
    device.run(50)
    device.meet()
    for jump in (YEAR, -YEAR, 5 * HOUR, -5 * HOUR):
        world.wall += jump
        assert device.run(1) == 0
    assert device.run(31) == 1


def test_a_jump_whose_correction_could_not_be_written_is_corrected_later(device, world, db):
    device.meet()
    device.run(10)
    world.wall += YEAR
    db.execute("CREATE TRIGGER full BEFORE UPDATE ON stranger BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    with pytest.raises(GalleryError, match="disk is full"):
        device.purge()
    db.execute("DROP TRIGGER full")
    assert device.purge() == 0
    assert device.last_seen() == pytest.approx(world.wall - 10 * DAY, abs=1)


def test_a_machine_that_was_switched_off_counts_that_time(db, world, device):
    device.meet()
    world.wall += 31 * DAY  # and no process ran
    assert Device(db, world).strangers.load() == ([], [])


def test_what_the_release_before_wrote_is_purged_as_it_was_there(db, world, device):
    db.execute("INSERT INTO stranger (id, last_seen) VALUES ('u_1', '2030-01-01T00:00:00.000Z')")  # by its columns
    assert world.wall > 1_893_456_000 + 31 * DAY
    assert device.purge() == 1
