"""A SQLite file's log of writes (the write-ahead log), overwritten in place.

The log holds whole pages: of people too who are removed later. A log that is cut off or deleted gives its blocks back
to the file system as they are, and there nothing of ours can overwrite them. So every frame is overwritten before: the
log begins again, and page 1 of the file, which holds the schema alone, is written into one frame after the other.
https://www.sqlite.org/fileformat2.html#the_write_ahead_log
"""

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from edge.system.files import is_file

HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
SALT_1_AT = 16  # in the header; one more at each new beginning of the log
AUTOCHECKPOINT_PAGES = 256  # after so many the log begins again: what has to be overwritten is about a megabyte
KEPT_BYTES = 4_000_000  # of a log that was overwritten
TRIES = 3  # another process may write meanwhile, into frames that are not counted then


class Frames(NamedTuple):
    """What a log consists of: how often it had begun again, when each frame was written and now; and their pages."""

    began: int
    written_in: list[int]
    pages: list[int]

    def older_than(self, began: int) -> int:
        """How many frames were written before that beginning, in 32 bits."""
        return sum((one - began) % 2**32 >= 2**31 for one in self.written_in)


def overwrite(db: sqlite3.Connection, log: Path) -> bool:
    """Fold the log into the file and overwrite every frame of it on the disk. No transaction may be open.

    Returns False where that has to be tried again: another process reads or writes. Raises sqlite3.Error or OSError
    where the disk cannot be written.
    """
    if not is_file(log) or log.stat().st_size <= HEADER_BYTES:
        return True
    ((page_bytes,),) = db.execute("PRAGMA page_size").fetchall()
    before = frames(log, page_bytes)
    busy, *_ = db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    if busy:
        return False
    count, first = len(before.written_in), (before.began + 1) % 2**32
    with no_checkpoints(db):
        for _ in range(TRIES):
            write_page_1(db, count)
            count = frames(log, page_bytes).older_than(first)
            if not count:
                shorten(db, log, page_bytes)
                return True
    return False


def shorten(db: sqlite3.Connection, log: Path, page_bytes: int) -> None:
    """Cut a large log off behind its first frame, where it holds page 1 alone; or each time all is overwritten.

    Nobody else can write meanwhile, and nobody reads a frame that was not written since the log began again.
    """
    if log.stat().st_size <= KEPT_BYTES or db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0]:
        return
    write_page_1(db, 1)
    db.execute("BEGIN IMMEDIATE")
    try:
        found = frames(log, page_bytes)
        if set(found.pages) == {1} and found.written_in.count(found.began) == 1:
            os.truncate(log, HEADER_BYTES + FRAME_HEADER_BYTES + page_bytes)
    finally:
        db.execute("ROLLBACK")


def frames(log: Path, page_bytes: int) -> Frames:
    """What is in the log's file. Other threads and processes may write into it meanwhile."""
    written_in, pages = [], []
    with log.open("rb") as file:
        header = file.read(HEADER_BYTES)
        while len(frame := file.read(FRAME_HEADER_BYTES)) == FRAME_HEADER_BYTES:
            page, _, salt_1 = struct.unpack_from(">III", frame)
            pages.append(page)
            written_in.append(salt_1)
            file.seek(page_bytes, 1)
    return Frames(struct.unpack_from(">I", header, SALT_1_AT)[0], written_in, pages)


def write_page_1(db: sqlite3.Connection, times: int) -> None:
    """Write so many frames, of one page each; the first and the last wait until all before is on the disk.

    With the first comes the header of the log that begins again. Were it still in memory when frames behind it are on
    the disk, a power cut would leave the header of before, which declares frames of before valid: SQLite would play
    them back over a newer file. The version that is written is what it was, read while nobody else can write.
    """
    for number in range(times):
        db.execute(f"PRAGMA synchronous = {'FULL' if number in {0, times - 1} else 'OFF'}")
        db.execute("BEGIN IMMEDIATE")
        try:
            ((version,),) = db.execute("PRAGMA user_version").fetchall()
            db.execute(f"PRAGMA user_version = {version}")
            db.execute("COMMIT")
        except sqlite3.Error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise


@contextmanager
def no_checkpoints(db: sqlite3.Connection) -> Iterator[None]:
    """Keep the log from beginning again in between."""
    try:
        db.execute("PRAGMA wal_autocheckpoint = 0")
        yield
    finally:
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {AUTOCHECKPOINT_PAGES}")
