"""Visits that are kept on the device: what was told of each, by ids and never by a name, and its pictures.

One thread owns the file, see edge.runtime.history. It is no part of the gallery's: it is written at every visit, and it
may be deleted at any time.
"""

import json
import logging
from collections.abc import Collection, Iterable
from dataclasses import astuple
from pathlib import Path

import numpy as np

from edge.errors import HistoryError
from edge.storage.aside import erase, files_set_aside, set_aside
from edge.storage.blobs import are_embeddings, blob_of
from edge.storage.damage import is_damage
from edge.storage.database import SqliteFile
from edge.storage.unit_of_work import foreign_text, tables
from edge.storage.visits import SHAPE, TABLES, VERSION, VISIT, Bounds, Note, Pictures, StoredVisit, Wanted, stored

log = logging.getLogger("limen")

BUSY_SECONDS = 2.0
BESIDE_SECONDS = 10.0  # of a visit: who came then may be in the scene of another one
SPARED = 0.95  # of the bytes that may be: so much is left where they are more, so that not every visit purges
PURGED_AT_ONCE = 50


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
            try:
                aside = set_aside(self.path)
            except OSError as again:
                raise HistoryError(f"{error}; and it cannot be set aside: {again}") from again
            log.warning("%s: it was set aside as %s, and the visits in it are lost", error, aside)
            super()._open(make=make)

    def add(self, notes: Iterable[Note]) -> None:
        """Write what events say, in their order, in one transaction."""
        with self.transaction():
            for note in notes:
                number = self._number(note.visit_id)
                if number is None and note.begins:
                    number = self._begin(note)
                if number is not None and note.forget:
                    self._delete([number])
                elif number is not None:  # else it was removed meanwhile
                    self._update(number, note)

    def page(self, wanted: Wanted) -> list[StoredVisit]:
        """Visits, the newest first."""
        with self.reading():
            rows = self.rows(
                f"{VISIT} WHERE (?1 IS NULL OR begun >= ?1) AND (?2 IS NULL OR begun < ?2) "
                "AND (?3 IS NULL OR person = ?3) AND (?4 IS NULL OR stranger = ?4) AND (?5 IS NULL OR kind = ?5) "
                "AND (?6 IS NULL OR number < ?6) ORDER BY number DESC LIMIT ?7",
                astuple(wanted),
            )
        return [stored(row) for row in rows]

    def get(self, event_id: str) -> tuple[StoredVisit, Pictures] | None:
        """The visit of an event, with its pictures; the embedding where it is of the present model. None: no such."""
        with self.reading():
            number = self._number(event_id)
            if number is None:
                return None
            visit = stored(self.rows(f"{VISIT} WHERE number = ?", (number,))[0])
            row = self.row("SELECT model, embedding, crop, scene FROM visit_picture WHERE visit = ?", (number,))
        model, blob, crop, scene = row or (None, None, None, None)
        own = blob is not None and model == self._model
        return visit, Pictures(np.frombuffer(blob, "<f4") if own else None, crop, scene)

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

    def merge(self, person_id: str, into: str) -> None:
        """Two people are one: the visits of the first are of the other."""
        with self.transaction():
            self.execute("UPDATE visit SET person = ? WHERE person = ?", (into, person_id))

    def remove(self, event_id: str) -> str | None:
        """Delete and overwrite the visit of an event. Returns its id; None where there is no such."""
        with self.transaction():
            number = self._number(event_id)
            visit_id: str | None = self.value("SELECT id FROM visit WHERE number = ?", (number,))
            self._delete([] if number is None else [number])
        self._overwrite()
        return visit_id

    def remove_strangers(self, kept: Collection[str]) -> None:
        """Delete and overwrite every visit of a stranger who is not among these."""
        with self.transaction():
            rows = self.rows(
                "SELECT number FROM visit WHERE person IS NULL AND stranger IS NOT NULL "
                "AND stranger NOT IN (SELECT value FROM json_each(?))",
                (json.dumps(list(kept)),),
            )
            self._delete([number for (number,) in rows])
        self._overwrite()

    def erase_all_but(self, enrolled: Collection[str], like: np.ndarray, within: float) -> int:
        """Delete and overwrite the visits of everybody who is not enrolled any more, and those that look like them.

        enrolled: person ids; like: (L, D) float32 of unit length, of those who were removed; a visit that is not of
        somebody enrolled and whose sample is that near, by d, to one of these is theirs. A scene stays only where one
        face was in sight, it was recognized as somebody else, and no visit that is deleted was at that time.

        Returns how many visits were deleted. Raises HistoryError where the disk cannot be written, or not overwritten.
        """
        with self.transaction():
            known = json.dumps(list(enrolled))
            gone = [
                number
                for (number,) in self.rows(
                    "SELECT number FROM visit WHERE person IS NOT NULL "
                    "AND person NOT IN (SELECT value FROM json_each(?))",
                    (known,),
                )
            ]
            gone += self._near(like, within)
            if gone or len(like):
                self._drop_scenes(gone)
            self._delete(gone)
        self._overwrite()
        self.erase_set_aside()
        return len(gone)

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
            self._delete(gone)
            purged = len(set(gone)) + self._shrink(bounds.bytes)
        self.checkpoint()
        return purged

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
        self.check()
        with self.transaction():
            version = self.value("PRAGMA user_version")
            if version > VERSION:
                raise HistoryError(f"it has version {version}; this limen knows versions up to {VERSION}: move it away")
            if not tables(self):
                for statement in SHAPE:
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {VERSION}")

    def _number(self, event_id: str) -> int | None:
        number: int | None = self.value("SELECT visit FROM visit_event WHERE id = ?", (event_id,))
        return number

    def _begin(self, note: Note) -> int | None:
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

    def _near(self, like: np.ndarray, within: float) -> list[int]:
        """The visits that name nobody whose sample is that near to one of the embeddings."""
        if not len(like):
            return []
        rows = self.rows(
            "SELECT visit, embedding FROM visit_picture JOIN visit ON number = visit "
            "WHERE person IS NULL AND model = ? AND length(embedding) = ?",
            (self._model, 4 * like.shape[1]),
        )
        if not rows:
            return []
        blobs = [blob for _, blob in rows]
        probes = np.frombuffer(b"".join(blobs), "<f4").reshape(len(rows), -1)  # (N, D)
        with np.errstate(all="ignore"):
            nearest = (2 - 2 * probes @ like.T).min(axis=1)  # (N, D) @ (D, L) -> (N, L) -> (N,)
        usable = are_embeddings(blobs, 4 * like.shape[1])
        return [
            number for (number, _), d, good in zip(rows, nearest, usable, strict=True) if not good or not d > within
        ]

    def _drop_scenes(self, gone: list[int]) -> None:
        """Drop every scene in which somebody who is removed may be; see erase_all_but."""
        self.erase(
            "UPDATE visit_picture SET scene = NULL WHERE scene IS NOT NULL AND visit IN (SELECT number FROM visit "
            "WHERE person IS NULL OR faces > 1 OR EXISTS (SELECT 1 FROM visit AS other "
            "WHERE other.number IN (SELECT value FROM json_each(?1)) "
            "AND other.begun - ?2 <= ifnull(visit.ended, visit.begun) "
            "AND visit.begun - ?2 <= ifnull(other.ended, other.begun)))",
            (json.dumps(gone), BESIDE_SECONDS),
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
            rows = self.rows("SELECT number FROM visit ORDER BY number LIMIT ?", (PURGED_AT_ONCE,))
            if not rows:
                break
            self._delete([number for (number,) in rows])
            purged += len(rows)
        return purged

    def _delete(self, numbers: list[int]) -> None:
        self.erase("DELETE FROM visit WHERE number IN (SELECT value FROM json_each(?))", (json.dumps(numbers),))

    def _overwrite(self) -> None:
        if not self.checkpoint():
            raise HistoryError(f"{self._what}: its log of writes cannot be overwritten now")
