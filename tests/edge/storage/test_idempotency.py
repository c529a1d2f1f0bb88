"""Answers that are kept, and the nonces of signed requests: for how long, and how many at most."""

import time

import pytest

from edge.storage.database import Database
from edge.storage.idempotency import KEPT_SECONDS, Answers, hashed
from edge.storage.nonces import Nonces

HOUR, YEAR = 3600.0, 365 * 86_400.0


@pytest.fixture
def db(tmp_path):
    db = Database(tmp_path / "gallery.db")
    yield db
    db.close()


class Running:
    """A process that keeps answers. passed: seconds since it started."""

    def __init__(self, db, **limits):
        self.passed = 0.0
        self.answers = Answers(db, lambda: self.passed, **limits)

    def keep(self, *transactions, payload=b"answer"):
        for transaction in transactions:
            self.answers.keep(transaction, "digest", payload)

    def known(self, *transactions):
        return [transaction for transaction in transactions if self.answers.given(transaction) is not None]


def test_an_answer_is_kept_for_a_day_of_running(db):
    process = Running(db)
    process.keep("old")
    process.passed = KEPT_SECONDS - 1
    process.keep("new")
    assert process.known("old", "new") == ["old", "new"]
    process.passed += 2
    process.keep("newest")
    assert process.known("old", "new", "newest") == ["new", "newest"]
    assert process.answers.given("new") == ("digest", b"answer")


@pytest.mark.parametrize("jump", [2 * HOUR, -2 * HOUR, 30 * YEAR, -30 * YEAR])
@pytest.mark.parametrize("restarted", [False, True])
def test_no_jump_of_the_time_of_day_drops_an_answer(db, monkeypatch, jump, restarted):
    process = Running(db)
    process.keep("before")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + jump)
    if restarted:
        process = Running(db)
    process.keep("after")
    assert process.known("before", "after") == ["before", "after"]
    process.passed += KEPT_SECONDS + 1
    process.keep("a day later")
    assert process.known("before", "after", "a day later") == ["a day later"]


def test_its_age_counts_on_over_a_restart(db):
    process = Running(db)
    process.keep("old")
    process.passed = KEPT_SECONDS - HOUR
    process.keep("new")
    again = Running(db)
    again.passed = 2 * HOUR
    again.keep("newest")
    assert again.known("old", "new", "newest") == ["new", "newest"]


def test_what_the_release_before_kept_is_known(db):
    db.execute(
        "INSERT INTO answer (request, payload, at, digest) VALUES (?, x'31', ?, 'd')", (hashed("t"), time.time())
    )
    process = Running(db)
    process.keep("new")
    assert process.answers.given("t") == ("d", b"1")


def test_there_are_at_most_so_many_and_the_oldest_go_first(db):
    process = Running(db, answers_max=3)
    process.keep(*"abcde")
    assert process.known(*"abcde") == ["c", "d", "e"]
    process.keep("c")  # again: it is the newest
    process.keep("f")
    assert process.known(*"abcdef") == ["c", "e", "f"]


def test_they_have_at_most_so_many_bytes_and_the_newest_always_stays(db):
    process = Running(db, bytes_max=25, bytes_counted_every=1)
    process.keep(*"abcd", payload=bytes(10))
    assert process.known(*"abcd") == ["c", "d"]
    process.keep("e", payload=bytes(100))
    assert process.known(*"abcde") == ["e"]


def test_an_answer_of_somebody_who_was_removed_is_empty_and_the_request_stays_known(db):
    process = Running(db)
    process.keep("t")
    process.answers.drop()
    assert process.answers.given("t") == ("digest", b"")
    assert db.checkpoint_pending


def test_what_a_client_chose_as_a_transaction_is_not_on_the_disk(db, tmp_path):
    Running(db).keep("Alice Unmistakable")
    assert b"Unmistakable" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_a_key_has_at_most_so_many_nonces_and_no_dropped_one_is_new_again(db):
    nonces = Nonces(db, nonces_max=3)
    for number in range(10):
        nonces.consume_nonce("key", f"n{number}", 1000 + number)
    nonces.consume_nonce("other", "n0", 5)
    assert [number for number in range(10) if nonces.seen("key", f"n{number}")] == [7, 8, 9]
    assert nonces.seen("other", "n0")
    assert (nonces.newest_ms("key"), nonces.newest_ms("other"), nonces.newest_ms("none")) == (1009, 5, None)
    nonces.consume_nonce("key", "late", 1)  # api.signing refuses it: it was signed before the newest
    assert nonces.newest_ms("key") == 1009


def test_nonces_of_one_millisecond_are_bounded_too(db):
    nonces = Nonces(db, nonces_max=3)
    for number in range(10):
        nonces.consume_nonce("key", f"n{number}", 1000)
    assert db.value("SELECT count(*) FROM nonce") == 3


def test_of_a_clock_that_was_ahead_nothing_but_the_order_is_forgotten(db):
    nonces = Nonces(db, nonces_max=4)
    for number, at_ms in enumerate([1000, 2000, 3000, 90_000_000, 91_000_000]):
        nonces.consume_nonce("key", f"n{number}", at_ms)
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (91_000_000, 1000)
    nonces.forget_after(60_000)
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (3000, 1000)
    assert [nonces.seen("key", f"n{number}") for number in range(5)] == [False, True, True, True, True]
    nonces.consume_nonce("key", "n5", 4000)
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (4000, 2000)
    assert [nonces.seen("key", f"n{number}") for number in range(6)] == [False, False, True, True, True, True]
    nonces.forget_after(60_000)  # again: nothing changes
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (4000, 2000)


def test_what_an_earlier_limen_dropped_stays_out_of_order(db):
    """It kept no times beside the nonces, and dropped those of more than a minute before the newest."""
    with db.transaction():
        db.execute("INSERT INTO nonce VALUES ('key', 'n', 500000), ('key', 'm', 450000)")
    nonces = Nonces(db)
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (500_000, 439_999)
    nonces.forget_after(100_000)
    assert (nonces.newest_ms("key"), nonces.dropped_ms("key")) == (0, 439_999)
