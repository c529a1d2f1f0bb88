"""The revisions of a household's gallery in the gallery's own file, and the gallery that follows from them."""

import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import msgspec

from edge.core.expiry import expired_here, is_over
from edge.core.replication import (
    Member,
    Revision,
    TemplateRecord,
    bounded,
    join,
    local_changes,
    members,
)
from edge.errors import GalleryError
from edge.storage.blobs import is_crop, is_embedding
from edge.storage.gallery import SqliteGallery
from edge.storage.templates import another_id
from edge.storage.unit_of_work import Row, Values
from edge.storage.words import count_of

TABLES = {"templates": "template", "negatives": "negative"}
PEOPLE_MAX = 10_000  # revisions of people that other cameras can add
TOMBSTONES_MAX = 10_000


class SqliteReplication:
    """Revisions beside the people and templates that they are of: both are changed, or neither.

    A household with more than TOMBSTONES_MAX removed people drops the oldest tombstones: a camera that was switched off
    since then may bring such a person back.

    device: the name under which this camera writes
    revisions: by person id, in the order in which they were written; to be read only
    gave_new_ids: whether the last record_local_changes did: the gallery in memory has the old ones
    expired: ids of guests whose revisions were dropped because their time is over, for the caller to take out
    now: the time of day, None while it is not set; that of the gallery if not given

    Raises GalleryError where they cannot be read.
    """

    def __init__(
        self,
        db: SqliteGallery,
        device: str,
        people_max: int = PEOPLE_MAX,
        tombstones_max: int = TOMBSTONES_MAX,
        now: Callable[[], float | None] | None = None,
    ) -> None:
        self._db, self._device, self._people_max, self._tombstones_max = db, device, people_max, tombstones_max
        self.revisions: dict[str, Revision] = {}
        self.gave_new_ids = False
        self.expired: list[str] = []
        self._now = db.clock.now if now is None else now
        self._records: dict[str, TemplateRecord] = {}  # of templates that are not in the gallery yet
        self._written: tuple[int, int] | None = None
        self.load()

    def load(self) -> None:
        """Read the revisions from the disk, also after a transaction that was rolled back."""
        with self._db.reading():
            rows = self._db.rows("SELECT said FROM revision ORDER BY rowid")
        try:
            revisions = [unpacked(packed) for (packed,) in rows]
        except msgspec.DecodeError as error:
            raise GalleryError(f"gallery {self._db.path}: a revision is damaged: {error}") from error
        self.revisions = {revision.person_id: revision for revision in revisions}
        self._written = None
        self._records.clear()

    def record_local_changes(self) -> list[str]:
        """Write revisions of what was changed in the gallery, here or by another process, since the last call.

        Returns the ids of the people who were changed.
        """
        self.gave_new_ids = False
        if self._db.change_token() == self._written:
            return []
        with self._db.transaction():
            self.gave_new_ids = self._give_new_ids()
            gallery = self.gallery()
            for person_id in expired_here(self.revisions, gallery, self._now()):
                self._drop(person_id)
            news = local_changes(self.revisions, gallery, self._device)
            for revision in news:
                self._keep(revision)
        self._written = self._db.change_token()
        return [revision.person_id for revision in news if revision.person_id in self.revisions]

    def receive(
        self, received: Revision, records: list[TemplateRecord], convert: Callable[[TemplateRecord], TemplateRecord]
    ) -> Revision:
        """Join a revision with what is known, within a transaction, after record_local_changes and before apply.

        Returns it without the templates for which there is no usable record. The revision of a new person is ignored
        where the household has PEOPLE_MAX people, and of a guest whose time is over.

        convert: makes of a record what is kept of it here, as where another model made it
        """
        received = join(received, received)  # of a tombstone, the id and the number alone
        own = self.revisions.get(received.person_id)
        kinds: dict[str, str] = dict(self._select("id, '{table}' FROM {table}"))
        have, unusable = kinds.keys(), self.unusable()
        elsewhere = {
            one for kind, table in TABLES.items() for one in getattr(received, kind) if kinds.get(one, table) != table
        }
        new = {
            record.template_id: without_unusable_crop(record)
            for record in records
            if record.template_id in received.ids and is_embedding(record.embedding)
        }
        received = received.without(received.ids - have - self._records.keys() - new.keys() | elsewhere)
        if self.ignores(received) or (own is None and not received.forgotten and self._living() >= self._people_max):
            return received
        joined = received if own is None else join(own, received)
        for template_id, record in new.items():
            if template_id in joined.ids - have - self._records.keys():
                self._records[template_id] = convert(record)
            elif template_id in unusable:
                self._repair(convert(record))
        if joined != own:
            self._keep(joined)
        return received

    def ignores(self, received: Revision) -> bool:
        """Whether it is of a guest who is not known here, and whose time is over."""
        return received.person_id not in self.revisions and is_over(received, self._now())

    def apply(self) -> bool:
        """Make the gallery what follows from the revisions, within a transaction. Returns whether it was changed."""
        have, want = self.gallery(), members(self.revisions.values())
        same = {one for one in have.keys() & want.keys() if have[one].person == want[one].person}
        for person_id in have.keys() - same:  # two may have each other's name: no two rows have one key meanwhile
            self._db.execute("UPDATE person SET key = char(1) || id WHERE id = ?", (person_id,))
        for person_id in want.keys() - same:
            self._db.execute(
                "INSERT OR IGNORE INTO person (id, name, key) VALUES (?, '', char(1) || ?)", (person_id, person_id)
            )
            self._db.put(want[person_id].person)
        moved = {person_id for kind in TABLES for person_id in self._apply_templates(kind, have, want)}
        for person_id in have.keys() - want.keys():
            self._db.remove(have[person_id].person)
        self._records.clear()
        self._written = self._db.change_token()
        changed = (want.keys() - same) | moved
        for person_id in changed & want.keys():
            self._db.audit.note("share", person_id, count_of(len(want[person_id].templates), "template"))
        return bool(changed) or have.keys() != want.keys()

    def gallery(self) -> dict[str, Member]:
        """Everybody as the gallery has them, by person id."""
        with self._db.reading():
            people = self._db.people()
            owned = {kind: self._owned(table) for kind, table in TABLES.items()}
        return {
            person.person_id: Member(person, *(owned[kind].get(person.person_id, frozenset()) for kind in TABLES))
            for person in people
        }

    def records(self, revision: Revision, *, crops: bool) -> list[TemplateRecord]:
        """What there is of the templates of a revision."""
        return [TemplateRecord(*row) for row in self._of(revision, f"id, model, embedding, iif({crops:d}, crop, NULL)")]

    def crop_bytes(self, revision: Revision) -> dict[str, int]:
        """How many bytes each crop of a revision has, by template id, where there is one."""
        sizes = self._of(revision, "id, length(crop)")
        return {template_id: size for template_id, size in sizes if size is not None}

    def unusable(self) -> set[str]:
        """Ids of templates that another model made, or that are damaged."""
        return {template_id for (template_id,) in self._select(f"id FROM {{table}} WHERE NOT ({self._db.usable})")}

    def _living(self) -> int:
        return sum(not revision.forgotten for revision in self.revisions.values())

    def _keep(self, revision: Revision) -> None:
        """Write a revision, within a transaction."""
        self.revisions.pop(revision.person_id, None)
        self.revisions[revision.person_id] = revision
        write = self._db.erase if revision.forgotten else self._db.execute
        write(
            "INSERT OR REPLACE INTO revision (person, said) VALUES (?, ?)",
            (revision.person_id, msgspec.msgpack.encode(revision)),
        )
        tombstones = [one.person_id for one in self.revisions.values() if one.forgotten] if revision.forgotten else []
        for person_id in tombstones[: -self._tombstones_max]:
            del self.revisions[person_id]
            self._db.execute("DELETE FROM revision WHERE person = ?", (person_id,))

    def _drop(self, person_id: str) -> None:
        """Drop the revision of a guest whose time is over, within a transaction."""
        del self.revisions[person_id]
        self._db.erase("DELETE FROM revision WHERE person = ?", (person_id,))
        self.expired.append(person_id)

    def _repair(self, record: TemplateRecord) -> None:
        """Replace an embedding that cannot be used, where the record is of the present model."""
        if record.model == self._db.model:
            for table in TABLES.values():
                self._db.execute(
                    f"UPDATE {table} SET model = ?, embedding = ? WHERE id = ?",  # noqa: S608 -- ours
                    (record.model, record.embedding, record.template_id),
                )

    def _apply_templates(self, kind: str, have: dict[str, Member], want: dict[str, Member]) -> set[str]:
        """Give the templates of one table to the wanted owners. Returns the ids of people who have others now."""
        table = TABLES[kind]
        before, after = (
            {template_id: one for one, member in people.items() for template_id in getattr(member, kind)}
            for people in (have, want)
        )
        for template_id in {one for one in before.keys() - after.keys() if before[one] in want}:
            self._db.erase(f"DELETE FROM {table} WHERE id = ?", (template_id,))  # noqa: S608 -- ours
        for template_id, person_id in after.items():
            if template_id not in before and (record := self._records.get(template_id)) is not None:
                crop = record.crop if self._db.keep_crops else None
                self._db.execute(
                    f"INSERT INTO {table} (id, person, model, embedding, crop) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 -- ours
                    (template_id, person_id, record.model, record.embedding, crop),
                )
            elif before.get(template_id, person_id) != person_id:
                self._db.execute(f"UPDATE {table} SET person = ? WHERE id = ?", (person_id, template_id))  # noqa: S608 -- ours
        return {people[one] for one, _ in before.items() ^ after.items() for people in (before, after) if one in people}

    def _give_new_ids(self) -> bool:
        """Give new ids to what an import brought back: an id that was removed, or is a part of a person, stays so.

        Returns whether there was any.
        """
        before = self._db.change_token()
        shown = members(self.revisions.values())
        self._db.execute("PRAGMA defer_foreign_keys = ON")  # until the transaction ends
        for person_id, member in self.gallery().items():
            if person_id in self.revisions and person_id not in shown:
                new_id = f"p_{uuid.uuid4().hex[:8]}"
                self._db.execute("UPDATE person SET id = ? WHERE id = ?", (new_id, person_id))
                self._db.hand_over(person_id, new_id)
            elif person_id in shown:
                removed = frozenset[str]().union(*(self.revisions[one].removed for one in shown[person_id].revisions))
                for template_id in (member.templates | member.negatives) & removed:
                    for table in TABLES.values():
                        self._db.execute(
                            f"UPDATE {table} SET id = ? WHERE id = ?",  # noqa: S608 -- ours
                            (another_id(template_id), template_id),
                        )
        return self._db.change_token() != before

    def _owned(self, table: str) -> dict[str, frozenset[str]]:
        """The ids of templates in one table, by person id."""
        owned: dict[str, set[str]] = {}
        for template_id, person_id in self._db.rows(f"SELECT id, person FROM {table}"):  # noqa: S608 -- ours
            owned.setdefault(person_id, set()).add(template_id)
        return {person_id: frozenset(ids) for person_id, ids in owned.items()}

    def _of(self, revision: Revision, columns: str) -> list[Row]:
        """Columns of the templates of a revision, in the order of their ids."""
        return self._select(
            f"{columns} FROM {{table}} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",  # noqa: S608 -- ours
            (json.dumps(sorted(revision.ids)),),
        )

    def _select(self, what: str, values: Values = ()) -> list[Row]:
        """Rows of both tables of templates, of one moment."""
        with self._db.reading():
            return [
                row for table in TABLES.values() for row in self._db.rows(f"SELECT {what.format(table=table)}", values)
            ]


def unpacked(packed: bytes) -> Revision:
    """A revision as it is stored, within its limits: the first release kept whatever number it received.

    Raises msgspec.DecodeError.
    """
    return bounded(msgspec.msgpack.decode(packed, type=Revision))


def parts(db: SqliteGallery) -> dict[str, str]:
    """Who is a part of a person of another id, and that id: two cameras enrolled them under one name.

    A damaged revision is left out. Raises GalleryError where they cannot be read.
    """
    revisions = list[Revision]()
    for (packed,) in db.rows("SELECT said FROM revision"):
        with suppress(msgspec.DecodeError):
            revisions.append(unpacked(packed))
    shown = members(revisions)
    return {part: person_id for person_id, member in shown.items() for part in member.revisions - {person_id}}


def without_unusable_crop(record: TemplateRecord) -> TemplateRecord:
    """The record, without its crop where that is no PNG of 112x112."""
    return record if record.crop is None or is_crop(record.crop) else replace(record, crop=None)
