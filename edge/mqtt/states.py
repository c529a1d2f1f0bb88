"""Retained states: of each topic the newest payload, which the broker is to have."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

COUNT_MAX = 10_000


class State(NamedTuple):
    """A retained message. An empty payload removes what the broker keeps of the topic."""

    topic: str
    payload: bytes
    qos: int


class States:
    """The newest state of each topic, and which of them the broker is still to get, oldest first.

    A removal is remembered until the broker acknowledged it, and no longer. Of more topics than count_max the oldest
    are dropped: those that the broker has first, removals last.

    dropped: how many states were dropped
    """

    def __init__(self, count_max: int = COUNT_MAX) -> None:
        self.count_max, self.dropped = count_max, 0
        self._newest: dict[str, State] = {}
        self._due: OrderedDict[str, None] = OrderedDict()
        self._had: set[str] = set()

    def __len__(self) -> int:
        return len(self._newest)

    def __iter__(self) -> Iterator[str]:
        """The topics."""
        return iter(self._newest)

    @property
    def due(self) -> int:
        """How many states the broker is still to get."""
        return len(self._due)

    def get(self, topic: str) -> State | None:
        """The newest state of a topic."""
        return self._newest.get(topic)

    def had(self, topic: str) -> bool:
        """Whether the broker acknowledged the newest state of a topic, over this connection or an earlier one."""
        return topic in self._had

    def put(self, state: State, *, again: bool = False) -> None:
        """Note the newest state of a topic; it becomes due where it is another than before, or `again`."""
        if not again and self._newest.get(state.topic) == state:
            return
        self._newest.pop(state.topic, None)
        self._had.discard(state.topic)
        while len(self._newest) >= self.count_max:
            self._drop_one()
        self._newest[state.topic] = state
        self._due[state.topic] = None

    def next_due(self) -> State | None:
        """The state that is due for the longest time."""
        return self._newest[next(iter(self._due))] if self._due else None

    def note_sent(self, state: State) -> None:
        """A state is due no longer."""
        self._due.pop(state.topic, None)

    def put_back(self, state: State) -> None:
        """Make a state due again that did not reach the broker, where it is still the newest."""
        if self._newest.get(state.topic) is state:
            self._due[state.topic] = None

    def acknowledge(self, state: State) -> None:
        """The broker has a state; a removal need not be remembered any longer."""
        if self._newest.get(state.topic) is not state:
            return
        if state.payload:
            self._had.add(state.topic)
        elif state.topic not in self._due:
            del self._newest[state.topic]

    def make_all_due(self) -> None:
        """A new connection: nobody knows what the broker has."""
        self._due = OrderedDict.fromkeys(self._newest)

    def _drop_one(self) -> None:
        states = self._newest.values()
        had = (topic for topic in self._newest if topic in self._had and topic not in self._due)
        topic = next(had, None) or next((state.topic for state in states if state.payload), next(iter(self._newest)))
        del self._newest[topic]
        self._due.pop(topic, None)
        self._had.discard(topic)
        self.dropped += 1
