"""People and templates in SQLite: what `add` returned is on disk, whatever happens next."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.core.types import Person, Removed, Template
from edge.errors import GalleryError
from edge.storage.archive import export, import_
from edge.storage.audit import Audit, utc
from edge.storage.blobs import blob_of, decoded, encoded
from edge.storage.database import Database
from edge.storage.idempotency import Answers
from edge.storage.nonces import Nonces
from edge.system.clock import Clock

NOT_OVERWRITTEN = "somebody else reads the gallery, or its disk is full: until then its log holds what was removed"
TEMPLATES = ("template", "negative", "stranger_template")  # the tables of one shape but for whose they are


class SqliteGallery(Database):
    """People and templates; see edge.core.ports.GalleryStore.

    model: sha256 of the embedder; templates of others stay on disk but are not loaded, until they are rebuilt
    dimension: of its embeddings; a damaged template counts as another model's
    keep_crops: whether the aligned crop stays beside its template, so that another model can embed it again
    clock_trusted: the configuration vouches for the time of day; see edge.system.clock.Clock
    clock, audit, answers, nonces: the time of day, and what is kept beside people: who changed them, what was answered
    and which signed requests were seen

    Raises GalleryError where the file cannot be opened or is no gallery.
    """

    def __init__(
        self, path: Path, model: str, dimension: int = 128, *, keep_crops: bool = True, clock_trusted: bool = False
    ) -> None:
        super().__init__(path)
        self.clock = Clock(self, trusted=clock_trusted)
        self.audit, self.answers, self.nonces = Audit(self, self.clock), Answers(self), Nonces(self)
        self.model, self.keep_crops = model, keep_crops
        self.usable = f"model = '{model}' AND length(embedding) = {4 * dimension}"

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model; the negative ones too."""
        with self.reading():
            rows = self.execute("SELECT id, name, tau, expires, notify FROM person ORDER BY added, id").fetchall()
            templates = [*self.templates("template", "person"), *self.templates("negative", "person")]
        return [Person(*row[:4], bool(row[4])) for row in rows], templates

    def templates(self, table: str, owner: str) -> list[Template]:
        """Of one table, those of the present model. owner: the column that says whose each is."""
        rows = self.execute(
            f"SELECT id, {owner}, embedding FROM {table} WHERE {self.usable} ORDER BY added, id"  # noqa: S608 -- ours
        )
        return [
            Template(template_id, whose, np.frombuffer(blob, dtype="<f4"), self.model, negative=table == "negative")
            for template_id, whose, blob in rows
        ]

    def foreign(self) -> int:
        """How many templates were made by another model."""
        with self.reading():
            return sum(
                self.execute(f"SELECT count(*) FROM {table} WHERE NOT ({self.usable})").fetchone()[0]  # noqa: S608 -- ours
                for table in ("template", "negative")
            )

    def add(
        self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray], expires: float | None = None
    ) -> Person:
        """Templates, each with its crop, for the person of that name, who is made if there is none.

        expires: seconds since 1970, of somebody who is known for a while; None leaves it as it is
        """
        with self.transaction():
            person = self._called(name)
            if person is None:
                person = Person(f"p_{uuid.uuid4().hex[:8]}", name)
                self.execute(
                    "INSERT INTO person (id, name, key) VALUES (?, ?, ?)", (person.person_id, name, name.casefold())
                )
            if expires is not None:
                person = replace(person, expires=expires)
                self.put(person)
            for embedding, crop in zip(embeddings, crops, strict=True):
                self.keep_template("template", "person", person.person_id, embedding, crop)
            self.audit.note("enroll", person.person_id, f"{len(embeddings)} template(s)")
        return person

    def keep_template(self, table: str, owner: str, whose: str, embedding: np.ndarray, crop: np.ndarray) -> None:
        """One more template in one of the tables, within a transaction."""
        stored = encoded(crop) if self.keep_crops else None
        self.execute(
            f"INSERT INTO {table} (id, {owner}, model, embedding, crop) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 -- ours
            (f"e_{uuid.uuid4().hex}", whose, self.model, blob_of(embedding), stored),
        )

    def deny(self, person: Person, embedding: np.ndarray, crop: np.ndarray) -> None:
        """Keep what is not them, although it looks like them."""
        with self.transaction():
            self.keep_template("negative", "person", person.person_id, embedding, crop)
            self.audit.note("deny", person.person_id, "1 template")

    def update(self, person: Person) -> None:
        """Keep somebody's name, tau, expiry and whether they are told of, as they are now."""
        with self.transaction():
            before = self._called(person.name)
            self.put(person)
            if before is None or before.name != person.name or before.person_id != person.person_id:
                self.audit.note("rename", person.person_id)
            else:
                particular = f"tau {person.tau}, expires {person.expires}, notify {person.notify}"
                self.audit.note("set", person.person_id, particular)

    def drop(self, template_ids: list[str]) -> None:
        """Forget these templates, negative ones too."""
        with self.transaction():
            for table in ("template", "negative"):
                for template_id in template_ids:
                    self.execute(f"DELETE FROM {table} WHERE id = ?", (template_id,))  # noqa: S608 -- two names
            self.audit.note("drop", detail=f"{len(template_ids)} template(s)")
        self.checkpoint_unless_writing()

    def merge(self, person: Person, into: Person) -> None:
        """Give somebody another's templates; the other is no more."""
        with self.transaction():
            self.hand_over(person.person_id, into.person_id)
            self.execute("DELETE FROM person WHERE id = ?", (person.person_id,))
            self.audit.note("merge", person.person_id, f"into {into.person_id}")

    def hand_over(self, person_id: str, to: str) -> None:
        """Make all templates of one person another's, within a transaction. Their ids are new: each is of one alone."""
        for table in ("template", "negative"):
            self.execute(
                f"UPDATE {table} SET id = 'e_' || lower(hex(randomblob(16))), person = ? WHERE person = ?",  # noqa: S608 -- two names
                (to, person_id),
            )

    def remove(self, person: Person) -> Removed:
        """Forget somebody, so that nothing of them can be read from the disk, nor from answers that are kept.

        Raises GalleryError where the log of writes, which still holds them, cannot be cut off.
        """
        templates = crops = 0
        with self.transaction():
            for table in ("template", "negative"):
                count = f"SELECT count(*), count(crop) FROM {table} WHERE person = ?"  # noqa: S608 -- two names
                own = self.execute(count, (person.person_id,)).fetchone()
                templates, crops = templates + own[0], crops + own[1]
                self.execute(f"DELETE FROM {table} WHERE person = ?", (person.person_id,))  # noqa: S608 -- two names
            self.execute("DELETE FROM person WHERE id = ?", (person.person_id,))
            self.answers.drop()
            self.audit.note("remove", person.person_id, f"{templates} template(s), {crops} crop(s)")
        if not self.checkpoint_unless_writing():
            raise GalleryError(f"removed, but {NOT_OVERWRITTEN}")
        return Removed(templates, crops, utc())

    def crops(self) -> Iterable[tuple[str, np.ndarray]]:
        """The template id and the (112, 112, 3) uint8 RGB crop of every stored crop, strangers' too."""
        with self.reading():
            rows = [
                row
                for table in TEMPLATES
                for row in self.execute(f"SELECT id, crop FROM {table} WHERE crop IS NOT NULL ORDER BY added, id")  # noqa: S608 -- ours
            ]
        for template_id, blob in rows:
            yield template_id, decoded(blob, f"{self.path}: crop of {template_id}")

    def export(self, *, crops: bool = True) -> tuple[bytes, int]:
        """Everybody, and how many they are; see edge.storage.archive. Nobody leaves without a record of it."""
        with self.transaction():
            data, people = export(self, crops=crops)
            self.audit.note("export", detail=f"{people} person(s)")
        return data, people

    def import_(self, data: bytes) -> tuple[int, int]:
        """Everybody of an export; see edge.storage.archive. Returns how many people and templates are new."""
        return import_(self, self.audit, data, "the gallery")

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> None:
        """Put these embeddings, by template id, in the place of all others, in one transaction."""
        with self.transaction():
            for template_id, embedding in embeddings.items():
                for table in TEMPLATES:
                    self.execute(
                        f"UPDATE {table} SET embedding = ?, model = ? WHERE id = ?",  # noqa: S608 -- ours
                        (blob_of(embedding), self.model, template_id),
                    )
            self.audit.note("rebuild", detail=f"{len(embeddings)} template(s)")

    def setting(self, name: str) -> str | None:
        """What was set, also before a restart; None where nothing was."""
        with self.reading():
            row = self.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set(self, name: str, value: str) -> None:
        """Keep a setting."""
        with self.transaction():
            self.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value))

    def put(self, person: Person) -> None:
        """Write how somebody is now, within a transaction that says on record who it is that writes."""
        self.execute(
            "UPDATE person SET name = ?, key = ?, tau = ?, expires = ?, notify = ? WHERE id = ?",
            (person.name, person.name.casefold(), person.tau, person.expires, person.notify, person.person_id),
        )

    def _called(self, name: str) -> Person | None:
        row = self.execute(
            "SELECT id, name, tau, expires, notify FROM person WHERE key = ?", (name.casefold(),)
        ).fetchone()
        return None if row is None else Person(*row[:4], bool(row[4]))
