"""Retained states: of each topic the newest payload, which the broker is to have."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import NamedTuple

COUNT_MAX = 10_000
BEFORE_MAX = 3  # of a topic, that are to be sent before its newest


class State(NamedTuple):
    """A retained message. An empty payload removes what the broker keeps of the topic.

    passing: it is sent before the newest of its topic, and then forgotten
    """

    topic: str
    payload: bytes
    qos: int
    passing: bool = False


class States:
    """The newest state of each topic, and which of them the broker is still to get, oldest first.

    A removal is remembered until the broker acknowledged it, and no longer. Of more topics than count_max the oldest
    are dropped: those that the broker has first, removals last.

    Before its newest state a topic may have passing ones, which go in order; of more than BEFORE_MAX that wait, the
    oldest are forgotten, and all of them with the connection.

    dropped: how many states were dropped
    """

    def __init__(self, count_max: int = COUNT_MAX) -> None:
        self.count_max, self.dropped = count_max, 0
        self._newest: dict[str, State] = {}
        self._due: OrderedDict[str, None] = OrderedDict()
        self._before: dict[str, deque[State]] = {}  # by topics that are due; none is empty
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

    def put(self, state: State, *, again: bool = False, before: bytes | None = None) -> None:
        """Note the newest state of a topic; it becomes due where it is another than before, or `again`.

        before: a payload that is sent on the topic before it, in any case
        """
        if not again and before is None and self._newest.get(state.topic) == state:
            return
        self._newest.pop(state.topic, None)
        self._had.discard(state.topic)
        while len(self._newest) >= self.count_max:
            self._drop_one()
        self._newest[state.topic] = state
        self._due[state.topic] = None
        if before is not None:
            passing = state._replace(payload=before, passing=True)
            self._before.setdefault(state.topic, deque(maxlen=BEFORE_MAX)).append(passing)

    def next_due(self) -> State | None:
        """What is to be sent next on the topic that is due for the longest time."""
        if not self._due:
            return None
        topic = next(iter(self._due))
        return self._before[topic][0] if topic in self._before else self._newest[topic]

    def note_sent(self, state: State) -> None:
        """The state that was next is due no longer."""
        if not state.passing:
            self._due.pop(state.topic, None)
            return
        self._before[state.topic].popleft()
        if not self._before[state.topic]:
            del self._before[state.topic]

    def put_back(self, state: State) -> None:
        """Make a state due again that did not reach the broker, where it is still the newest or goes before that."""
        newest = self._newest.get(state.topic)
        if newest is not None and state.passing:
            waiting = self._before.get(state.topic, ())
            self._before[state.topic] = deque([state, *waiting][-BEFORE_MAX:], BEFORE_MAX)
        if newest is state or (newest is not None and state.passing):
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
        self._before.clear()

    def _drop_one(self) -> None:
        states = self._newest.values()
        had = (topic for topic in self._newest if topic in self._had and topic not in self._due)
        topic = next(had, None) or next((state.topic for state in states if state.payload), next(iter(self._newest)))
        del self._newest[topic]
        self._due.pop(topic, None)
        self._before.pop(topic, None)
        self._had.discard(topic)
        self.dropped += 1
