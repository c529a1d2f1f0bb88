"""When the next connection is tried: the one policy for every way in which a connection ends."""

import random
from collections.abc import Callable

FIRST_SECONDS, LAST_SECONDS, LASTING_SECONDS = 1.0, 60.0, 60.0


class Backoff:
    """Exponential backoff with full jitter: a random time between 1 s and a ceiling that doubles up to 60 s.

    The jitter keeps the cameras of a household apart when their broker starts again (M. Brooker, "Exponential backoff
    and jitter", 2015). A connection that lasted resets the ceiling; an acknowledgement does not, for a connection that
    another device takes over has acknowledgements too. Not locked: one thread uses it.

    uniform: (low, high) -> a random number between them
    """

    def __init__(
        self,
        first_seconds: float = FIRST_SECONDS,
        last_seconds: float = LAST_SECONDS,
        lasting_seconds: float = LASTING_SECONDS,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.first_seconds, self.last_seconds, self.lasting_seconds = first_seconds, last_seconds, lasting_seconds
        self._uniform, self._ceiling = uniform, first_seconds

    def next(self, lasted_seconds: float, *, contended: bool = False) -> float:
        """Seconds until the next attempt.

        lasted_seconds: how long the connection lasted; contended: another device uses the same client id, and the
        ceiling is the highest at once, or the two would take the connection from each other every second
        """
        if lasted_seconds >= self.lasting_seconds:
            self._ceiling = self.first_seconds
        self._ceiling = self.last_seconds if contended else min(self.last_seconds, 2 * self._ceiling)
        return self._uniform(self.first_seconds, self._ceiling)
