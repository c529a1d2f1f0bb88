"""Messages for which the broker may have closed the connection."""

from collections.abc import Iterable

CLOSES_MAX = 3
COUNT_MAX = 1000

Key = int | str  # the token of an event, or the topic of anything else


class Suspects:
    """Counts how often in a row the broker closed the connection while a message was under way.

    Whatever was under way is suspected; from then on it is sent alone, and acquitted where it is acknowledged. So the
    one message that ends the connection comes to CLOSES_MAX and is set aside, and those beside it are not. From then on
    no message as large is sent on its topic: what was too large once is too large again.
    """

    def __init__(self) -> None:
        self._closes: dict[Key, int] = {}
        self._sizes: dict[Key, int] = {}  # of messages that were set aside, by topic

    def __contains__(self, key: Key) -> bool:
        return key in self._closes

    def accuse(self, key: Key) -> bool:
        """Count a close. Returns whether the message is to be set aside."""
        closes = self._closes.pop(key, 0) + 1
        if closes >= CLOSES_MAX:
            return True
        add_bounded(self._closes, key, closes)
        return False

    def acquit(self, keys: Iterable[Key]) -> None:
        """The broker took these."""
        for key in keys:
            self._closes.pop(key, None)

    def set_aside(self, key: Key, size: int) -> None:
        """Remember the size of a message that is not sent again."""
        add_bounded(self._sizes, key, min(size, self._sizes.pop(key, size)))

    def limit(self, key: Key) -> int | None:
        """Bytes that a message may have, as far as it is known from one that was set aside."""
        size = self._sizes.get(key)
        return None if size is None else size - 1


def add_bounded(table: dict[Key, int], key: Key, value: int) -> None:
    """Add to a table that holds the newest COUNT_MAX entries."""
    table[key] = value
    if len(table) > COUNT_MAX:
        del table[next(iter(table))]
