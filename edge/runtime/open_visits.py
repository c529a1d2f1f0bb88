"""The visits that go on: which one an event is of, and what it says of it."""

from collections.abc import Collection

from edge.core.events import Event
from edge.runtime.bounded import BoundedDict
from edge.runtime.visits import Words
from edge.storage.visits import Note

TRACKS_MAX = 1000


class OpenVisits:
    """The visit of each track. every: whether all are kept for the household; otherwise those of people alone."""

    def __init__(self, words: Words, *, every: bool) -> None:
        self._words, self._every = words, every
        self._visits = BoundedDict[str, str | None](TRACKS_MAX)  # the id of each track's first event; None: removed

    def visit(self, track: str | None, otherwise: str | None = None) -> str | None:
        """The id of the first event of a track that goes on; None where its visit was removed."""
        return otherwise if track is None else self._visits.get(track, otherwise)

    def drop(self, removed: Collection[str]) -> None:
        """Keep nothing more of the tracks of these visits."""
        for track in [one for one, visit_id in self._visits.items() if visit_id in removed]:
            self._visits[track] = None

    def note(self, event_id: str, at: float, clock_set: bool, event: Event) -> Note | None:
        """What an event says of its visit, but for pictures; None where nothing of it is kept.

        at: when it was published, seconds since 1970
        """
        if event.track is None:
            return None
        ended = event.phase == "end" or event.event_type == "low_quality"
        visit_id = self.visit(event.track, event_id)
        if ended:
            self._visits.pop(event.track, None)
        else:
            self._visits[event.track] = visit_id
        # Only the first event begins one that is kept for the household: what was removed is not to come back.
        named = event.event_type == "recognized"
        begins = event.phase != "end" and (visit_id == event_id if self._every else named)
        if visit_id is None or (not begins and visit_id == event_id):
            return None
        return Note(
            visit_id=visit_id,
            event_id=event_id,
            kind=event.event_type,
            at=at,
            clock_set=clock_set,
            person_id=event.person_id,
            stranger=event.stranger,
            faces=event.faces_in_frame,
            told=None if event.phase == "end" else self._words.told(event),  # the box is where the scene shows it
            ended=ended,
            begins=begins,
            forget=not self._every and not named,
        )
