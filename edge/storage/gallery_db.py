"""People and templates in SQLite: what `add` returned is on disk, whatever happens next."""

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from edge.core.types import Person, Template
from edge.errors import GalleryError
from edge.storage.migrations import migrate

ANSWERS_KEPT_SECONDS = 86_400.0


class GalleryDb:
    """The gallery's file; see edge.core.ports.GalleryStore. One thread owns it.

    path: made, readable by its owner alone, if it is not there
    model: sha256 of the embedder; templates of others stay on disk but are not loaded, until they are rebuilt
    dimension: of its embeddings; a damaged template counts as another model's
    keep_crops: whether the aligned crop stays beside its template, so that another model can embed it again

    Raises GalleryError where the file cannot be opened or is no gallery.
    """

    def __init__(self, path: Path, model: str, dimension: int = 128, *, keep_crops: bool = True) -> None:
        self.path, self.model, self.keep_crops = path, model, keep_crops
        self._usable = f"model = '{model}' AND length(embedding) = {4 * dimension}"
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
        except (OSError, sqlite3.Error) as error:
            raise GalleryError(f"gallery {path} cannot be opened: {error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model."""
        with self._reading():
            people = [Person(*row) for row in self._db.execute("SELECT id, name, tau FROM person ORDER BY added, id")]
            rows = self._db.execute(
                f"SELECT id, person, embedding FROM template WHERE {self._usable} ORDER BY added, id"  # noqa: S608 -- ours
            )
            templates = [
                Template(template_id, person, np.frombuffer(blob, dtype="<f4"), self.model)
                for template_id, person, blob in rows
            ]
        return people, templates

    def foreign(self) -> int:
        """How many templates were made by another model."""
        with self._reading():
            return self._db.execute(f"SELECT count(*) FROM template WHERE NOT ({self._usable})").fetchone()[0]  # noqa: S608 -- ours

    def add(self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray]) -> Person:
        """Templates, each with its crop, for the person of that name, who is made if there is none."""
        with self.transaction():
            row = self._db.execute("SELECT id, name, tau FROM person WHERE key = ?", (name.casefold(),)).fetchone()
            person = Person(*row) if row else Person(f"p_{uuid.uuid4().hex[:8]}", name)
            if not row:
                self._db.execute(
                    "INSERT INTO person (id, name, key) VALUES (?, ?, ?)", (person.person_id, name, name.casefold())
                )
            for embedding, crop in zip(embeddings, crops, strict=True):
                stored = encoded(crop) if self.keep_crops else None
                self._db.execute(
                    "INSERT INTO template (id, person, model, embedding, crop) VALUES (?, ?, ?, ?, ?)",
                    (f"e_{uuid.uuid4().hex}", person.person_id, self.model, blob_of(embedding), stored),
                )
        return person

    def rename(self, person: Person, name: str) -> None:
        """Give somebody another name."""
        with self.transaction():
            self._db.execute(
                "UPDATE person SET name = ?, key = ? WHERE id = ?", (name, name.casefold(), person.person_id)
            )

    def merge(self, person: Person, into: Person) -> None:
        """Give somebody another's templates; the other is no more."""
        with self.transaction():
            self._db.execute("UPDATE template SET person = ? WHERE person = ?", (into.person_id, person.person_id))
            self._db.execute("DELETE FROM person WHERE id = ?", (person.person_id,))

    def set_tau(self, person: Person, tau: float | None) -> None:
        """Give somebody a tau of their own, or none."""
        with self.transaction():
            self._db.execute("UPDATE person SET tau = ? WHERE id = ?", (tau, person.person_id))

    def remove(self, person: Person) -> None:
        """Forget somebody, so that nothing of them can be read from the disk."""
        with self.transaction():
            self._db.execute("DELETE FROM template WHERE person = ?", (person.person_id,))
            self._db.execute("DELETE FROM person WHERE id = ?", (person.person_id,))
        if not self._db.in_transaction:
            self.settle()

    def settle(self) -> None:
        """Fold the log of writes into the file and cut it off: until then it still holds what was deleted."""
        with self._reading():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def crops(self) -> Iterable[tuple[str, np.ndarray]]:
        """The template id and the (112, 112, 3) uint8 RGB crop of every stored crop."""
        with self._reading():
            rows = self._db.execute(
                "SELECT id, crop FROM template WHERE crop IS NOT NULL ORDER BY added, id"
            ).fetchall()
        for template_id, blob in rows:
            yield template_id, decoded(blob, f"{self.path}: crop of {template_id}")

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> None:
        """Put these embeddings, by template id, in the place of all others, in one transaction."""
        with self.transaction():
            for template_id, embedding in embeddings.items():
                self._db.execute(
                    "UPDATE template SET embedding = ?, model = ? WHERE id = ?",
                    (blob_of(embedding), self.model, template_id),
                )

    def export_to(self, path: Path) -> int:
        """Write everybody, with templates and crops of every model, into a new file that its owner alone can read.

        Returns the number of people. Raises GalleryError where the file is there already or cannot be written.
        """
        if path.exists():
            raise GalleryError(f"{path} is there already; an export is never written over another file")
        if not path.parent.is_dir():
            raise GalleryError(f"there is no folder {path.parent} to export to")
        partial = path.with_name(f".{path.name}.partial")
        try:
            partial.unlink(missing_ok=True)
            GalleryDb(partial, self.model).close()
            with self._attached(partial), self.transaction():
                for table in ("person", "template"):
                    self._db.execute(f"INSERT INTO other.{table} SELECT * FROM main.{table}")  # noqa: S608 -- two names
                people = self._db.execute("SELECT count(*) FROM other.person").fetchone()[0]
            single = sqlite3.connect(partial)
            single.execute("PRAGMA journal_mode = DELETE")  # one file, with no log beside it
            single.close()
            partial.rename(path)
        except (OSError, sqlite3.Error) as error:
            raise GalleryError(f"{path} cannot be written: {error}") from error
        return people

    def take_in(self, path: Path) -> tuple[int, int]:
        """Everybody of an exported gallery: who is known here gets their templates too; what is here stays.

        Returns how many people and templates are new. Raises GalleryError where it is no gallery of this version.
        """
        if not path.is_file():
            raise GalleryError(f"there is no gallery {path}")
        new_people = new_templates = 0
        with self._attached(path, "?mode=ro"):
            version, own = (self._db.execute(f"PRAGMA {of}.user_version").fetchone()[0] for of in ("other", "main"))
            if version != own:
                raise GalleryError(f"{path} is no gallery of version {own} but {version}; export it with this limen")
            for template_id, blob in self._db.execute("SELECT id, embedding FROM other.template"):
                if not is_embedding(blob):
                    raise GalleryError(f"{path}: template {template_id} is damaged; nothing was taken in")
            with self.transaction():
                rows = self._db.execute("SELECT id, name, key, tau, added FROM other.person").fetchall()
                for person in rows:
                    known = self._db.execute(
                        "SELECT id FROM main.person WHERE id = ? OR key = ?", (person[0], person[2])
                    ).fetchone()
                    if known is None:
                        self._db.execute("INSERT INTO main.person VALUES (?, ?, ?, ?, ?)", person)
                        new_people += 1
                    new_templates += self._db.execute(
                        "INSERT OR IGNORE INTO main.template SELECT id, ?, model, embedding, crop, added "
                        "FROM other.template WHERE person = ?",
                        (known[0] if known else person[0], person[0]),
                    ).rowcount
        return new_people, new_templates

    def changed_elsewhere(self) -> bool:
        """Another process wrote to the file since this was last asked, or since it was opened."""
        with self._reading():
            before, self._version = self._version, self._data_version()
        return before != self._version

    def setting(self, name: str) -> str | None:
        """What was set, also before a restart; None where nothing was."""
        with self._reading():
            row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def answer_to(self, transaction: str) -> tuple[str, bytes] | None:
        """The digest of what was asked under this transaction within the last day, and the answer; or None."""
        with self._reading():
            return self._db.execute("SELECT digest, payload FROM answer WHERE request = ?", (transaction,)).fetchone()

    def remember(self, transaction: str, digest: str, payload: bytes, at: float) -> None:
        """Keep an answer for a day; at: seconds since 1970."""
        with self.transaction():
            self._db.execute("DELETE FROM answer WHERE at < ?", (at - ANSWERS_KEPT_SECONDS,))
            self._db.execute(
                "INSERT OR REPLACE INTO answer (request, digest, payload, at) VALUES (?, ?, ?, ?)",
                (transaction, digest, payload, at),
            )

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

    def _data_version(self) -> int:
        return self._db.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def _attached(self, path: Path, options: str = "") -> Iterator[None]:
        """Another file's tables, as `other`. Raises GalleryError."""
        try:
            self._db.execute("ATTACH DATABASE ? AS other", (f"file:{quote(str(path))}{options}",))
            try:
                self._db.execute("SELECT count(*) FROM other.sqlite_master").fetchone()
                yield
            finally:
                self._db.execute("DETACH DATABASE other")
        except sqlite3.Error as error:
            raise GalleryError(f"{path} cannot be used as a gallery: {error}") from error

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise GalleryError(f"gallery {self.path} cannot be read: {error}") from error


def blob_of(embedding: np.ndarray) -> bytes:
    """(D,) float32 as little-endian bytes."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def is_embedding(blob: bytes) -> bool:
    """Numbers, and of unit length."""
    if not blob or len(blob) % 4:
        return False
    return bool(np.isclose(np.linalg.norm(np.frombuffer(blob, dtype="<f4")), 1.0, atol=0.01))


def encoded(crop: np.ndarray) -> bytes:
    """(112, 112, 3) uint8 RGB as PNG: the very pixels, so that the same model answers the same again."""
    return cv2.imencode(".png", crop[..., ::-1])[1].tobytes()


def decoded(blob: bytes, what: str) -> np.ndarray:
    """The crop again. Raises GalleryError where it cannot be read."""
    crop = cv2.imdecode(np.frombuffer(blob, dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if crop is None:
        raise GalleryError(f"{what} is not a readable image")
    return crop
