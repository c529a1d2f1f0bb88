"""Whether frames show anything: a camera may give black, frozen or empty pictures for years and report no error."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core.types import Frame

FrameProblem: TypeAlias = Literal["black", "frozen", "single_colour"]

SAMPLE_EVERY_PX = 8
SECONDS = 10.0  # that a problem must last
# A covered sensor gives its noise, a few grey levels. A picture of the night has at least a lit pixel in a thousand.
BLACK_LEVEL_MAX = 12
BLACK_LIT_SHARE_MAX = 0.001
FLAT_DEVIATION_MAX = 1.0  # grey levels, of each colour; the noise of a sensor alone is more before a white wall


class FrameHealth:
    """Watches frames and names what is wrong with them when it has lasted for SECONDS.

    black:         no pixel is lit
    single_colour: every pixel is alike: a decoder without data, a sensor that is dazzled
    frozen:        frames are alike to the last bit, which the noise of a sensor never is

    Time is the frames' own. Pixels that are black to the last bit, as those of a privacy zone, do not speak against a
    single colour.
    """

    def __init__(self) -> None:
        self.problem: FrameProblem | None = None
        self._since: dict[FrameProblem, float] = {}
        self._previous: tuple[float, NDArray[np.uint8]] | None = None

    def update(self, frame: Frame) -> FrameProblem | None:
        """Watch another frame. Returns the problem that has lasted long enough, the first of those above, or None."""
        found = self._found(frame)
        self._since = {problem: self._since.get(problem, at) for problem, at in found.items()}
        self._previous = frame.at, frame.image
        lasting = (problem for problem, since in self._since.items() if frame.at - since >= SECONDS)
        self.problem = next(lasting, None)
        return self.problem

    def _found(self, frame: Frame) -> dict[FrameProblem, float]:
        """What this frame shows, and since when it does for all that it tells."""
        found: dict[FrameProblem, float] = {}
        sample = thinned(frame.image)
        if float((sample > BLACK_LEVEL_MAX).any(axis=2).mean()) <= BLACK_LIT_SHARE_MAX:
            found["black"] = frame.at
        shown = sample[sample.any(axis=2)]  # (N, 3)
        if len(shown) and float(shown.std(axis=0, dtype=np.float32).max()) <= FLAT_DEVIATION_MAX:
            found["single_colour"] = frame.at
        if self._previous is not None:
            before_at, before = self._previous
            # The sample decides nearly always; only what it finds alike is compared pixel by pixel.
            if np.array_equal(thinned(before), sample) and np.array_equal(before, frame.image):
                found["frozen"] = before_at
        return found


def thinned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (H / 8, W / 8, 3)."""
    return image[::SAMPLE_EVERY_PX, ::SAMPLE_EVERY_PX]
