"""The visits that a device keeps: written by a thread of their own, in batches, so that no frame waits for the disk."""

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from edge.api.images import jpeg_pixels
from edge.api.replies import Visit
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event
from edge.core.gallery import Gallery
from edge.core.types import Frame, Sample
from edge.errors import HistoryError, RefusedError
from edge.inference.embedder import Embedder
from edge.runtime.bounded import BoundedDict
from edge.runtime.visits import Words, encoded, has_scene
from edge.storage.history import SqliteHistory
from edge.storage.visits import Bounds, Note, Pictures, StoredVisit, Wanted
from edge.system.clock import Clock
from edge.system.files import exists

log = logging.getLogger("limen")

WRITE_EVERY_SECONDS = 5.0
WAITING_MAX = 64  # notes that wait to be encoded, with their frames, or to be written
RETRY_SECONDS = 30.0
PURGE_EVERY_SECONDS = 600.0
TRACKS_MAX = 1000
SCENE_PX = 480
SAMPLES_KEPT = 100  # visits of enrolled people that can be corrected where no history is kept
SAMPLES_KEPT_SECONDS = 86_400.0
HOUR_SECONDS, MEGABYTE = 3600.0, 1_000_000
T = TypeVar("T")


@dataclass
class Removal:
    """What is to be erased, and was not yet. like: (L, D) float32 each, templates of people by their ids."""

    like: dict[str, np.ndarray]
    due: bool = False
    retry_at: float = 0.0


class History:
    """The visits of one device. Methods are called by the frame loop's thread; the file is owned by another.

    on: whether visits are kept for the household; otherwise samples alone, for event/correct
    problem: why visits are not written, or None
    dropped: how many notes were dropped because the disk was too slow
    """

    def __init__(self, config: Config, gallery: Gallery, clock: Clock, embedder: Embedder) -> None:
        self._config, self._path = config.history, config.history.beside(config.gallery.path)
        self._gallery, self._clock, self._embedder = gallery, clock, embedder
        self.on = config.history.keep_hours > 0
        self.problem: str | None = None
        self.dropped = 0
        self._words = Words(gallery, embedder.card.short_name)
        self._worker: ThreadPoolExecutor | None = None
        self._file: SqliteHistory | None = None  # the worker's
        self._notes: deque[Note] = deque()  # the worker's
        self._visits = BoundedDict[str, str](TRACKS_MAX)  # the id of each track's first event
        self._encoding: deque[Future[None]] = deque()
        self._writing: Future[None] | None = None
        self._unwritten = False
        self._write_at = self._purge_at = 0.0
        self._removal = Removal({})

    @property
    def bounds(self) -> Bounds:
        """How much is kept."""
        most = self._config.megabytes_max * MEGABYTE
        if self.on:
            return Bounds(self._config.keep_hours * HOUR_SECONDS, most)
        return Bounds(SAMPLES_KEPT_SECONDS, most, SAMPLES_KEPT)

    def start(self) -> None:
        """Erase who was removed while this did not run, where there is anything."""
        if self._there:
            self._removal.due = True

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._worker is None:
            return
        with suppress(HistoryError):
            self._ask(lambda _file: None)
        self._worker.submit(self._close_file).result()
        self._worker.shutdown()
        self._worker = None

    def note(self, event_id: str, at: float, clock_set: bool, event: Event, frame: Frame | None) -> None:
        """Note an event of a track. at: when it was published, seconds since 1970; frame: the newest, or None."""
        if event.track is None:
            return
        visit_id = self._visits.get(event.track, event_id)
        if event.phase == "end" or event.event_type == "low_quality":
            self._visits.pop(event.track, None)
        else:
            self._visits[event.track] = visit_id
        while self._encoding and self._encoding[0].done():
            self._encoding.popleft()
        if len(self._encoding) >= WAITING_MAX:
            self.dropped += 1
            return
        begins = event.phase != "end" and (self.on or event.event_type == "recognized")
        scene = frame if self.on and self._config.scene and has_scene(event) else None
        note = Note(
            visit_id=visit_id,
            event_id=event_id,
            kind=event.event_type,
            at=at,
            clock_set=clock_set,
            person_id=event.person_id,
            stranger=event.stranger,
            faces=event.faces_in_frame,
            told=None if event.phase == "end" else self._words.told(event),  # the box is where the scene shows it
            ended=event.phase == "end" or event.event_type == "low_quality",
            begins=begins,
            forget=not self.on and event.event_type != "recognized",
        )

        def encode() -> None:
            pictures = Pictures() if event.phase == "end" else encoded(event.sample, scene)
            self._notes.append(replace(note, pictures=pictures))
            while len(self._notes) > WAITING_MAX:  # the disk cannot be written
                self._notes.popleft()

        if begins or visit_id != event_id:
            self._encoding.append(self._submit(encode))
            self._unwritten = True

    def tick(self) -> None:
        """Have what waits written now and then, and erase what could not be erased before; waits for nothing."""
        now = time.monotonic()
        if self._writing is not None and self._writing.done():
            error, self._writing = self._writing.exception(), None
            problem = None if error is None else str(error)
            if problem is not None and problem != self.problem:
                log.warning("visits wait in memory: %s", problem)
            self.problem, self._unwritten = problem, self._unwritten or problem is not None
            self._write_at = now + (WRITE_EVERY_SECONDS if problem is None else RETRY_SECONDS)
        if self._removal.due and now >= self._removal.retry_at:
            with suppress(HistoryError):
                self._erase_removed()
        if self._writing is None and self._unwritten and now >= self._write_at:
            self._unwritten = False
            self._writing = self._submit(self._write)
        elif self._writing is None and now >= self._purge_at and self._there:
            self._purge_at = now + PURGE_EVERY_SECONDS
            moment = self._clock.now()
            self._writing = self._submit(lambda: self._purge(moment))

    def page(self, wanted: Wanted) -> list[tuple[Visit, int]]:
        """Visits, the newest first, each with its number. Raises RefusedError with history_off or storage."""
        self._require_on()
        found = self._asked(lambda file: file.page(wanted), list[StoredVisit]())
        return [(self._words.visit(one), one.number) for one in found if self._known(one)]

    def crops(self, numbers: list[int]) -> dict[int, bytes]:
        """The crops of visits by their numbers. Raises RefusedError with storage."""
        return self._asked(lambda file: file.crops(numbers), {})

    def get(self, event_id: str) -> tuple[Visit, Pictures]:
        """The visit of an event, with its pictures. Raises RefusedError with history_off, no_such_event or storage."""
        self._require_on()
        stored, pictures = self._stored(event_id)
        return self._words.visit(stored), pictures

    def event(self, event_id: str) -> Event:
        """What a correction needs of an event. Raises RefusedError with no_such_event or storage."""
        stored, pictures = self._stored(event_id)
        sample = None
        if pictures.crop is not None:
            crop, embedding = jpeg_pixels(pictures.crop), pictures.embedding
            if crop is not None:
                sample = Sample(crop, self._embedder.embed(crop) if embedding is None else embedding)
        person = None if stored.person_id is None else self._gallery.people[stored.person_id]
        return Event(
            "unknown" if person is None else "recognized",
            "new",
            None,
            0.0,
            None if person is None else person.name,
            stored.person_id,
            "",
            sample=sample,
        )

    def correct(self, event_id: str, person_id: str | None) -> None:
        """Note who an event was of; of nobody enrolled only a history keeps it. Raises RefusedError with storage."""
        if self.on or person_id is not None:
            self._asked(lambda file: file.correct(event_id, person_id), None)
        else:
            self._asked(lambda file: file.remove(event_id), None)

    def name_stranger(self, stranger: str, person_id: str) -> None:
        """A stranger is that person. Raises RefusedError with storage."""
        self._asked(lambda file: file.name_stranger(stranger, person_id), None)

    def merge(self, person_id: str, into: str) -> None:
        """Two people are one. Raises RefusedError with storage."""
        self._asked(lambda file: file.merge(person_id, into), None)

    def remove(self, event_id: str) -> str:
        """Delete the visit of an event. Returns its id. Raises RefusedError: history_off, no_such_event, storage."""
        self._require_on()
        visit_id = self._asked(lambda file: file.remove(event_id), None)
        if visit_id is None:
            raise no_such_event(event_id)
        return visit_id

    def remove_strangers(self, kept: list[str]) -> None:
        """Delete the visits of strangers who are not kept any more. Raises RefusedError with storage."""
        self._asked(lambda file: file.remove_strangers(kept), None)

    def erase_person(self, person_id: str, name: str, embeddings: np.ndarray) -> int:  # noqa: ARG002 -- see PersonStore
        """See edge.core.ports.PersonStore. Takes note alone: `erase` erases, once the removal is on the disk."""
        if len(embeddings):
            self._removal.like[person_id] = embeddings
        return 0

    def erase(self, _removed: Mapping[str, str], _enrolled: Mapping[str, str]) -> None:
        """Erase everybody who is not enrolled any more. Raises HistoryError; then it is tried again."""
        self._removal.due = True
        self._erase_removed()

    def _erase_removed(self) -> None:
        removal = self._removal
        if self._there or self._worker is not None:
            enrolled, within = list(self._gallery.people), self._gallery.tau
            gone = [embeddings for person_id, embeddings in removal.like.items() if person_id not in enrolled]
            like = np.concatenate(gone) if gone else np.zeros((0, 0), np.float32)
            removal.retry_at = time.monotonic() + RETRY_SECONDS
            self._ask(lambda file: file.erase_all_but(enrolled, like, within))
        self._removal = Removal({})

    @property
    def _there(self) -> bool:
        return exists(self._path)

    def _require_on(self) -> None:
        if not self.on:
            raise RefusedError(
                Code.HISTORY_OFF,
                "no visits are kept: set history.keep_hours in the device's limen.toml, for instance to 72, and start "
                "it again",
            )

    def _stored(self, event_id: str) -> tuple[StoredVisit, Pictures]:
        found = self._asked(lambda file: file.get(event_id), None)
        if found is None or not self._known(found[0]):
            raise no_such_event(event_id)
        return found

    def _known(self, visit: StoredVisit) -> bool:
        """Whether it may be told: it is not of somebody who was removed, and is not erased yet."""
        return visit.person_id is None or visit.person_id in self._gallery.people

    def _asked(self, ask: Callable[[SqliteHistory], T], nothing: T) -> T:
        """The file's answer, where there is a file. Raises RefusedError with storage."""
        if not self._there and self._worker is None:
            return nothing
        try:
            return self._ask(ask)
        except HistoryError as error:
            raise RefusedError(Code.STORAGE, str(error)) from error

    def _ask(self, ask: Callable[[SqliteHistory], T]) -> T:
        """The file's answer, after what waits was written. Raises HistoryError."""

        def answer() -> T:
            self._write()
            return ask(self._opened())

        return self._submit(answer).result()

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="history")
        return self._worker.submit(work)

    def _opened(self) -> SqliteHistory:
        if self._file is None:
            self._file = SqliteHistory(self._path, self._embedder.card.sha256)
        elif self._file.replaced:
            self._file.reopen(make=True)
        return self._file

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None

    def _write(self) -> None:
        """Write the notes that wait, and keep to the bytes; the worker's."""
        if not self._notes:
            return
        file = self._opened()
        file.add(self._notes)
        self._notes.clear()
        file.purge(self.bounds, None)

    def _purge(self, now: float | None) -> None:
        self._write()
        self._opened().purge(self.bounds, now)


def no_such_event(event_id: str) -> RefusedError:
    """The refusal of an event that is not kept."""
    return RefusedError(Code.NO_SUCH_EVENT, f"no visit that is kept has the event {event_id}")
