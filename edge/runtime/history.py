"""The visits that a device keeps, and tells to whoever may ask."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from edge.api.images import jpeg_pixels
from edge.api.replies import Visit
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event, EventType
from edge.core.gallery import Gallery
from edge.core.types import Frame, Sample
from edge.errors import GalleryError, HistoryError, RefusedError
from edge.inference.embedder import Embedder
from edge.runtime.history_file import HistoryFile, bounds_of
from edge.runtime.open_visits import OpenVisits
from edge.runtime.visits import Words, has_scene
from edge.storage.gallery import SqliteGallery
from edge.storage.history import SqliteHistory
from edge.storage.replication import parts
from edge.storage.visits import Pictures, StoredVisit, Wanted

log = logging.getLogger("limen")

WRITE_EVERY_SECONDS = 5.0
ANSWER_SECONDS = 2.0  # that the frame loop waits for the file
SHORTLY_SECONDS = 0.5  # that it waits for what nobody asked for
RETRY_SECONDS = 30.0
PURGE_EVERY_SECONDS = 600.0
T = TypeVar("T")


class History:
    """The visits of one device. Its methods are for the frame loop's thread, or that of a command.

    on: whether visits are kept for the household; otherwise samples alone, for event/correct
    """

    def __init__(self, config: Config, gallery: Gallery, store: SqliteGallery, embedder: Embedder) -> None:
        self._gallery, self._store, self._embedder = gallery, store, embedder
        self.on = config.history.keep_hours > 0
        self._scenes = self.on and config.history.scene
        path = config.history.beside(config.gallery.path)
        self._file = HistoryFile(path, embedder.card.sha256, bounds_of(config.history))
        store.removed.wanted = lambda: self._file.there
        self._words = Words(gallery, embedder.card.short_name)
        self._problem: str | None = None
        self._open = OpenVisits(self._words, every=self.on)
        self._unwritten = False
        self._working: Future[None] | None = None  # on what takes its time, and nobody waits for
        self._write_at = self._purge_at = 0.0
        self._erasing: set[str] = set()  # people, by their ids, whom the work is about
        self._erase_at: float | None = None  # on the monotonic clock; None where nothing is to be erased

    @property
    def problem(self) -> str | None:
        """Why visits are not written, or events of them were left out; or None."""
        return self._problem or self._file.problem

    def start(self) -> None:
        """Have erased who was removed while this did not run, and what an erasure left that was cut short."""
        self._erase_at = 0.0

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._file.close()
        if self._working is not None:
            self._finish(self._working.exception())

    def note(self, event_id: str, at: float, clock_set: bool, event: Event, frame: Frame | None) -> None:
        """Note an event of a track. at: when it was published, seconds since 1970; frame: the newest, or None."""
        note = self._open.note(event_id, at, clock_set, event)
        if note is None:
            return
        scene = frame if self._scenes and has_scene(event) else None
        sample = None if event.phase == "end" else event.sample
        self._file.add(note, sample, scene)
        self._unwritten = True

    def visit(self, track: str | None, otherwise: str | None = None) -> str | None:
        """The id of the first event of a track that goes on; None where its visit was removed."""
        return self._open.visit(track, otherwise)

    def tick(self) -> None:
        """Have what waits written, and what is too old or was not erased yet deleted; waits for nothing."""
        if self._working is not None:
            if self._working.done():
                self._finish(self._working.exception())
            return
        now = time.monotonic()
        if self._erase_at is not None and now >= self._erase_at:
            with suppress(GalleryError):  # it cannot be read now: it is tried again
                self._erase()
        elif self._unwritten and now >= self._write_at:
            self._unwritten = False
            self._working = self._file.write()
        elif now >= self._purge_at:
            self._purge_at = now + PURGE_EVERY_SECONDS
            if self._file.there:
                moment, bounds = self._store.clock.now(), self._file.bounds
                self._working = self._file.do(lambda file: file.purge(bounds, moment))

    def page(self, wanted: Wanted) -> list[tuple[Visit, int]]:
        """Visits, the newest first, each with its number. Raises RefusedError with history_off or storage."""
        self._require_on()
        visits = list[tuple[Visit, int]]()
        while True:
            found = self._asked(partial(SqliteHistory.page, wanted=wanted), list[StoredVisit]())
            visits += [(visit, one.number) for one in found if (visit := self._words.visit(one)) is not None]
            if len(visits) >= wanted.count or len(found) < wanted.count:
                return visits[: wanted.count]
            wanted = replace(wanted, before=found[-1].number)

    def ids_of(self, person_id: str) -> tuple[str, ...]:
        """The ids under which there may be visits of a person: two cameras may have enrolled them."""
        return self._words.ids_of(person_id)

    def crops(self, numbers: list[int]) -> dict[int, bytes]:
        """The crops of visits by their numbers. Raises RefusedError with storage."""
        return self._asked(lambda file: file.crops(numbers), {})

    def get(self, event_id: str) -> tuple[Visit, Pictures]:
        """The visit of an event, with its pictures. Raises RefusedError with history_off, no_such_event or storage."""
        self._require_on()
        return self._told(event_id)

    def event(self, event_id: str) -> Event:
        """What a correction needs of an event. Raises RefusedError with no_such_event or storage."""
        visit, pictures = self._told(event_id)
        sample = None
        if pictures.crop is not None:
            crop, embedding = jpeg_pixels(pictures.crop), pictures.embedding
            if crop is not None:
                if embedding is None or len(embedding) != self._embedder.card.dimension:
                    embedding = self._embedder.embed(crop)
                sample = Sample(crop, embedding)
        kind: EventType = "unknown" if visit.person_id is None else "recognized"
        return Event(kind, "new", None, 0.0, visit.name, visit.person_id, visit.why, sample=sample, visit=visit.id)

    def correct(self, event_id: str, person_id: str | None) -> None:
        """Note who an event was of; of nobody enrolled only a history keeps it. Raises RefusedError with storage."""
        if self.on or person_id is not None:
            self._asked(lambda file: file.correct(event_id, person_id), None)
        else:
            self._removed_ids(event_id)

    def name_stranger(self, stranger: str, person_id: str) -> None:
        """A stranger is that person. Raises RefusedError with storage."""
        self._asked(lambda file: file.name_stranger(stranger, person_id), None)

    def merge(self, person_id: str, into: str) -> None:
        """Two people are one. Raises RefusedError with storage."""
        ids = self.ids_of(person_id)
        self._asked(lambda file: file.merge(ids, into), None)

    def remove(self, event_id: str) -> list[str]:
        """Delete the visit of an event. Returns the ids of its events, the first one's first.

        Raises RefusedError with history_off, no_such_event or storage.
        """
        self._require_on()
        removed = self._removed_ids(event_id)
        if not removed:
            raise no_such_event(event_id)
        return removed

    def _removed_ids(self, event_id: str) -> list[str]:
        """Delete the visit of an event; nothing more is kept of its track. Returns the ids of its events."""
        removed = self._asked(lambda file: file.remove(event_id), list[str]())
        self._open.drop(removed)
        return removed

    def remove_strangers(self, kept: list[str]) -> None:
        """Delete the visits of strangers who are not kept any more. Raises RefusedError with storage."""
        self._asked(lambda file: file.remove_strangers(kept), None)

    def erase(
        self, _removed: Mapping[str, str], _enrolled: Mapping[str, str], seconds: float | None = ANSWER_SECONDS
    ) -> None:
        """Erase everybody who is not enrolled any more, once that is on the disk; what fails is tried again.

        Where it takes more than so many seconds it goes on behind, and until it is done no visit is told; None waits.
        Raises HistoryError, and GalleryError where what is to be erased cannot be read.
        """
        self._erase()
        if self._working is None:
            return
        try:
            error = self._working.exception(seconds)
        except TimeoutError:
            log.info("visits of who was removed are being overwritten")
            return
        self._finish(error)
        if error is not None:
            raise error

    def _erase(self) -> None:
        """Have erased who is not enrolled any more, and what looks like them. Raises GalleryError."""
        self._erase_at = time.monotonic() + RETRY_SECONDS  # where the next fails
        self._erasing, like = self._store.removed.load(self._gallery.people)
        if self._file.there:
            self._words.parts = parts(self._store)
        self._erase_at = None
        if self._file.there:
            enrolled, within = self._words.enrolled(), self._gallery.tau
            self._working = self._file.do(lambda file: file.erase_all_but(enrolled, like, within))
        else:
            self._drop_removed()

    def _drop_removed(self) -> None:
        """Drop the encodings of those whose visits are erased; where that cannot be done now, all is done again."""
        erased, self._erasing = self._erasing, set()
        if not erased:
            return
        if self._store.writing:  # it is the caller's transaction, which may be rolled back
            self._erase_at = 0.0
            return
        try:
            self._store.removed.drop(erased)
            self._store.checkpoint()  # where it cannot be done now, the loop does it later
        except GalleryError as error:
            log.warning("the gallery still holds encodings of who was removed: %s", error)
            self._erase_at = time.monotonic() + RETRY_SECONDS

    def _finish(self, error: BaseException | None) -> None:
        """Note how work ended that nobody waited for; what failed is tried again."""
        self._working = None
        problem, now = None if error is None else str(error), time.monotonic()
        if problem is not None and problem != self._problem:
            log.warning("visits wait in memory: %s", problem)
        self._problem = problem
        self._write_at = now + (WRITE_EVERY_SECONDS if problem is None else RETRY_SECONDS)
        if problem is None:
            self._drop_removed()
        else:
            self._erasing = set()
            self._unwritten = True
            self._erase_at = now + RETRY_SECONDS

    def _require_on(self) -> None:
        if not self.on:
            raise RefusedError(
                Code.HISTORY_OFF,
                "no visits are kept: set history.keep_hours in the device's limen.toml, for instance to 72, and start "
                "it again",
            )

    def _told(self, event_id: str) -> tuple[Visit, Pictures]:
        found = self._asked(lambda file: file.get(event_id), None)
        visit = None if found is None else self._words.visit(found[0])
        if found is None or visit is None:
            raise no_such_event(event_id)
        return visit, found[1]

    def _asked(self, ask: Callable[[SqliteHistory], T], nothing: T) -> T:
        """The file's answer, where there is a file. Raises RefusedError with storage or busy."""
        if not self._file.there:
            return nothing
        if self._working is not None and self._working.done():
            self._finish(self._working.exception())
        try:
            if self._working is None:
                return in_time(self._file.ask(ask))
            self._working.exception(SHORTLY_SECONDS)
        except TimeoutError:
            raise RefusedError(
                Code.BUSY, "the history is being written or overwritten: ask again in 2 s", ANSWER_SECONDS
            ) from None
        except HistoryError as error:
            raise RefusedError(Code.STORAGE, str(error)) from error
        return self._asked(ask, nothing)


def in_time(answer: "Future[T]") -> T:
    """The answer of the file. Raises TimeoutError; then nothing is done later, unless it began."""
    try:
        return answer.result(ANSWER_SECONDS)
    except TimeoutError:
        answer.cancel()
        raise


def no_such_event(event_id: str) -> RefusedError:
    """The refusal of an event that is not kept."""
    return RefusedError(Code.NO_SUCH_EVENT, f"no visit that is kept has the event {event_id}")
