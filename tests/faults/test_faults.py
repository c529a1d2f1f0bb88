"""A few of each fault; the programs beside this file inject as many as one likes."""

import pytest

from edge.capture.health import LASTING_SECONDS
from tests.faults import attacks, cameras, crowd, disk, files, flapping, fuzz, kills, malformed


def test_every_acknowledged_enrollment_survives_kill_9(tmp_path):
    count = kills.run(tmp_path, 4)
    assert count.kills == 4
    assert count.acknowledged > 0
    assert (count.lost, count.half) == (0, 0)


def test_every_bad_request_is_answered_with_its_code(tmp_path):
    kinds = len(malformed.every_kind())
    flood = malformed.run(tmp_path, kinds)
    assert flood.wrong == []
    assert flood.answers.total() == kinds
    assert flood.people == []
    assert all(second["fps"] > 0 for second in flood.during)
    memory = [second["rss_mb"] for second in flood.before + flood.during]
    assert max(memory) - min(memory) < 100  # nineteen pictures of 16,000,000 pixels would be 912


def test_no_event_is_lost_while_the_broker_comes_and_goes(tmp_path):
    count = flapping.run(tmp_path, 3)
    assert count.expected > 3
    assert (count.lost, count.dropped) == (0, 0)
    assert count.delivered == count.expected
    assert count.frames_while_away > 0


@pytest.mark.parametrize("kind", disk.DISKS)
def test_a_disk_that_cannot_be_written_is_said_and_nobody_is_gone(tmp_path, kind):
    if not disk.can_mount():
        pytest.skip("a disk cannot be mounted here: this is for root")
    count = disk.run(tmp_path, disk.DISKS[kind](tmp_path), 1)
    assert (count.faults, count.reported, count.lost, count.gone) == (1, 1, 0, 0)
    assert count.recovered == disk.DISKS[kind].mends_at_work
    assert set(count.refused) == {"storage"}
    assert count.events > 0


@pytest.mark.parametrize("kind", [kind for kind in files.FAULTS if kind != "immutable"])
def test_files_that_are_replaced_or_damaged_are_named_and_nobody_is_gone(tmp_path, kind):
    count = files.run(tmp_path, files.FAULTS[kind], 1)
    assert (count.faults, count.named, count.worked, count.gone) == (1, 1, 1, 0)
    assert count.acknowledged > 0


def test_anything_at_all_is_answered_or_refused_as_documented(tmp_path):
    tallies = fuzz.run(tmp_path, 2_000)
    assert {name: tally.findings for name, tally in tallies.items()} == {name: [] for name in tallies}
    assert sum(tally.outcomes.total() for tally in tallies.values()) >= 2_000
    assert {"ok", "not_json", "invalid", "unknown_verb"} <= set(tallies["requests"].outcomes)
    assert {"ok", "not_an_image", "image_too_large", "image_broken"} <= set(tallies["pictures"].outcomes)


def test_requests_are_answered_while_many_people_are_enrolled(tmp_path):
    seen = crowd.run(tmp_path, 1500, 3.0)
    assert seen.wrong == []
    assert {"enroll/image: ok", "person/rename: ok", "person/remove: ok"} <= set(seen.answers)
    assert seen.answers["person/list: ok"] >= 2 * seen.answers["person/remove: ok"]  # of two pages
    assert all(second["fps"] > 0 for second in seen.during)


def test_others_are_answered_while_somebody_floods_the_device(tmp_path):
    # Not more than the broker's queue takes (1,000): it drops what comes then, whoever sends it.
    seen = attacks.run(tmp_path, 3.0, 500, "one", "full_queue", usual_seconds=3)
    assert seen.attacker.codes["ok"] > 100
    assert seen.other.codes == {"ok": seen.other.asked}
    assert all(second["fps"] > 0 for second in seen.during)
    assert seen.gallery_bytes[0] == seen.gallery_bytes[1]


def test_others_are_answered_while_somebody_sends_pictures_that_take_long(tmp_path):
    seen = attacks.run(tmp_path, 3.0, 1000, "one", "slow_pictures", usual_seconds=1)
    assert set(seen.attacker.codes) >= {"ok", "image_too_large"}
    assert seen.other.codes == {"ok": seen.other.asked}
    assert all(second["fps"] > 0 for second in seen.during)
    assert seen.during[-1]["workers_lost"] == 0


def test_a_camera_that_shows_nothing_is_named_and_recovers(tmp_path):
    count = cameras.run(tmp_path, 1, list(cameras.KINDS))
    assert (count.faults, count.named, count.wrong) == (4, 4, 0)
    assert count.lines == 2 * count.faults
    assert min(count.seconds) >= LASTING_SECONDS / 2  # torn: half of the frames of so many seconds
