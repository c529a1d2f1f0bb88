"""Requests that arrived and were not read yet: a bounded queue for each asker, served in turn."""

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from edge.api.requests import VERBS
from edge.api.topics import Topics
from edge.api.verbs import Access
from edge.config import MqttConfig
from edge.mqtt.inbox import BYTES_MAX, COUNT_MAX, Incoming, head_bytes
from edge.mqtt.reports import Message

BUSY_PER_SECOND = 4.0  # answers `busy`, to all askers together
BUSY_BYTES_MAX = 100_000  # of a request that is answered `busy`: its transaction is in it
RETRY_SECONDS_MIN = 1.0
KNOWN_MAX = 1000  # askers
SLOW_MAX = 32  # requests of the kind SLOW that wait
CROWDED_SHARE = 0.25  # of the room for requests; where more wait, an asker that is not known is a newcomer
NAMELESS, NEWCOMERS = 0, 1


class Kind(Enum):
    """What a message asks for: something READ at once, a change, or what takes long and is done apart: SLOW."""

    READ = "read"
    CHANGE = "change"
    SLOW = "slow"


@dataclass
class Share:
    """What one asker has waiting on one topic: the numbers of the requests, oldest first, and their bytes."""

    asker: int
    kind: Kind
    numbers: deque[int] = field(default_factory=deque)
    size: int = 0


class FairQueue:
    """A queue that the network thread fills and the owner empties.

    Who asks is known by the ResponseTopic without its last level, below response_prefix. All clients without one are
    one asker, and so are all that first come while many requests wait: another ResponseTopic for each request gains
    nothing. The requests of an asker stay in their order. Where there is no room, the newest request of the largest
    share is refused, be it the one that has just come: whoever sends little loses nothing. A share is what an asker has
    waiting on one topic: of the clients without a ResponseTopic, one drives out no other that asks something else.

    One SLOW request is under way at a time. Until it is done, other slow ones wait here, and so does whatever an asker
    sent after one of theirs; of askers that are taken for one, only what changes something does. At most SLOW_MAX wait.

    message_bytes_max: a longer payload is not kept; count_max: requests; bytes_max: of all requests with their topics
    kind_of: the kind of a topic
    in_turn: whether askers are served in turn, or all in the order of arrival: signatures of one key have one order

    refused: how many were refused and not even answered `busy`
    working_for: whose slow request is under way, for the owner to set; None where none is
    """

    def __init__(
        self,
        response_prefix: str,
        message_bytes_max: int,
        *,
        kind_of: Callable[[str], Kind] = lambda _topic: Kind.READ,
        count_max: int = COUNT_MAX,
        bytes_max: int = BYTES_MAX,
        in_turn: bool = True,
        busy_per_second: float = BUSY_PER_SECOND,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused = 0
        self.working_for: int | None = None
        self._kind_of, self._slow = kind_of, 0  # requests of the kind SLOW that wait
        self._prefix, self._message_bytes_max = response_prefix, message_bytes_max
        self._count_max, self._bytes_max = count_max, bytes_max
        self._in_turn, self._busy_per_second, self._monotonic = in_turn, busy_per_second, monotonic
        self._lock = threading.Lock()  # guards all below
        self._known: OrderedDict[int, None] = OrderedDict()  # askers, the one that came last is the last
        self._queues: OrderedDict[int, dict[int, Incoming]] = OrderedDict()  # by asker; the first is next
        self._shares: dict[tuple[int, str], Share] = {}  # by asker and topic
        self._came: dict[int, float] = {}  # on the monotonic clock, by number
        self._busy: deque[Incoming] = deque()
        self._busy_left, self._busy_at = busy_per_second, monotonic()
        self._number = self._bytes = 0

    def __len__(self) -> int:
        return len(self._came) + len(self._busy)

    def put(self, message: Message) -> None:
        """Add a message, for the network thread."""
        size = len(message.payload)
        kept = message.payload if size <= self._message_bytes_max else b""
        answer_to = message.response_topic, message.correlation
        with self._lock:
            self._number += 1
            asker = self._asker(message.response_topic)
            now = self._monotonic()
            head = message.topic, kept, size, message.retain
            incoming = Incoming(*head, *answer_to, asker=asker, came_at=now)
            self._queues.setdefault(asker, {})[self._number] = incoming
            share = self._shares.get((asker, message.topic))
            if share is None:
                share = self._shares[asker, message.topic] = Share(asker, self._kind_of(message.topic))
            share.numbers.append(self._number)
            self._came[self._number] = now
            self._resize(share, bytes_of(incoming))
            self._slow += share.kind is Kind.SLOW
            while len(self._came) > self._count_max or self._bytes > self._bytes_max:
                self._refuse(max(self._shares.values(), key=self._part))
            if self._slow > SLOW_MAX:
                slow = (share for share in self._shares.values() if share.kind is Kind.SLOW)
                self._refuse(max(slow, key=lambda share: len(share.numbers)))

    def take(self, count: int) -> list[Incoming]:
        """What comes next, at most so many, for the owner's thread; first of all what is to be answered `busy`."""
        taken: list[Incoming] = []
        with self._lock:
            while self._busy and len(taken) < count:
                taken.append(self._busy.popleft())
            while len(taken) < count and (following := self._following()) is not None:
                asker, number = following
                self._queues.move_to_end(asker)
                taken.append(self._remove(self._share_of(asker, number), number))
        return taken

    def _following(self) -> tuple[int, int] | None:
        """The asker and the number of the request that comes next; None where all have to wait."""
        if self._in_turn:
            found = ((asker, self._number_of(asker)) for asker in self._queues)
            return next(((asker, number) for asker, number in found if number is not None), None)
        waits_from, free = self._number + 1, list[tuple[int, int]]()
        for asker in self._queues:
            number, oldest = self._number_of(asker), self._oldest(asker)
            if number is not None:
                free.append((number, asker))
            if number != oldest:
                waits_from = min(waits_from, oldest)
        for number, asker in sorted(free):  # a change before one that was signed earlier would put that out of order
            if number < waits_from or self._share_of(asker, number).kind is Kind.READ:
                return asker, number
        return None

    def _number_of(self, asker: int) -> int | None:
        """The number of an asker's next request that need not wait."""
        oldest = self._oldest(asker)
        if self.working_for is None:
            return oldest
        if asker != self.working_for and self._share_of(asker, oldest).kind is not Kind.SLOW:
            return oldest
        if asker not in {NAMELESS, NEWCOMERS}:
            return None
        reading = (share for share in self._shares.values() if share.asker == asker and share.kind is Kind.READ)
        return min((share.numbers[0] for share in reading), default=None)

    def _share_of(self, asker: int, number: int) -> Share:
        return self._shares[asker, self._queues[asker][number].topic]

    def _asker(self, topic: str | None) -> int:
        """Who asks. A hash is kept: a topic may have 65,535 bytes."""
        if topic is None or not topic.startswith(self._prefix):
            return NAMELESS
        asker = hash(topic.rpartition("/")[0])
        crowded = len(self._came) >= self._count_max * CROWDED_SHARE or NEWCOMERS in self._queues
        if asker not in self._known and crowded:
            return NEWCOMERS
        self._known[asker] = None
        self._known.move_to_end(asker)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        return asker

    def _oldest(self, asker: int) -> int:
        return next(iter(self._queues[asker]))

    def _part(self, share: Share) -> float:
        """How much of all room a share takes."""
        return max(len(share.numbers) / self._count_max, share.size / self._bytes_max)

    def _resize(self, share: Share, size: int) -> None:
        share.size += size
        self._bytes += size

    def _remove(self, share: Share, number: int) -> Incoming:
        """Take the oldest or the newest request out of a share."""
        queue = self._queues[share.asker]
        incoming = queue.pop(number)
        if share.numbers[0] == number:
            share.numbers.popleft()
        else:
            share.numbers.pop()
        self._resize(share, -bytes_of(incoming))
        self._slow -= share.kind is Kind.SLOW
        del self._came[number]
        if not share.numbers:
            del self._shares[share.asker, incoming.topic]
        if not queue:
            del self._queues[share.asker]
        return incoming

    def _refuse(self, share: Share) -> None:
        """Refuse the newest request of a share; say `busy` as often as that is allowed."""
        now = self._monotonic()
        waited_seconds = now - self._came[self._oldest(share.asker)]
        incoming = self._remove(share, share.numbers[-1])
        self._busy_left += (now - self._busy_at) * self._busy_per_second
        self._busy_left, self._busy_at = min(self._busy_per_second, self._busy_left), now
        if self._busy_left < 1 or len(self._busy) >= self._busy_per_second:
            self.refused += 1
            return
        self._busy_left -= 1
        payload = incoming.payload if len(incoming.payload) <= BUSY_BYTES_MAX else b""
        retry_after_seconds = max(RETRY_SECONDS_MIN, round(waited_seconds, 1))
        self._busy.append(incoming._replace(payload=payload, busy=True, retry_after_seconds=retry_after_seconds))


def queue_of(config: MqttConfig, topics: Topics) -> FairQueue:
    """The queue of a device's requests."""
    return FairQueue(
        config.response_prefix,
        config.request_bytes_max,
        kind_of=partial(kind_of, topics),
        in_turn=config.signing_key() is None,
    )


def kind_of(topics: Topics, topic: str) -> Kind:
    """What a message on a topic of the device asks for; what is no known request is read at once."""
    verb = VERBS.get(topics.verb_of(topic) or "")
    if verb is None:
        return Kind.READ
    if verb.reads_pictures:
        return Kind.SLOW
    return Kind.READ if verb.access is Access.READ else Kind.CHANGE


def bytes_of(incoming: Incoming) -> int:
    """The size of a request as it is kept."""
    return len(incoming.payload) + head_bytes(incoming)
