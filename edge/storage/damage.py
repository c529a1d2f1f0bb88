"""A file of SQLite with damaged pages: how that is noticed, and what can still be read of it."""

import sqlite3

from edge.errors import GalleryError
from edge.storage.unit_of_work import Row, UnitOfWork, Values

DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
OF_VALUES = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    TypeError,
    OverflowError,
)


def is_damage(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is that of a damaged file, or of one that is no database."""
    while error is not None:
        text_damaged = isinstance(error, sqlite3.OperationalError) and "decode" in str(error)
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF  # the rest says which kind of it
        if text_damaged or isinstance(error, UnicodeDecodeError) or code in DAMAGED:
            return True
        error = error.__cause__
    return False


def is_of_values(error: BaseException) -> bool:
    """Whether a statement failed over the values that it was given, and would again; else the file is at fault."""
    return isinstance(error.__cause__ or error, OF_VALUES) and not is_damage(error)


def check_pages(db: UnitOfWork) -> None:
    """Raise sqlite3.DatabaseError, of the kind that is_damage knows, for a file with damaged pages."""
    found = db.value("PRAGMA quick_check(1)")
    if found != "ok":
        error = sqlite3.DatabaseError(" ".join(str(found).split()))
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def readable(db: UnitOfWork, table: str, statement: str, values: Values) -> tuple[list[Row], int]:
    """The rows of a table with ids, in the order in which they were added; and how many cannot be read.

    statement: a SELECT that ends in its WHERE. Raises GalleryError where not even the ids can be read.
    """
    try:
        return db.rows(f"{statement} ORDER BY added, id", values), 0
    except GalleryError as error:
        if not is_damage(error):
            raise
    rows, lost = list[Row](), 0
    for own in db.rows(f"SELECT id FROM {table} ORDER BY id"):  # noqa: S608 -- ours; the index has them
        try:
            rows += db.rows(f"{statement} AND id = ?", (*values, *own))
        except GalleryError as error:
            if not is_damage(error):
                raise
            lost += 1
    return rows, lost
