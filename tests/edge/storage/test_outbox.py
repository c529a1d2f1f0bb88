"""The outbox on a real disk: in order, numbered for good, bounded, and not stopped by a disk that cannot be written."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.errors import OutboxError
from edge.storage.outbox import Outbox


def put(outbox, count=1):
    return [outbox.put(lambda seq, event_id: b"%d %s" % (seq, event_id.encode()), 0.0) for _ in range(count)]


def numbers(entries):
    return [entry.seq for entry in entries]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep?" / "outbox.db"


@pytest.fixture
def outbox(path):
    outbox = Outbox(path, 100)
    yield outbox
    outbox.close()


def test_events_come_out_in_order_and_once(outbox, path):
    entries = put(outbox, 5)
    assert numbers(entries) == [1, 2, 3, 4, 5]
    assert len({entry.event_id for entry in entries}) == 5
    assert entries[0].payload == b"1 " + entries[0].event_id.encode()
    assert outbox.take(3) == entries[:3]
    assert outbox.take(0) == []
    assert outbox.take(-1) == []
    assert outbox.take(3) == entries[3:]
    assert outbox.take(3) == []
    assert outbox.depth == 5
    outbox.delivered([1, 2, 3, 4, 5])
    assert outbox.depth == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_not_delivered_is_handed_out_again_after_a_restart_and_no_number_twice(outbox, path):
    entries = put(outbox, 4)
    outbox.take(4)
    outbox.delivered([1, 2])
    outbox.close()
    again = Outbox(path, 100)
    assert again.take(10) == entries[2:]
    again.delivered([3, 4])
    again.close()
    empty = Outbox(path, 100)
    assert empty.take(10) == []
    assert numbers(put(empty)) == [5]
    empty.close()


def test_it_is_bounded_and_counts_what_it_pushed_out_for_ever(path):
    outbox = Outbox(path, 3)
    put(outbox, 10)
    assert (outbox.depth, outbox.dropped) == (3, 7)
    outbox.close()
    again = Outbox(path, 3)
    assert again.dropped == 7
    assert numbers(again.take(10)) == [8, 9, 10]
    again.close()


def full(outbox):
    """As a full disk: no page more than there is."""
    (pages,) = outbox._db.execute("PRAGMA page_count").fetchone()
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    return "full"


def read_only(outbox):
    outbox._db.execute("PRAGMA query_only = ON")
    return "readonly"


def writable(outbox):
    outbox._db.execute("PRAGMA max_page_count = 1000000")
    outbox._db.execute("PRAGMA query_only = OFF")


@pytest.mark.parametrize("fail", [full, read_only])
def test_a_disk_that_cannot_be_written_stops_nothing_and_loses_nothing(outbox, path, fail):
    big = bytes(5000)
    first = outbox.put(lambda *_: big, 0.0)
    problem = fail(outbox)
    second, third = (outbox.put(lambda *_: big, 0.0) for _ in range(2))
    assert problem in outbox.problem
    assert outbox.depth == 3
    assert outbox.take(2) == [first, second]
    outbox.delivered([second.seq])
    writable(outbox)
    assert outbox.take(2) == [third]
    assert outbox.problem is None
    outbox.delivered([first.seq])
    outbox.close()
    again = Outbox(path, 100)
    assert again.take(10) == [third]
    again.close()


def test_no_number_is_used_twice_also_of_what_never_was_on_the_disk(path):
    outbox = Outbox(path, 3)
    read_only(outbox)
    (entry,) = put(outbox)
    outbox.take(1)
    outbox.delivered([entry.seq])
    writable(outbox)
    outbox.close()
    again = Outbox(path, 3)
    assert numbers(put(again)) == [2]
    again.close()


def test_a_disk_that_cannot_be_read_for_a_moment_loses_no_place_in_the_queue(outbox, monkeypatch):
    put(outbox, 2)
    read_only(outbox)
    put(outbox)

    class Broken:
        in_transaction = False

        def execute(self, *_):
            raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as moment:
        moment.setattr(outbox, "_db", Broken())
        moment.setattr(outbox, "_save", lambda: None)
        assert outbox.take(5) == []
        assert outbox.problem.endswith("cannot be used: disk I/O error")
    writable(outbox)
    assert numbers(outbox.take(5)) == [1, 2, 3]
    outbox.rewind()
    assert numbers(outbox.take(5)) == [1, 2, 3]


def test_in_memory_too_it_is_bounded(path):
    outbox = Outbox(path, 3)
    read_only(outbox)
    put(outbox, 5)
    assert (outbox.depth, outbox.dropped) == (3, 2)
    writable(outbox)
    assert numbers(outbox.take(10)) == [3, 4, 5]
    outbox.close()
    again = Outbox(path, 3)
    assert again.dropped == 2
    again.close()


def test_a_second_process_is_refused(outbox):
    put(outbox)
    program = f"from edge.storage.outbox import Outbox; from pathlib import Path; Outbox(Path({str(outbox.path)!r}), 9)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "OutboxError: outbox" in done.stderr
    assert "another limen run has it" in done.stderr


def test_what_is_no_outbox_is_named(tmp_path):
    (tmp_path / "notes").write_text("no database " * 100)
    with pytest.raises(OutboxError, match="notes cannot be opened: file is not a database"):
        Outbox(tmp_path / "notes", 9)


WRITER = """
import sys
from pathlib import Path
from edge.storage.outbox import Outbox
outbox = Outbox(Path(sys.argv[1]), 100_000)
while True:
    print(outbox.put(lambda seq, event_id: b"event %d" % seq, 0.0).seq, flush=True)
"""


def test_what_was_put_survives_a_kill(path):
    said = 0
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
            for _ in range(20):
                said = int(process.stdout.readline())
            os.kill(process.pid, signal.SIGKILL)
    outbox = Outbox(path, 100_000)
    kept = outbox.take(100_000)
    assert numbers(kept) == list(range(1, len(kept) + 1))
    assert said <= len(kept)
    assert all(entry.payload == b"event %d" % entry.seq for entry in kept)
    outbox.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


class OutboxLife(RuleBasedStateMachine):
    """Whatever happens, it holds what a list would hold."""

    MAX = 6

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "outbox.db"
        self.outbox = Outbox(self.path, self.MAX)
        self.waiting, self.handed_out, self.last, self.dropped, self.broken = [], 0, 0, 0, False

    @rule()
    def put(self):
        (entry,) = put(self.outbox)
        self.last += 1
        assert entry.seq == self.last
        self.waiting.append(entry.seq)

    @rule(count=st.integers(0, 4))
    def take(self, count):
        expected = [seq for seq in self.waiting if seq > self.handed_out][:count]
        assert numbers(self.outbox.take(count)) == expected
        self.handed_out = max([self.handed_out, *expected])

    @precondition(lambda self: not self.broken)
    @rule(data=st.data())
    def deliver(self, data):
        gone = [seq for seq in self.waiting if seq <= self.handed_out and data.draw(st.booleans())]
        self.outbox.delivered(gone)
        self.waiting = [seq for seq in self.waiting if seq not in gone]

    @precondition(lambda self: not self.broken)
    @rule()
    def restart(self):
        self.outbox.close()
        self.outbox = Outbox(self.path, self.MAX)
        self.handed_out = 0

    @precondition(lambda self: len(self.waiting) == 0 or self.broken)
    @rule()
    def disk(self):
        self.broken = not self.broken
        (read_only if self.broken else writable)(self.outbox)
        self.outbox.take(0)

    @invariant()
    def holds_the_newest(self):
        if len(self.waiting) > self.MAX:
            self.dropped += len(self.waiting) - self.MAX
            self.waiting = self.waiting[-self.MAX :]
        assert self.outbox.depth == len(self.waiting)
        assert self.outbox.dropped == self.dropped

    def teardown(self):
        self.outbox.close()
        self.folder.cleanup()


TestOutboxLife = OutboxLife.TestCase
TestOutboxLife.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
