"""People and templates in SQLite: what `add` returned is on disk, also after a power cut."""

import json
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.core.types import Person, Removed, Template
from edge.errors import GalleryError
from edge.storage.archive import export, import_
from edge.storage.audit import Audit
from edge.storage.blobs import are_embeddings, blob_of, decoded, encoded, near_enough
from edge.storage.damage import readable
from edge.storage.database import Database
from edge.storage.idempotency import Answers
from edge.storage.nonces import Nonces
from edge.storage.removed import RemovedTemplates
from edge.storage.templates import SqliteTemplates, another_id, new_id
from edge.storage.unit_of_work import Row
from edge.storage.words import count_of
from edge.system.clock import Clock, rfc3339

log = logging.getLogger("limen")

NOT_OVERWRITTEN = "another process reads the gallery, or its disk is full: until then its log holds what was removed"
OWNED = ("template", "negative")  # tables of templates with a column person
TEMPLATES = (*OWNED, "stranger_template")


class SqliteGallery(Database):
    """People and templates; see edge.core.ports.GalleryStore.

    model: sha256 of the embedder; templates of another one stay on disk and are not loaded, until they are rebuilt
    dimension: of its embeddings; a damaged template counts as another model's
    keep_crops: whether the aligned crop stays beside its template, so that another model can embed it again
    clock_trusted: the configuration vouches for the time of day; see edge.system.clock.Clock
    make: whether the file is created where it is missing
    alike: which of (N, D) are within tau of one of (L, D): another person's negative template, or a stranger, that is
        alike is erased with a person; the gallery's own rule, once it has one
    damaged: how many templates of each table could not be used when they were last read
    clock, audit, answers, nonces: the time of day, and what is kept beside people
    each, removed: the templates of one person, one by one, and the encodings of who was removed

    Raises GalleryError where the file cannot be opened or is no gallery.
    """

    def __init__(
        self,
        path: Path,
        model: str,
        dimension: int = 128,
        *,
        keep_crops: bool = True,
        clock_trusted: bool = False,
        make: bool = True,
    ) -> None:
        super().__init__(path, make=make)
        self.clock = Clock(self, trusted=clock_trusted)
        self.audit, self.answers, self.nonces = Audit(self, self.clock), Answers(self), Nonces(self)
        self.each, self.removed = SqliteTemplates(self), RemovedTemplates(self)
        self.model, self.keep_crops = model, keep_crops
        self.alike: Callable[[np.ndarray, np.ndarray], np.ndarray] = near_enough
        self.bytes = 4 * dimension
        self.usable = f"model = '{model}' AND length(embedding) = {self.bytes}"
        self.damaged: Counter[str] = Counter()

    def load(self) -> tuple[list[Person], list[Template]]:
        """Everybody, and every template of the present model, negative ones too."""
        with self.reading():
            return self.people(), [template for table in OWNED for template in self.templates(table, "person")]

    def load_of(self, person_ids: Iterable[str]) -> tuple[list[Person], list[Template]]:
        """As load, of some people; who is not there is left out."""
        wanted = json.dumps(list(person_ids))
        with self.reading():
            return self.people(wanted), [one for table in OWNED for one in self.templates(table, "person", wanted)]

    def page(self, after: str | None, count: int) -> list[tuple[str, str]]:
        """So many people in the order of enrollment: person id, and a mark after which the next page begins."""
        added, _, person_id = (after or "").partition(" ")
        with self.reading():
            rows = self.rows(
                "SELECT id, added || ' ' || id FROM person WHERE (added, id) > (?, ?) ORDER BY added, id LIMIT ?",
                (added, person_id, count),
            )
        return [(person_id, mark) for person_id, mark in rows]

    def people(self, wanted: str | None = None) -> list[Person]:
        """Everybody, in the order of enrollment. wanted: a JSON list of ids, of some of them."""
        chosen = "" if wanted is None else "WHERE id IN (SELECT value FROM json_each(?))"
        with self.reading():
            rows = self.rows(
                f"SELECT id, name, tau, expires, notify FROM person {chosen} ORDER BY added, id",  # noqa: S608 -- ours
                () if wanted is None else (wanted,),
            )
        return [person_of(row) for row in rows]

    def templates(self, table: str, owner: str, wanted: str | None = None) -> list[Template]:
        """The templates of the present model in one table. owner: the column of the person's or stranger's id.

        wanted: a JSON list of owners' ids, of some of them
        """
        chosen = "" if wanted is None else f"AND {owner} IN (SELECT value FROM json_each(?))"  # noqa: S608 -- ours
        select = f"SELECT id, {owner}, embedding FROM {table} WHERE {self.usable} {chosen}"  # noqa: S608 -- ours
        rows, damaged = readable(self, table, select, () if wanted is None else (wanted,))
        good = are_embeddings([blob for *_, blob in rows], self.bytes)
        if wanted is None:
            self.damaged[table] = damaged + good.count(False)
        return [
            Template(template_id, whose, np.frombuffer(blob, dtype="<f4"), self.model, negative=table == "negative")
            for (template_id, whose, blob), usable in zip(rows, good, strict=True)
            if usable
        ]

    def near(self, table: str, owner: str, embeddings: np.ndarray) -> list[Template]:
        """The templates of one table that are alike one of the embeddings, (L, D) float32 of unit length."""
        templates = self.templates(table, owner)
        if not templates or not len(embeddings):
            return []
        stacked = np.stack([one.embedding for one in templates])  # (N, D)
        return [one for one, alike in zip(templates, self.alike(stacked, embeddings), strict=True) if alike]

    def foreign(self) -> int:
        """How many templates were made by another model."""
        with self.reading():
            return sum(
                self.value(f"SELECT count(*) FROM {table} WHERE NOT ({self.usable})")  # noqa: S608 -- ours
                for table in OWNED
            )

    def add(
        self, name: str, embeddings: list[np.ndarray], crops: list[np.ndarray], expires: float | None = None
    ) -> Person:
        """Add templates, each with its crop, to the person of that name, who is added where there is none.

        expires: seconds since 1970, of a guest; None leaves it as it is
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
            self.audit.note("enroll", person.person_id, count_of(len(embeddings), "template"))
        return person

    def keep_template(
        self, table: str, owner: str, whose: str, embedding: np.ndarray, crop: np.ndarray, event_id: str | None = None
    ) -> None:
        """Add a template to one of the tables, within a transaction. event_id: from which it was learned."""
        stored = encoded(crop) if self.keep_crops else None
        row = (new_id(event_id), whose, self.model, blob_of(embedding), stored)
        self.execute(f"INSERT INTO {table} (id, {owner}, model, embedding, crop) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608 -- ours

    def deny(self, person: Person, embedding: np.ndarray, crop: np.ndarray) -> None:
        """Add a negative template: a sample that is near to the person and is of somebody else."""
        with self.transaction():
            self.keep_template("negative", "person", person.person_id, embedding, crop)
            self.audit.note("deny", person.person_id, "1 template")

    def update(self, person: Person) -> None:
        """Write a person's name, tau, expiry and notify."""
        with self.transaction():
            before = self._called(person.name)
            self.put(person)
            if before is None or before.name != person.name or before.person_id != person.person_id:
                self.audit.note("rename", person.person_id)
            else:
                particular = f"tau {person.tau}, expires {person.expires}, notify {person.notify}"
                self.audit.note("set", person.person_id, particular)

    def drop(self, template_ids: list[str]) -> None:
        """Delete these templates, negative ones too."""
        with self.transaction():
            for template_id in template_ids:
                self._delete("id", template_id)
            self.audit.note("drop", detail=count_of(len(template_ids), "template"))
        self.checkpoint_unless_writing()

    def merge(self, person: Person, into: Person) -> None:
        """Give a person's templates to another, and delete the person."""
        with self.transaction():
            self.hand_over(person.person_id, into.person_id)
            self.erase("DELETE FROM person WHERE id = ?", (person.person_id,))
            self.audit.note("merge", person.person_id, f"into {into.person_id}")

    def hand_over(self, person_id: str, to: str) -> None:
        """Give all templates of a person to another, within a transaction, under new ids: an id is of one person."""
        for table in OWNED:
            ids = [one for (one,) in self.rows(f"SELECT id FROM {table} WHERE person = ?", (person_id,))]  # noqa: S608 -- ours
            moved = [(another_id(one), to, one) for one in ids]
            self.executemany(f"UPDATE {table} SET id = ?, person = ? WHERE id = ?", moved)  # noqa: S608 -- ours

    def remove(self, person: Person) -> Removed:
        """Delete a person, and the content of every kept answer: nothing of them can be read from the disk.

        Raises GalleryError where no transaction is open around this and the log of writes, which holds them, cannot be
        truncated.
        """
        with self.transaction():
            ((templates, crops),) = self.rows(
                "SELECT count(*), count(crop) FROM (SELECT crop FROM template WHERE person = ?1 "
                "UNION ALL SELECT crop FROM negative WHERE person = ?1)",
                (person.person_id,),
            )
            self._delete("person", person.person_id)
            self.erase("DELETE FROM person WHERE id = ?", (person.person_id,))
            self.answers.drop()
            detail = f"{count_of(templates, 'template')}, {count_of(crops, 'crop')}"
            self.audit.note("remove", person.person_id, detail)
        if not self.checkpoint_unless_writing():
            raise GalleryError(f"removed, but {NOT_OVERWRITTEN}")
        return Removed(templates, crops, rfc3339())

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Deletes negative templates of others too, which are alike."""
        with self.transaction():
            templates = self.near("negative", "person", embeddings)
            own = self._delete("person", person_id) + self.erase("DELETE FROM person WHERE id = ?", (person_id,))
            if own:
                self.audit.note("remove", person_id, count_of(own, "row"))
            near_others = sum(self._delete("id", template.template_id) for template in templates)
            if near_others:
                self.audit.note("drop", detail=count_of(near_others, "template"))
        return own + near_others

    def crops(self) -> Iterable[tuple[str, np.ndarray]]:
        """The template id and the (112, 112, 3) uint8 RGB crop of each crop that can be read, strangers' too."""
        with self.reading():
            rows = [
                row
                for table in TEMPLATES
                for row in self.rows(f"SELECT id, crop FROM {table} WHERE crop IS NOT NULL ORDER BY added, id")  # noqa: S608 -- ours
            ]
        for template_id, blob in rows:
            crop = decoded(blob)
            if crop is None:  # of one template: the others are not lost with it
                log.warning("%s: the picture of template %s cannot be read", self.path, template_id)
            else:
                yield template_id, crop

    def export(self, *, crops: bool = True) -> tuple[bytes, int]:
        """Everybody as an archive, and how many they are; see edge.storage.archive. The audit record says so."""
        with self.transaction():
            data, people = export(self, crops=crops)
            self.audit.note("export", detail=count_of(people, "person"))
        return data, people

    def import_(self, data: bytes) -> tuple[int, int]:
        """Add everybody of an archive; see edge.storage.archive. Returns how many people and templates are new."""
        return import_(self, self.audit, data, "the gallery")

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> int:
        """Replace embeddings, (D,) float32 by template id, in one transaction. Returns how many of them were there."""
        rows = [(blob_of(embedding), self.model, template_id) for template_id, embedding in embeddings.items()]
        with self.transaction():
            made = sum(
                self.executemany(f"UPDATE {table} SET embedding = ?, model = ? WHERE id = ?", rows)  # noqa: S608 -- ours
                for table in TEMPLATES
            )
            self.audit.note("rebuild", detail=count_of(made, "template"))
        return made

    def setting(self, name: str) -> str | None:
        """A setting, also from before a restart; None where there is none."""
        with self.reading():
            value: str | None = self.value("SELECT value FROM setting WHERE name = ?", (name,))
        return value

    def set(self, name: str, value: str) -> None:
        """Write a setting."""
        with self.transaction():
            self.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", (name, value))

    def put(self, person: Person) -> None:
        """Write a person's row, within a transaction that notes it in the audit record."""
        self.execute(
            "UPDATE person SET name = ?, key = ?, tau = ?, expires = ?, notify = ? WHERE id = ?",
            (person.name, person.name.casefold(), person.tau, person.expires, person.notify, person.person_id),
        )

    def _delete(self, column: str, value: str) -> int:
        """Delete the templates, negative ones too, of a person or of an id. Returns how many."""
        if column == "person":
            self.removed.keep(value)
        return sum(self.erase(f"DELETE FROM {table} WHERE {column} = ?", (value,)) for table in OWNED)  # noqa: S608 -- ours

    def _called(self, name: str) -> Person | None:
        row = self.row("SELECT id, name, tau, expires, notify FROM person WHERE key = ?", (name.casefold(),))
        return None if row is None else person_of(row)


def person_of(row: Row) -> Person:
    """A person from the columns id, name, tau, expires and notify."""
    person_id, name, tau, expires, notify = row
    return Person(person_id, name, tau, expires, bool(notify))
