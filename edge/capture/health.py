"""The health of frames: a camera may give black or frozen pictures for years and report no error."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core.types import Frame

FrameProblem: TypeAlias = Literal["black", "frozen", "single_colour"]

SAMPLE_EVERY_PX = 8
LASTING_SECONDS = 10.0  # a problem that lasts less is not named
# A covered sensor gives noise of a few grey levels; a scene at night has more than one lit pixel in a thousand.
BLACK_LEVEL_MAX = 12
BLACK_LIT_SHARE_MAX = 0.001
FLAT_DEVIATION_MAX = 1.0  # in grey levels, of each colour; before a white wall the noise of a sensor alone is more


class FrameHealth:
    """Names a problem of the frames that has lasted for LASTING_SECONDS.

    problem: None, or the first of
        black          no pixel is lit
        single_colour  all pixels are alike (a decoder without data, a dazzled sensor) but those that are exactly black,
                       as in a privacy zone
        frozen         each frame equals the one before to the last bit, which the noise of a sensor prevents

    Pure: the time is that of the frames.
    """

    def __init__(self) -> None:
        self.problem: FrameProblem | None = None
        self._since: dict[FrameProblem, float] = {}
        self._previous: tuple[float, NDArray[np.uint8]] | None = None

    def update(self, frame: Frame) -> FrameProblem | None:
        """Take the next frame into account, and return the problem; it is None again with the first good frame."""
        found = self._found(frame)
        self._since = {problem: self._since.get(problem, at) for problem, at in found.items()}
        self._previous = frame.at, frame.image
        lasting = (problem for problem, since in self._since.items() if frame.at - since >= LASTING_SECONDS)
        self.problem = next(lasting, None)
        return self.problem

    def _found(self, frame: Frame) -> dict[FrameProblem, float]:
        """The problems of this frame, each with the time since when this frame and the one before show it."""
        found: dict[FrameProblem, float] = {}
        sample = thinned(frame.image)
        if float((sample > BLACK_LEVEL_MAX).any(axis=2).mean()) <= BLACK_LIT_SHARE_MAX:
            found["black"] = frame.at
        shown = sample[sample.any(axis=2)]  # (N, 3)
        if len(shown) and float(shown.std(axis=0, dtype=np.float32).max()) <= FLAT_DEVIATION_MAX:
            found["single_colour"] = frame.at
        if self._previous is not None:
            before_at, before = self._previous
            # The thinned pixels decide nearly always; only where they are equal is every pixel compared.
            if np.array_equal(thinned(before), sample) and np.array_equal(before, frame.image):
                found["frozen"] = before_at
        return found


def thinned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take every 8th pixel, (H, W, 3) -> (H / 8, W / 8, 3)."""
    return image[::SAMPLE_EVERY_PX, ::SAMPLE_EVERY_PX]
