"""A SQLite file with one owner: what a transaction wrote is on the disk, what it deleted is overwritten."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from edge.errors import GalleryError
from edge.storage.migrations import migrate


class Database:
    """The gallery's file: transactions, and what is done with the file as a whole. One thread owns it.

    path: made, readable by its owner alone, if it is not there

    Raises GalleryError where the file cannot be opened or is no gallery.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(f"file:{quote(str(path))}", uri=True, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # a commit waits for the disk: acknowledged is kept
            self._db.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not only unlinked
            self._db.execute("PRAGMA foreign_keys = ON")
            migrate(self._db)
            self._version = self._data_version()
            self.checkpoint_pending = False  # what was deleted may still be in the log of writes
        except (OSError, sqlite3.Error) as error:
            raise GalleryError(f"gallery {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def execute(self, statement: str, values: tuple = ()) -> sqlite3.Cursor:
        """One statement, inside `transaction` or `reading`."""
        return self._db.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it is on disk when the outermost block ends, or none. Raises GalleryError."""
        if self._db.in_transaction:
            yield
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise GalleryError(f"gallery {self.path} cannot be written: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is read within is of one moment, whatever another process writes meanwhile. Raises GalleryError."""
        with self._readable():
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:  # some errors end it
                    self._db.execute("COMMIT")

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise GalleryError(f"gallery {self.path} cannot be read: {error}") from error

    def checkpoint(self) -> bool:
        """Fold the log of writes into the file and cut it off: until then it still holds what was deleted.

        False, and `checkpoint_pending`, where that has to be tried again: somebody else reads the file and so keeps the log as
        it is, or the disk cannot be written. What was committed is committed.
        """
        try:
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error:
            busy = 1
        self.checkpoint_pending = bool(busy)
        return not busy

    @property
    def writing(self) -> bool:
        """A transaction is open."""
        return self._db.in_transaction

    def checkpoint_unless_writing(self) -> bool:
        """The same, where no transaction is open around this one; whoever opened one settles after it."""
        return self.writing or self.checkpoint()

    def changed_elsewhere(self) -> bool:
        """Another process wrote to the file since this was last asked, or since it was opened."""
        with self._readable():
            before, self._version = self._version, self._data_version()
        return before != self._version

    def change_token(self) -> tuple[int, int]:
        """Another value after every write, by other processes (first) or here (second)."""
        with self._readable():
            return self._data_version(), self._db.total_changes

    def _data_version(self) -> int:
        return self._db.execute("PRAGMA data_version").fetchone()[0]
