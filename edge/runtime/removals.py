"""Who was removed, under every name they had: a request that was made before does not bring them back."""

import time
from collections.abc import Mapping
from math import inf

from edge.core.names import composed_name
from edge.runtime.bounded import BoundedDict

NAMES_MAX = 1000  # of people who were renamed or removed while requests may have waited
# Without the name: the answer is kept, and what is kept of somebody was erased.
REMOVED = "the person was removed or merged after this was asked: nothing was kept"


class Removals:
    """Hashes of names, in memory alone. Times are on the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self._given_up = BoundedDict[tuple[str, int], float](NAMES_MAX)  # when, by person id and the name's hash
        self._removed = BoundedDict[int, float](NAMES_MAX)  # until when the name was a removed person's, by its hash

    def note_renamed(self, former: Mapping[str, str]) -> None:
        """Note that people gave up a name, former names by person id."""
        for person_id, name in former.items():
            self._given_up.pop((person_id, hashed(name)), None)  # the newest is the last to be dropped
            self._given_up[person_id, hashed(name)] = time.monotonic()

    def note_removed(self, removed: Mapping[str, str]) -> None:
        """Note that people were removed, the last names by person id."""
        for owned in [one for one in self._given_up if one[0] in removed]:
            self._note(owned[1], self._given_up.pop(owned))
        for name in removed.values():
            self._note(hashed(name), time.monotonic())

    def cover(self, name: str, asked_at: float) -> bool:
        """Whether somebody who had the name when a request was made, or got it later, was removed since."""
        return self._removed.get(hashed(name), -inf) >= asked_at

    def _note(self, name: int, until: float) -> None:
        self._removed[name] = max(until, self._removed.pop(name, until))


def hashed(name: str) -> int:
    """In place of a name."""
    return hash(composed_name(name).casefold())
