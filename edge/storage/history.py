"""Visits that are kept on the device: what was told of each, by ids and never by a name, and its pictures.

One thread owns the file, see edge.runtime.history. It is no part of the gallery's: it is written at every visit, and it
may be deleted at any time.
"""

import json
import logging
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np

from edge.errors import HistoryError
from edge.storage.aside import erase, files_set_aside, set_aside
from edge.storage.blobs import blob_of, is_embedding
from edge.storage.damage import is_damage, is_of_values
from edge.storage.database import SqliteFile
from edge.storage.unit_of_work import foreign_text, tables
from edge.storage.visit_erasure import erase_some, mark, mark_removed, mark_strangers, mark_unnamed
from edge.storage.visits import SHAPE, TABLES, VERSION, VISIT, Bounds, Note, Pictures, StoredVisit, Wanted, stored

log = logging.getLogger("limen")

BUSY_SECONDS = 2.0
SPARED = 0.95  # of the bytes that may be: so much is left where they are more, so that not every visit purges
ERASED_AT_ONCE = 50


class SqliteHistory(SqliteFile):
    """The file of visits.

    model: sha256 of the embedder that makes the embeddings
    make: whether the file is created where it is missing

    A damaged file is set aside. Raises HistoryError where the file cannot be opened.
    """

    kind = "history"
    error = HistoryError

    def __init__(self, path: Path, model: str, *, make: bool = True) -> None:
        self._model = model
        super().__init__(path, make=make, busy_seconds=BUSY_SECONDS)

    def _open(self, *, make: bool) -> None:
        try:
            super()._open(make=make)
        except HistoryError as error:
            if not is_damage(error):
                raise
            self._set_aside(error)
            super()._open(make=make)

    def replace_damaged(self, error: HistoryError) -> None:
        """Where an error is that of a damaged file, set the file aside and begin another. Raises HistoryError."""
        if is_damage(error):
            self._db.close()
            self._set_aside(error)
            super()._open(make=True)

    def _set_aside(self, error: HistoryError) -> None:
        try:
            aside = set_aside(self.path)
        except OSError as again:
            raise HistoryError(f"{error}; and it cannot be set aside: {again}") from again
        log.warning("%s: it was set aside as %s, and the visits in it are lost", error, aside)

    def add(self, notes: Iterable[Note]) -> list[str]:
        """Write what events say, in their order, in one transaction. Returns why some were left out, a text for each.

        Left out is a note that can never be written. Raises HistoryError where the file cannot be written.
        """
        left_out = []
        with self.transaction():
            for note in notes:
                try:
                    with super().transaction():
                        self._add(note)
                except (HistoryError, ValueError, TypeError, OverflowError) as error:
                    if not is_of_values(error):
                        raise
                    left_out.append(f"event {note.event_id}: {error}")
        return left_out

    def _add(self, note: Note) -> None:
        number = self._number(note.visit_id)
        if number is None and note.begins:
            number = self._begin(note)
        if number is not None and note.forget:
            mark(self, [number])
        elif number is not None:  # else it was removed meanwhile
            self._update(number, note)

    def page(self, wanted: Wanted) -> list[StoredVisit]:
        """Visits, the newest first."""
        ids = None if wanted.person_ids is None else json.dumps(wanted.person_ids)
        with self.reading():
            rows = self.rows(
                f"{VISIT} AND (?1 IS NULL OR begun >= ?1) AND (?2 IS NULL OR begun < ?2) "  # noqa: S608 -- ours
                "AND (?3 IS NULL OR person IN (SELECT value FROM json_each(?3))) "
                "AND (?4 IS NULL OR stranger = ?4) AND (?5 IS NULL OR kind = ?5) "
                "AND (?6 IS NULL OR number < ?6) ORDER BY number DESC LIMIT ?7",
                (wanted.since, wanted.until, ids, wanted.stranger, wanted.kind, wanted.before, wanted.count),
            )
        return [stored(row) for row in rows]

    def get(self, event_id: str) -> tuple[StoredVisit, Pictures] | None:
        """The visit of an event, with its pictures; the embedding where it is usable. None: no such."""
        with self.reading():
            number = self._number(event_id)
            if number is None:
                return None
            visit = stored(self.rows(f"{VISIT} AND number = ?", (number,))[0])
            row = self.row("SELECT model, embedding, crop, scene FROM visit_picture WHERE visit = ?", (number,))
        model, blob, crop, scene = row or (None, None, None, None)
        own = blob is not None and model == self._model and is_embedding(blob)
        return visit, Pictures(np.frombuffer(blob, "<f4") if own else None, crop, scene if visit.scene else None)

    def crops(self, numbers: Collection[int]) -> dict[int, bytes]:
        """The crops of these visits, by number; of those that have one."""
        rows = self.rows(
            "SELECT visit, crop FROM visit_picture "
            "WHERE crop IS NOT NULL AND visit IN (SELECT value FROM json_each(?))",
            (json.dumps(list(numbers)),),
        )
        return dict(rows)

    def correct(self, event_id: str, person_id: str | None) -> None:
        """Note who the visit of an event was of; None is nobody who is enrolled."""
        with self.transaction():
            self.execute(
                "UPDATE visit SET person = ?, kind = ?, corrected = 1 "
                "WHERE number = (SELECT visit FROM visit_event WHERE id = ?)",
                (person_id, "unknown" if person_id is None else "recognized", event_id),
            )

    def name_stranger(self, stranger: str, person_id: str) -> None:
        """A stranger is that person: so are the visits of theirs that name nobody."""
        with self.transaction():
            self.execute(
                "UPDATE visit SET person = ?, kind = 'recognized', corrected = 1 WHERE stranger = ? AND person IS NULL",
                (person_id, stranger),
            )

    def merge(self, person_ids: Collection[str], into: str) -> None:
        """Several people are one: the visits of these are of the other."""
        with self.transaction():
            self.executemany("UPDATE visit SET person = ? WHERE person = ?", [(into, one) for one in person_ids])

    def remove(self, event_id: str) -> list[str]:
        """Delete and overwrite the visit of an event. Returns the ids of its events, the first one's first."""
        with self.transaction():
            number = self._number(event_id)
            rows = self.rows(
                "SELECT visit_event.id FROM visit_event JOIN visit ON visit = number WHERE number = ? "
                "ORDER BY visit_event.id != visit.id",
                (number,),
            )
            mark(self, [] if number is None else [number])
        self.finish_erasure()
        return [one for (one,) in rows]

    def remove_strangers(self, kept: Collection[str]) -> None:
        """Delete and overwrite every visit of a stranger who is not among these."""
        with self.transaction():
            mark_strangers(self, kept)
        self.finish_erasure()

    def erase_all_but(self, enrolled: Collection[str], like: np.ndarray, within: float) -> int:
        """Delete and overwrite the visits of everybody who is not enrolled any more, and those that look like them.

        See edge.storage.visit_erasure.mark_removed. Returns how many visits were deleted. Raises HistoryError where the
        disk cannot be written, or not overwritten: `finish_erasure` goes on.
        """
        with self.transaction():
            gone = mark_removed(self, enrolled, like, within, self._model)
        self.finish_erasure()
        self.erase_set_aside()
        return gone

    def finish_erasure(self) -> None:
        """Delete and overwrite what is marked, also from before a restart, a few visits at a time.

        So the log of writes begins again and again and stays small: it is overwritten page by page.

        Raises HistoryError.
        """
        erased = ERASED_AT_ONCE
        while erased == ERASED_AT_ONCE:
            with self.transaction():
                erased = erase_some(self, ERASED_AT_ONCE)
            self.checkpoint_pending |= erased > 0
        if not self.checkpoint():
            raise HistoryError(f"{self._what}: its log of writes cannot be overwritten now")

    def purge(self, bounds: Bounds, now: float | None) -> int:
        """Delete what is too old or too much, the oldest first. Returns how many visits.

        now: seconds since 1970; None while the time of day is not set: then nothing is too old. The age of a visit
        from before it was set, or from the future, counts from now on.
        """
        with self.transaction():
            gone = [] if now is None else self._too_old(now, bounds.seconds)
            if bounds.visits is not None:
                rows = self.rows("SELECT number FROM visit ORDER BY number DESC LIMIT -1 OFFSET ?", (bounds.visits,))
                gone += [number for (number,) in rows]
            mark(self, gone)
            if bounds.named_alone:
                mark_unnamed(self)
        self.finish_erasure()
        return len(set(gone)) + self._shrink(bounds.bytes)

    @property
    def bytes_used(self) -> int:
        """Bytes of the file that hold something."""
        pages, free, page_bytes = (
            self.value(f"PRAGMA {which}") for which in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page_bytes)

    def erase_set_aside(self) -> None:
        """Overwrite and delete what was set aside: it cannot be read, and may show anybody. Raises HistoryError."""
        try:
            for one in files_set_aside(self.path):
                erase(one)
        except OSError as error:
            raise HistoryError(f"what was set aside of {self._what} cannot be overwritten: {error}") from error

    def _refuse_foreign(self) -> None:
        if (found := tables(self)) and not found >= TABLES:
            raise HistoryError(f"{foreign_text(found)}; name another file in history.path")

    def _prepare(self) -> None:
        with self.transaction():
            version = self.value("PRAGMA user_version")
            if version > VERSION:
                raise HistoryError(f"it has version {version}; this limen knows versions up to {VERSION}: move it away")
            if not tables(self):
                for statement in SHAPE:
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {VERSION}")

    def _number(self, event_id: str) -> int | None:
        number: int | None = self.value(
            "SELECT visit FROM visit_event WHERE id = ? "
            "AND visit NOT IN (SELECT visit FROM visit_erasure WHERE NOT scene_only)",
            (event_id,),
        )
        return number

    def _begin(self, note: Note) -> int | None:
        # One of this id that is marked was to be kept no more, and now is again.
        self.execute(
            "DELETE FROM visit_erasure WHERE visit = (SELECT number FROM visit WHERE id = ?)", (note.visit_id,)
        )
        self.erase("DELETE FROM visit WHERE id = ?", (note.visit_id,))
        kept_from = note.at if note.clock_set else None
        self.execute(
            "INSERT INTO visit (id, kind, begun, clock_set, kept_from, faces, told) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (note.visit_id, note.kind, note.at, note.clock_set, kept_from, note.faces, note.told),
        )
        self.execute("INSERT INTO visit_event SELECT id, number FROM visit WHERE id = ?", (note.visit_id,))
        return self._number(note.visit_id)

    def _update(self, number: int, note: Note) -> None:
        ended = note.at if note.ended else None
        self.execute(
            "UPDATE visit SET ended = ?, faces = max(faces, ?), told = ifnull(?, told), "
            "kind = iif(corrected, kind, ?), person = iif(corrected, person, ?), stranger = ? WHERE number = ?",
            (ended, note.faces, note.told, note.kind, note.person_id, note.stranger, number),
        )
        self.execute("INSERT OR IGNORE INTO visit_event VALUES (?, ?)", (note.event_id, number))
        pictures = note.pictures
        if pictures.crop is None and pictures.scene is None:
            return
        embedding = None if pictures.embedding is None else blob_of(pictures.embedding)
        self.execute(
            "INSERT INTO visit_picture VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET model = excluded.model, "
            "embedding = excluded.embedding, crop = excluded.crop, scene = ifnull(excluded.scene, scene)",
            (number, self._model, embedding, pictures.crop, pictures.scene),
        )

    def _too_old(self, now: float, seconds: float) -> list[int]:
        self.execute("UPDATE visit SET kept_from = ?1 WHERE kept_from IS NULL OR kept_from > ?1", (now,))
        rows = self.rows("SELECT number FROM visit WHERE kept_from < ?", (now - seconds,))
        return [number for (number,) in rows]

    def _shrink(self, bytes_max: int) -> int:
        """Delete the oldest visits while the file holds more than that. Returns how many."""
        purged, most = 0, bytes_max
        while self.bytes_used > most:
            most = int(SPARED * bytes_max)
            with self.transaction():
                rows = self.rows("SELECT number FROM visit ORDER BY number LIMIT ?", (ERASED_AT_ONCE,))
                mark(self, [number for (number,) in rows])
            if not rows:
                break
            self.finish_erasure()
            purged += len(rows)
        return purged
