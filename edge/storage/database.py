"""SQLite files with one owner: what a transaction wrote is on the disk, what it erased is overwritten."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from edge.errors import GalleryError, LimenError
from edge.storage import log
from edge.storage.damage import check_pages, is_damage
from edge.storage.migrations import migrate, refuse_foreign
from edge.storage.unit_of_work import DATABASE_ERRORS, UnitOfWork, Values
from edge.system.files import exists, identity, is_file, other_kind

BUSY_SECONDS = 5.0
LEAVE_MS = 100  # that another process may still use a file that was replaced
PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",  # a commit waits for the disk: what is acknowledged survives a power cut
    "secure_delete = ON",  # deleted content is overwritten with zeros, not only unlinked
    "foreign_keys = ON",
    "temp_store = MEMORY",  # also of savepoints: SQLite's files for them are deleted as they are
    f"wal_autocheckpoint = {log.AUTOCHECKPOINT_PAGES}",
)


class SqliteFile(UnitOfWork):
    """A SQLite file with a write-ahead log.

    path: created, readable by its owner alone, where it is missing and may be made
    make: whether it may be made; otherwise a missing file is an error, and nothing is created
    exclusive: no other process can open the file meanwhile
    checkpoint_pending: the log may still hold what was erased, here or by another process
    generation: how often a file was opened; see reopen

    Raises the class's error where the file cannot be opened.
    """

    kind: ClassVar[str] = "gallery"
    error: ClassVar[type[LimenError]] = GalleryError
    remedy: ClassVar[str] = ""  # what to do where the file is damaged

    def __init__(
        self, path: Path, *, exclusive: bool = False, make: bool = True, busy_seconds: float = BUSY_SECONDS
    ) -> None:
        self.path, self._log = path, path.with_name(f"{path.name}-wal")
        self._exclusive, self._busy_seconds = exclusive, busy_seconds
        self._files: tuple[object, object] | None = None  # what is open; None where nothing is
        self.generation = 0
        self._open(make=make)

    def _open(self, *, make: bool) -> None:
        self._refuse_other_kinds(make)
        try:
            if make:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.touch(mode=0o600)
            # The log of a process that was killed.
            self.checkpoint_pending = is_file(self._log) and self._log.stat().st_size > 0
            place, timeout = f"file:{quote(str(self.path))}", self._busy_seconds
            db = sqlite3.connect(place, uri=True, isolation_level=None, timeout=timeout)
        except (OSError, *DATABASE_ERRORS) as error:
            raise self._cannot_open(error) from error
        super().__init__(db, f"{self.kind} {self.path}", self.error)
        try:
            if self._exclusive:
                db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._refuse_foreign()
            for pragma in PRAGMAS:
                db.execute(f"PRAGMA {pragma}")
            self._version = self._data_version()
            self._files = self._files_now()
            self._prepare()
            self.generation += 1
        except (*DATABASE_ERRORS, LimenError) as error:
            db.close()
            self._files = None
            raise self._cannot_open(
                error.__cause__ if isinstance(error.__cause__, DATABASE_ERRORS) else error
            ) from error

    @property
    def replaced(self) -> bool:
        """Whether the file or its log was removed or replaced: what is written now would be gone at the next start."""
        return self._files != self._files_now()

    def reopen(self, *, make: bool = False) -> None:
        """Use what is at the path now; what was written before goes, with the log, into the file that was opened then.

        Raises the class's error, also where nothing usable is at the path: every transaction fails until it is there.
        """
        if self._files is not None:
            self._leave()
        self._open(make=make)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See UnitOfWork. Raises the class's error too where the file was replaced, before the block or meanwhile."""
        self._refuse_replaced()
        with super().transaction():
            yield
        self._refuse_replaced()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See UnitOfWork and transaction."""
        self._refuse_replaced()
        with super().reading():
            yield

    def check(self) -> None:
        """Read every page. Raises the class's error where one is damaged."""
        try:
            check_pages(self)
        except DATABASE_ERRORS as error:
            raise self._failed(error, "read") from error

    def erase(self, statement: str, values: Values = ()) -> int:
        """Run a statement that deletes or replaces something of a person. Returns how many rows it changed.

        The log of writes holds what was there until `checkpoint`.
        """
        rows = self.execute(statement, values)
        self.checkpoint_pending |= rows > 0
        return rows

    def close(self) -> None:
        """Close the file. The last process that does so deletes the log: it is overwritten before."""
        with suppress(OSError, *DATABASE_ERRORS):  # the next process that opens the file does it
            if not self.writing and not self.replaced:
                log.overwrite(self._db, self._log)
        super().close()

    def checkpoint(self) -> bool:
        """Fold the log of writes into the file and overwrite it, where something was erased since it was last done.

        Returns False, and leaves checkpoint_pending set, where that has to be tried again: a block is open, another
        process reads the file and so keeps the log, or the disk cannot be written. What was committed stays committed.
        """
        if self.checkpoint_pending and not self.writing:
            try:
                self.checkpoint_pending = not log.overwrite(self._db, self._log)
            except (OSError, *DATABASE_ERRORS):
                return False
        return not self.checkpoint_pending

    def checkpoint_unless_writing(self) -> bool:
        """Checkpoint, where no block is open; after an open one, the code that opened it checkpoints."""
        return self.writing or self.checkpoint()

    def changed_elsewhere(self) -> bool:
        """Whether another process wrote to the file, or replaced it, since it was opened or this was last asked."""
        if self.replaced:
            self.reopen()
            return True
        before, self._version = self._version, self._data_version()
        self.checkpoint_pending |= before != self._version  # the other process may have erased something
        return before != self._version

    def change_token(self) -> tuple[int, int]:
        """A value that differs after every write, by other processes (first) or by this one (second)."""
        return self._data_version(), self._db.total_changes

    def _leave(self) -> None:
        """Close the file. Nothing of its log may be taken for a part of the file that takes its place."""
        try:
            self._db.execute(f"PRAGMA busy_timeout = {LEAVE_MS}")
            if self._files is not None and self._files_now()[1] == self._files[1]:
                log.overwrite(self._db, self._log)
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (OSError, *DATABASE_ERRORS) as error:
            raise self._cannot_open(error) from error
        if busy:
            raise self._cannot_open("another process still uses the file that was at its place")
        self._db.close()
        self._files = None

    def _files_now(self) -> tuple[object, object]:
        return identity(self.path), identity(self._log)

    def _refuse_replaced(self) -> None:
        if self.replaced:
            raise self.error(f"{self._what} was removed or replaced while it was in use: put it back")

    def _refuse_other_kinds(self, make: bool) -> None:
        """Raise the class's error for what is no file, or is missing and may not be made."""
        try:
            kind, there = other_kind(self.path), exists(self.path)
        except PermissionError as error:
            raise self._cannot_open(error) from error
        if kind is not None:
            raise self._cannot_open(f"it is {kind}, not a file")
        if not there and not make:
            raise self.error(
                f"there is no {self.kind} {self.path}: `limen enroll` and `limen run` make one; --gallery names another"
            )

    def _refuse_foreign(self) -> None:
        """Raise the class's error for the file of another program. Nothing was written into it yet."""

    def _prepare(self) -> None:
        """Create or migrate the tables."""

    def _data_version(self) -> int:
        return int(self.value("PRAGMA data_version"))

    def _cannot_open(self, cause: object) -> LimenError:
        return self.error(f"{self.kind} {self.path} cannot be opened: {cause}{self._remedy(cause)}")

    def _failed(self, cause: object, done: str | None = None) -> LimenError:
        return super()._failed(f"{cause}{self._remedy(cause)}", done)

    def _remedy(self, cause: object) -> str:
        return self.remedy if isinstance(cause, BaseException) and is_damage(cause) else ""


class Database(SqliteFile):
    """The gallery's file: people, templates, strangers, answers, nonces, settings, revisions and the audit record.

    Raises GalleryError where the file cannot be opened, is no gallery, or was written by a newer limen.
    """

    remedy = "; where this was a gallery, it is damaged: move it away, and bring a backup back by `limen people import`"

    def _refuse_foreign(self) -> None:
        refuse_foreign(self, "; name another file in gallery.path or --gallery")

    def _prepare(self) -> None:
        migrate(self)
