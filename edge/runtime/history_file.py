"""The thread that owns the history's file: the frame loop never waits for its disk, but where it asks something."""

import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from edge.config import HistoryConfig
from edge.core.types import Frame, Sample
from edge.errors import HistoryError
from edge.runtime.visits import encoded
from edge.storage.history import SqliteHistory
from edge.storage.visits import Bounds, Note
from edge.storage.words import count_of
from edge.system.files import exists

log = logging.getLogger("limen")

WAITING_MAX = 64  # notes that wait to be encoded, or to be written
SCENES_MAX = 4  # frames that wait to be encoded: one of 1920x1080 is 6 MB
SAMPLES_KEPT = 100  # visits of enrolled people that can be corrected where no history is kept
SAMPLES_KEPT_SECONDS = 86_400.0
HOUR_SECONDS, MEGABYTE = 3600.0, 1_000_000
T = TypeVar("T")


class HistoryFile:
    """A queue of work on the file, done in its order. All methods are for one thread, and wait for nothing but `close`.

    bounds: how much is kept; dropped: notes that were dropped since the disk is too slow
    problem: how many notes could not be written, or not with their pictures, and why the newest; or None
    """

    def __init__(self, path: Path, model: str, bounds: Bounds) -> None:
        self._path, self._model, self.bounds = path, model, bounds
        self.dropped = 0
        self.problem: str | None = None
        self._left_out = 0  # the thread's
        self._thread: ThreadPoolExecutor | None = None
        self._encoding, self._scenes = deque[Future[None]](), deque[Future[None]]()
        self._file: SqliteHistory | None = None  # the thread's
        self._notes = deque[Note]()  # the thread's

    @property
    def there(self) -> bool:
        """Whether there is a file, or anything to be written."""
        return self._thread is not None or exists(self._path)

    def add(self, note: Note, sample: Sample | None, scene: Frame | None) -> None:
        """Have a note, with these as its pictures, kept until `write`, or until anything is asked of the file.

        Where so many frames wait already it gets no scene.
        """
        for waiting in (self._encoding, self._scenes):
            while waiting and waiting[0].done():
                waiting.popleft()
        if len(self._encoding) >= WAITING_MAX:
            self.dropped += 1
            return
        shown = scene if len(self._scenes) < SCENES_MAX else None
        self._encoding.append(self._submit(lambda: self._keep(note, sample, shown)))
        if shown is not None:
            self._scenes.append(self._encoding[-1])

    def write(self) -> "Future[None]":
        """Have what waits written."""
        return self._submit(self._write)

    def ask(self, work: Callable[[SqliteHistory], T]) -> "Future[T]":
        """Have something done with the file, after what waits was written; its result, or a HistoryError.

        It can be cancelled until it begins.
        """
        written = self.write()

        def done() -> T:
            written.result()  # the thread did that before
            return self._with_file(work)

        return self._submit(done)

    def do(self, work: Callable[[SqliteHistory], object]) -> "Future[None]":
        """As ask, of what answers nothing that matters."""

        def done(file: SqliteHistory) -> None:
            work(file)

        return self.ask(done)

    def close(self) -> None:
        """Write what waits, and close the file; what is asked later opens it again."""
        if self._thread is None:
            return
        for work in (self._write, self._close):
            with suppress(HistoryError):
                self._submit(work).result()
        self._thread.shutdown()
        self._thread = None

    def _submit(self, work: Callable[[], T]) -> "Future[T]":
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")

        def done() -> T:
            try:
                return work()
            except HistoryError:
                raise
            except Exception as error:
                raise HistoryError(f"history {self._path} failed: {type(error).__name__}: {error}") from error

        return self._thread.submit(done)

    def _keep(self, note: Note, sample: Sample | None, scene: Frame | None) -> None:
        try:
            note = replace(note, pictures=encoded(sample, scene))
        except Exception as error:  # noqa: BLE001 -- a visit without pictures is better than none
            self._leave_out(f"event {note.event_id}: no pictures: {type(error).__name__}: {error}")
        self._notes.append(note)
        while len(self._notes) > WAITING_MAX:  # the disk cannot be written
            self._notes.popleft()

    def _write(self) -> None:
        if self._notes:
            left_out = self._with_file(lambda file: file.add(self._notes))
            self._notes.clear()
            for why in left_out:
                self._leave_out(why)
            self._with_file(lambda file: file.purge(self.bounds, None))

    def _leave_out(self, why: str) -> None:
        self._left_out += 1
        self.problem = f"{count_of(self._left_out, 'event')} not kept in the visits, or not whole, the newest: {why}"
        log.warning("not kept in the visits, or not whole: %s", why)

    def _with_file(self, work: Callable[[SqliteHistory], T]) -> T:
        """Work with the file, which is opened or made; one that is damaged is set aside. Raises HistoryError."""
        if self._file is None:
            self._file = SqliteHistory(self._path, self._model)
        elif self._file.replaced:
            self._file.reopen(make=True)
        try:
            return work(self._file)
        except HistoryError as error:
            self._file.replace_damaged(error)
            raise

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None


def bounds_of(history: HistoryConfig) -> Bounds:
    """How much is kept; where no history is, so many samples of enrolled people."""
    bytes_max = history.megabytes_max * MEGABYTE
    if history.keep_hours > 0:
        return Bounds(history.keep_hours * HOUR_SECONDS, bytes_max)
    return Bounds(SAMPLES_KEPT_SECONDS, bytes_max, visits=SAMPLES_KEPT, named_alone=True)
