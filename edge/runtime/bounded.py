"""A dictionary that cannot grow without end, whatever a client or a peer sends."""

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """At most so many entries; a new key beyond them takes the place of the oldest. Set entries one by one alone."""

    def __init__(self, entries_max: int) -> None:
        super().__init__()
        self.entries_max = entries_max

    def __setitem__(self, key: K, value: V) -> None:
        if key not in self and len(self) >= self.entries_max:
            del self[next(iter(self))]
        super().__setitem__(key, value)
