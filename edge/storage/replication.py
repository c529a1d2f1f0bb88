"""The revisions of a household's gallery in the gallery's own file, and the gallery that follows from them."""

import json
import uuid
from collections.abc import Callable

import msgspec

from edge.core.replication import Member, Revision, TemplateRecord, join, local_changes, members
from edge.core.types import Person
from edge.errors import GalleryError
from edge.storage.blobs import is_embedding
from edge.storage.gallery import SqliteGallery

TABLES = {"templates": "template", "negatives": "negative"}


class SqliteReplication:
    """Revisions beside the people and templates that they are of: either both are changed or neither.

    device: under whose name this camera writes
    revisions: by person id; to be read only

    Raises GalleryError where they cannot be read.
    """

    def __init__(self, db: SqliteGallery, device: str) -> None:
        self._db, self._device = db, device
        self.revisions: dict[str, Revision] = {}
        self._looks: dict[str, TemplateRecord] = {}  # of templates that are not in the gallery yet
        self._written: tuple[int, int] | None = None
        self.load()

    def load(self) -> None:
        """Know what is on the disk, after something was not written."""
        with self._db.reading():
            rows = self._db.execute("SELECT said FROM revision").fetchall()
        try:
            revisions = [msgspec.msgpack.decode(said, type=Revision) for (said,) in rows]
        except msgspec.DecodeError as error:
            raise GalleryError(f"gallery {self._db.path}: a revision is damaged: {error}") from error
        self.revisions = {revision.person_id: revision for revision in revisions}
        self._written = None
        self._looks.clear()

    def notice(self) -> list[str]:
        """Ids of whoever was changed in the gallery, here or by another process, since this was last asked."""
        if self._db.change_token() == self._written:
            return []
        with self._db.transaction():
            self._give_new_ids()
            news = local_changes(self.revisions, self.gallery(), self._device)
            for revision in news:
                self._keep(revision)
        self._written = self._db.change_token()
        return [revision.person_id for revision in news]

    def take(
        self, heard: Revision, looks: list[TemplateRecord], ours: Callable[[TemplateRecord], TemplateRecord]
    ) -> Revision:
        """Join what was heard with what is known, within a transaction after `notice` and before `show`.

        Returns what was heard, but for templates without a look that can be used.

        ours: what becomes of a look here, such as one that another model made
        """
        own = self.revisions.get(heard.person_id)
        have, unusable = self._ids(), self.unusable()
        new = {
            look.template_id: look for look in looks if look.template_id in heard.ids and is_embedding(look.embedding)
        }
        heard = heard.without(heard.ids - have - self._looks.keys() - new.keys())
        joined = heard if own is None else join(own, heard)
        for template_id, look in new.items():
            if template_id in joined.ids - have - self._looks.keys():
                self._looks[template_id] = ours(look)
            elif template_id in unusable:
                self._mend(ours(look))
        if joined != own:
            self._keep(joined)
        return heard

    def show(self) -> bool:
        """Make the gallery what follows from the revisions, within a transaction. Returns whether it was another."""
        have, want = self.gallery(), members(self.revisions.values())
        same = {who for who in have.keys() & want.keys() if have[who].person == want[who].person}
        for person_id in have.keys() - same:  # two may have each other's name: no two rows have one key meanwhile
            self._db.execute("UPDATE person SET key = char(1) || id WHERE id = ?", (person_id,))
        for person_id in want.keys() - same:
            person = want[person_id].person
            self._db.execute(
                "INSERT OR IGNORE INTO person (id, name, key) VALUES (?, '', char(1) || ?)", (person_id,) * 2
            )
            self._db.put(person)
        moved = {person_id for kind in TABLES for person_id in self._show_templates(kind, have, want)}
        for person_id in have.keys() - want.keys():
            self._db.remove(have[person_id].person)
        self._looks.clear()
        self._written = self._db.change_token()
        changed = (want.keys() - same) | moved
        for person_id in changed & want.keys():
            self._db.audit.note("share", person_id, f"{len(want[person_id].templates)} template(s)")
        return bool(changed) or have.keys() != want.keys()

    def gallery(self) -> dict[str, Member]:
        """Who is known, as the gallery has them."""
        with self._db.reading():
            rows = self._db.execute("SELECT id, name, tau, expires, notify FROM person").fetchall()
            owned = {kind: self._owned(table) for kind, table in TABLES.items()}
        return {
            row[0]: Member(Person(*row[:4], bool(row[4])), *(owned[kind].get(row[0], frozenset()) for kind in TABLES))
            for row in rows
        }

    def looks(self, revision: Revision, *, crops: bool) -> list[TemplateRecord]:
        """What there is of its templates."""
        with self._db.reading():
            rows = [
                row
                for table in TABLES.values()
                for row in self._db.execute(
                    f"SELECT id, model, embedding, iif(?, crop, NULL) FROM {table} "  # noqa: S608 -- ours
                    "WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
                    (crops, json.dumps(sorted(revision.ids))),
                )
            ]
        return [TemplateRecord(*row) for row in rows]

    def crop_bytes(self, revision: Revision) -> dict[str, int]:
        """How many bytes the crops of its templates have, by template id, where there are any."""
        with self._db.reading():
            return {
                template_id: size
                for table in TABLES.values()
                for template_id, size in self._db.execute(
                    f"SELECT id, length(crop) FROM {table} "  # noqa: S608 -- ours
                    "WHERE crop IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
                    (json.dumps(sorted(revision.ids)),),
                )
            }

    def unusable(self) -> set[str]:
        """Ids of templates that another model made, or that are damaged."""
        with self._db.reading():
            return {
                template_id
                for table in TABLES.values()
                for (template_id,) in self._db.execute(f"SELECT id FROM {table} WHERE NOT ({self._db.usable})")  # noqa: S608 -- ours
            }

    def _keep(self, revision: Revision) -> None:
        self.revisions[revision.person_id] = revision
        self._db.execute(
            "INSERT OR REPLACE INTO revision (person, said) VALUES (?, ?)",
            (revision.person_id, msgspec.msgpack.encode(revision)),
        )

    def _mend(self, look: TemplateRecord) -> None:
        if look.model == self._db.model:
            for table in TABLES.values():
                self._db.execute(
                    f"UPDATE {table} SET model = ?, embedding = ? WHERE id = ?",  # noqa: S608 -- ours
                    (look.model, look.embedding, look.template_id),
                )

    def _show_templates(self, kind: str, have: dict[str, Member], want: dict[str, Member]) -> set[str]:
        """Of one table, with the owners that are wanted. Returns who has others now."""
        table = TABLES[kind]
        before, after = (
            {template_id: who for who, member in people.items() for template_id in getattr(member, kind)}
            for people in (have, want)
        )
        for template_id in {one for one in before.keys() - after.keys() if before[one] in want}:
            self._db.execute(f"DELETE FROM {table} WHERE id = ?", (template_id,))  # noqa: S608 -- ours
        for template_id, who in after.items():
            if template_id not in before:
                look = self._looks[template_id]
                crop = look.crop if self._db.keep_crops else None
                self._db.execute(
                    f"INSERT INTO {table} (id, person, model, embedding, crop) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 -- ours
                    (template_id, who, look.model, look.embedding, crop),
                )
            elif before[template_id] != who:
                self._db.execute(f"UPDATE {table} SET person = ? WHERE id = ?", (who, template_id))  # noqa: S608 -- ours
        return {people[one] for one, _ in before.items() ^ after.items() for people in (before, after) if one in people}

    def _give_new_ids(self) -> None:
        """To whom an import brought back: an id that is forgotten, or a part of somebody, is never shown again."""
        shown = members(self.revisions.values())
        self._db.execute("PRAGMA defer_foreign_keys = ON")  # until the transaction ends
        for person_id, member in self.gallery().items():
            if person_id in self.revisions and person_id not in shown:
                new_id = f"p_{uuid.uuid4().hex[:8]}"
                self._db.execute("UPDATE person SET id = ? WHERE id = ?", (new_id, person_id))
                self._db.hand_over(person_id, new_id)
            elif person_id in shown:
                removed = frozenset[str]().union(*(self.revisions[who].removed for who in shown[person_id].revisions))
                for template_id in (member.templates | member.negatives) & removed:
                    for table in TABLES.values():
                        self._db.execute(
                            f"UPDATE {table} SET id = ? WHERE id = ?",  # noqa: S608 -- ours
                            (f"e_{uuid.uuid4().hex}", template_id),
                        )

    def _owned(self, table: str) -> dict[str, frozenset[str]]:
        owned: dict[str, set[str]] = {}
        for template_id, who in self._db.execute(f"SELECT id, person FROM {table}"):  # noqa: S608 -- ours
            owned.setdefault(who, set()).add(template_id)
        return {who: frozenset(ids) for who, ids in owned.items()}

    def _ids(self) -> set[str]:
        with self._db.reading():
            return {
                template_id
                for table in TABLES.values()
                for (template_id,) in self._db.execute(f"SELECT id FROM {table}")  # noqa: S608 -- ours
            }
