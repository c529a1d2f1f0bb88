"""Nested transactions on one SQLite connection, and one error for whatever goes wrong in it."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edge.errors import GalleryError, LimenError

Row = tuple[Any, ...]
Values = Sequence[Any]

# SQLite's message about a damaged schema quotes it, and sqlite3 cannot decode that.
DATABASE_ERRORS = sqlite3.Error, UnicodeDecodeError


class UnitOfWork:
    """Statements and nested blocks on one connection. One thread owns it.

    what: names the database in errors, as "gallery /var/lib/limen/gallery.db"
    error: the class of every error; its text ends with what SQLite said first

    SQLite may roll a whole transaction back by itself, as on a full disk (https://www.sqlite.org/lang_transaction.html).
    From then on every statement of that transaction fails with the same cause: an outer block that caught the error of
    an inner one must not go on without what it wrote before.
    """

    def __init__(self, db: sqlite3.Connection, what: str, error: type[LimenError] = GalleryError) -> None:
        self._db, self._what, self._error = db, what, error
        self._depth = 0
        self._reading = False
        self._lost: str | None = None  # why SQLite rolled back the transaction that is open

    @classmethod
    def in_memory(cls, what: str) -> "UnitOfWork":
        """An empty database that is not on the disk."""
        return cls(sqlite3.connect(":memory:", isolation_level=None), what)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def rows(self, statement: str, values: Values = ()) -> list[Row]:
        """Every row that a statement answers."""
        return self._run(statement, values)[0]

    def row(self, statement: str, values: Values = ()) -> Row | None:
        """The first row, or None."""
        return next(iter(self.rows(statement, values)), None)

    def value(self, statement: str, values: Values = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.row(statement, values)
        return None if row is None else row[0]

    def execute(self, statement: str, values: Values = ()) -> int:
        """Run a statement that writes. Returns how many rows it changed."""
        self._refuse_inside_reading()
        return self._run(statement, values)[1]

    def executemany(self, statement: str, rows: Iterable[Values]) -> int:
        """Run a statement that writes, once per row of values. Returns how many rows were changed."""
        return sum(self.execute(statement, values) for values in rows)

    @property
    def writing(self) -> bool:
        """Whether a block is open."""
        return self._db.in_transaction

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the outermost block are on disk when it ends, or none is.

        A block inside another is a savepoint: where it raises, its own writes alone are rolled back, and the outer
        block may catch the exception and go on.
        """
        self._refuse_inside_reading()
        depth, name = self._depth, f"block_{self._depth}"
        begin, end = (f"SAVEPOINT {name}", f"RELEASE {name}") if depth else ("BEGIN IMMEDIATE", "COMMIT")
        undo = (f"ROLLBACK TO {name}", f"RELEASE {name}") if depth else ("ROLLBACK",)
        with self._one_error("written"):
            self._run(begin)
            self._depth = depth + 1
            try:
                yield
                self._run(end)
            except BaseException:
                self._roll_back(undo)
                raise
            finally:
                self._depth = depth
                if not depth:
                    self._lost = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Everything read in the block is of one moment, whatever another process writes. Nothing can be written.

        Inside another block it is of that block's moment.
        """
        with self._one_error("read"):
            if self._depth:
                yield
                return
            self._run("BEGIN")
            self._depth, self._reading = 1, True
            try:
                yield
            finally:
                self._depth, self._reading, self._lost = 0, False, None
                if self._db.in_transaction:  # some errors end it
                    self._db.execute("ROLLBACK")  # takes no lock and waits for no disk

    def _run(self, statement: str, values: Values = ()) -> tuple[list[Row], int]:
        if self._lost is not None:
            raise self._failed(self._lost)
        try:
            cursor = self._db.execute(statement, values)
            return cursor.fetchall(), cursor.rowcount
        except DATABASE_ERRORS as error:
            if self._depth and not self._db.in_transaction:
                self._lost = str(error)
            raise self._failed(error) from error

    def _roll_back(self, statements: tuple[str, ...]) -> None:
        """Undo a block, unless SQLite did so by itself: the exception that ended the block is the one to raise."""
        if not self._db.in_transaction:
            return
        try:
            for statement in statements:
                self._db.execute(statement)
        except DATABASE_ERRORS as error:  # the block's writes are still there, so nothing may be committed
            self._lost = self._lost or str(error)

    def _refuse_inside_reading(self) -> None:
        if self._reading:
            raise RuntimeError(f"{self._what}: a block that reads cannot write")

    @contextmanager
    def _one_error(self, done: str) -> Iterator[None]:
        """Raise the one error for a sqlite3.Error of another connection that the block used."""
        try:
            yield
        except DATABASE_ERRORS as error:
            raise self._failed(error, done) from error

    def _failed(self, cause: object, done: str | None = None) -> LimenError:
        if done is None:
            done = "used" if not self._depth else "read" if self._reading else "written"
        return self._error(f"{self._what} cannot be {done}: {cause}")


def tables(db: UnitOfWork) -> set[str]:
    """The name of every table of a database, SQLite's own included."""
    return {name for (name,) in db.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}


def foreign_text(found: set[str]) -> str:
    """What is said of a database with these tables, which are not ours."""
    some = f", with the tables {', '.join(sorted(found)[:3])}" if found else ""
    return f"it is the database of another program{some}"
