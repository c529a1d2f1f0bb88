"""Erasure knows every place that can hold something of a person."""

import sqlite3
from contextlib import closing

from edge.errors import OutboxError
from edge.runtime.assembly import Device
from edge.runtime.erasure import TABLES, Erasure
from edge.storage.history import SqliteHistory
from edge.storage.outbox import Outbox


def tables(path):
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_table_that_erasure_does_not_know_fails_here(config, tmp_path):
    Device.open(config).close()
    Outbox(tmp_path / "outbox.db", 10).close()
    SqliteHistory(tmp_path / "history.db", "a" * 64).close()
    found = set[str]().union(*(tables(tmp_path / f"{name}.db") for name in ("gallery", "outbox", "history")))
    assert found == set(TABLES), "edge.runtime.erasure.TABLES must say how each table is erased"


def test_a_place_that_fails_does_not_keep_the_others_from_erasing(caplog):
    erased = []

    def fails(_removed, _enrolled):
        raise OutboxError("the disk is full")

    erasure = Erasure({"the outbox": fails, "the broker": lambda removed, _enrolled: erased.append(removed)})
    erasure.erase({"p_1": "Anna"}, {})
    assert erased == [{"p_1": "Anna"}]
    assert "the outbox may still hold something of p_1: the disk is full" in caplog.text
    assert "Anna" not in caplog.text
