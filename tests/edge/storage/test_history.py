"""Visits on the disk: bounded, found by each of their events, and gone without a trace."""

from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edge.errors import HistoryError
from edge.storage.history import SqliteHistory
from edge.storage.visit_erasure import mark
from edge.storage.visits import Bounds, Note, Pictures, Wanted

MODEL = "a" * 64
DAY = 86_400.0
NOW = 1_795_000_000.0
NOTHING = np.zeros((0, 0), np.float32)


def vector(seed):
    made = np.random.default_rng(seed).normal(size=128).astype(np.float32)
    return made / np.linalg.norm(made)


def jpeg(seed, px=112):
    noise = np.random.default_rng(seed).integers(0, 256, (px, px, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", noise)[1].tobytes()


def note(visit, person=None, at=NOW, **more):
    shape = Note(
        visit_id=f"v{visit}",
        event_id=f"v{visit}",
        kind="unknown" if person is None else "recognized",
        at=at,
        clock_set=True,
        person_id=person,
        stranger=None,
        faces=1,
        told=b"{}",
        ended=False,
        begins=True,
        pictures=Pictures(vector(visit), jpeg(visit), jpeg(1000 + visit)),
    )
    return replace(shape, **more)


@pytest.fixture
def history(tmp_path):
    with closing(SqliteHistory(tmp_path / "history.db", MODEL)) as history:
        yield history


def ids(history, **wanted):
    return [visit.visit_id for visit in history.page(Wanted(**wanted))]


def test_a_visit_is_one_row_that_each_of_its_events_finds(history):
    named = note(1, "p_a", NOW + 5, event_id="update", pictures=Pictures(vector(2), jpeg(2)))
    history.add([note(1), named, note(1, "p_a", NOW + 9, event_id="end", told=None, pictures=Pictures(), ended=True)])
    (visit,) = history.page(Wanted())
    assert (visit.visit_id, visit.kind, visit.person_id) == ("v1", "recognized", "p_a")
    assert (visit.begun, visit.ended, visit.crop, visit.scene) == (NOW, NOW + 9, True, True)
    for event_id in ("v1", "update", "end"):
        found, pictures = history.get(event_id)
        assert found == visit
        assert (pictures.crop, pictures.scene) == (jpeg(2), jpeg(1001))
        np.testing.assert_array_equal(pictures.embedding, vector(2))
    assert history.get("v2") is None
    assert history.crops([visit.number, 99]) == {visit.number: jpeg(2)}


def test_pages_go_back_in_time_whatever_is_asked_for(history):
    history.add([note(one, f"p_{one % 2}" if one % 3 else None, NOW + one) for one in range(7)])
    assert ids(history, count=3) == ["v6", "v5", "v4"]
    before = history.page(Wanted(count=3))[-1].number
    assert ids(history, before=before) == ["v3", "v2", "v1", "v0"]
    assert ids(history, person_ids=("p_1",)) == ["v5", "v1"]
    assert ids(history, kind="unknown") == ["v6", "v3", "v0"]
    assert ids(history, since=NOW + 2, until=NOW + 4) == ["v3", "v2"]


def test_what_was_said_of_a_visit_later_outlives_its_next_events(history):
    history.add([note(1, "p_a"), note(2, stranger="u_1"), note(3, "p_b")])
    history.correct("v1", "p_c")
    history.add([note(1, "p_a", NOW + 5, event_id="end", ended=True)])
    visit, _ = history.get("v1")
    assert (visit.person_id, visit.corrected, visit.ended) == ("p_c", True, NOW + 5)
    history.name_stranger("u_1", "p_d")
    history.merge(["p_b"], "p_d")
    assert ids(history, person_ids=("p_d", "p_nobody")) == ["v3", "v2"]
    history.correct("v3", None)
    assert history.get("v3")[0].kind == "unknown"
    assert history.remove("end") == ["v1", "end"]
    assert history.remove("end") == []
    history.add([note(1, "p_a", NOW + 9, event_id="later", ended=True, begins=False)])
    assert history.get("v1") is None
    history.add([note(2, event_id="later", forget=True)])
    assert ids(history) == ["v3"]


def test_a_visit_that_was_to_be_forgotten_and_is_recognized_again_is_kept(history, tmp_path):
    again = note(1, "p_a", NOW + 5, event_id="again", pictures=Pictures(vector(2), jpeg(2)))
    history.add([note(1, "p_a"), note(1, event_id="unsure", begins=False, forget=True), again])
    history.purge(Bounds(DAY, 10**9), None)
    assert ids(history) == ["v1"]
    assert history.get("again")[1].crop == jpeg(2)
    assert history.get("unsure") is None
    found = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert jpeg(1)[1200:1260] not in found


def test_a_note_that_can_never_be_written_keeps_no_other_back(history):
    bad = [note(2, faces=2**70), note(3, kind=None), note(4, event_id="\ud800")]
    left_out = history.add([note(1), *bad, note(5), note(2)])
    assert [text.split(":")[0].encode(errors="replace") for text in left_out] == [b"event v2", b"event v3", b"event ?"]
    assert ids(history) == ["v2", "v5", "v1"]
    with history.transaction():
        history.execute("DROP TABLE visit_picture")
    with pytest.raises(HistoryError, match="no such table"):  # the file's fault: the notes wait
        history.add([note(6)])
    assert history.value("SELECT count(*) FROM visit WHERE id = 'v6'") == 0


def test_of_who_is_removed_nothing_stays_and_of_others_all_but_scenes(history, tmp_path):
    anna, like_anna = vector(1), vector(1) + 0.02 * vector(9)
    history.add(
        [
            note(1, "p_anna", NOW, ended=True),
            note(2, None, NOW + DAY, pictures=Pictures(like_anna / np.linalg.norm(like_anna), jpeg(2), jpeg(1002))),
            note(3, "p_ben", NOW + 3, ended=True),  # she may stand behind him
            note(4, "p_ben", NOW + 2 * DAY),
            note(5, "p_ben", NOW + 3 * DAY, faces=2),
            note(6, None, NOW + 4 * DAY),  # somebody else
        ]
    )

    def on_disk():
        return b"".join(file.read_bytes() for file in tmp_path.iterdir())

    pieces = [picture[1200:1260] for picture in (jpeg(1), jpeg(1001), jpeg(2), jpeg(1002), jpeg(1003), jpeg(1005))]
    kept = [picture[1200:1260] for picture in (jpeg(3), jpeg(4), jpeg(1004), jpeg(6))]
    assert all(piece in on_disk() for piece in [*pieces, *kept, anna.tobytes()[:64]])
    assert history.erase_all_but(["p_ben"], anna[None], 1.27) == 2
    assert not any(piece in on_disk() for piece in [*pieces, anna.tobytes()[:64]])
    history.close()
    assert not any(piece in on_disk() for piece in pieces)
    assert all(piece in on_disk() for piece in kept)
    with closing(SqliteHistory(tmp_path / "history.db", MODEL)) as again:
        assert [(one.visit_id, one.scene) for one in again.page(Wanted())] == [
            ("v6", False), ("v5", False), ("v4", True), ("v3", False),
        ]  # fmt: skip
        assert again.erase_all_but([], NOTHING, 1.27) == 3
        assert ids(again) == ["v6"]


def test_an_erasure_that_was_cut_short_goes_on_and_until_then_nothing_is_told(history, tmp_path):
    history.add([note(1), note(2, "p_a")])
    with history.transaction():  # as where the power fails after it
        mark(history, [1])
        history.execute("INSERT INTO visit_erasure VALUES (2, 1)")
    assert history.get("v1") is None
    (visit,) = history.page(Wanted())
    assert (visit.visit_id, visit.scene, history.get("v2")[1].scene) == ("v2", False, None)
    history.close()
    with closing(SqliteHistory(tmp_path / "history.db", MODEL)) as again:
        again.finish_erasure()
        assert ids(again) == ["v2"]
        found = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert not any(picture[1200:1260] in found for picture in (jpeg(1), jpeg(1001), jpeg(1002)))
        assert jpeg(2)[1200:1260] in found


def test_a_stranger_who_is_not_kept_any_more_is_gone(history):
    history.add([note(1, stranger="u_1"), note(2, stranger="u_2"), note(3, "p_a", stranger="u_1"), note(4)])
    history.remove_strangers(["u_2"])
    assert ids(history) == ["v4", "v3", "v2"]


def test_the_oldest_go_first_by_age_number_and_bytes(history):
    history.add([note(one, "p_a", NOW + one * DAY) for one in range(6)])
    history.add([note(7, at=1000.0, clock_set=False)])
    assert history.purge(Bounds(2.5 * DAY, 10**9), None) == 0  # nothing is too old while the time is not set
    assert history.purge(Bounds(2.5 * DAY, 10**9), NOW + 5 * DAY) == 3
    assert ids(history) == ["v7", "v5", "v4", "v3"]
    assert history.purge(Bounds(2.5 * DAY, 10**9), NOW + 7 * DAY) == 2  # that of an unset clock counts from then on
    assert ids(history) == ["v7", "v5"]
    assert history.purge(Bounds(99 * DAY, 10**9, visits=1), NOW) == 1
    for one in range(10, 130):
        history.add([note(one)])
    assert history.purge(Bounds(99 * DAY, 1_500_000), NOW) >= 50
    assert history.bytes_used <= 1_500_000
    assert ids(history, count=1) == ["v129"]


def test_a_damaged_file_is_set_aside_and_a_foreign_one_is_left_alone(tmp_path, caplog):
    path = tmp_path / "history.db"
    path.write_bytes(b"no database" * 1000)
    with closing(SqliteHistory(path, MODEL)) as history:
        history.add([note(1)])
        assert "set aside" in caplog.text
        history.erase_all_but([], NOTHING, 1.27)
    assert [file.name for file in tmp_path.iterdir() if "damaged" in file.name] == []
    other = tmp_path / "other.db"
    with closing(SqliteHistory(path, MODEL)) as history:
        history.execute("CREATE TABLE recipe (name TEXT)")
        history.execute("DROP TABLE visit_picture")
    path.rename(other)
    with pytest.raises(HistoryError, match=r"another program.*history\.path"):
        SqliteHistory(other, MODEL)
