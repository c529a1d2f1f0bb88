"""The health of frames: a camera may give black, frozen or torn pictures for years and report no error."""

from collections import deque
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.core.types import Frame

FrameProblem: TypeAlias = Literal["black", "single_colour", "frozen", "torn"]

# OpenCV 4.13 to 5.0 give an interlaced video as what was in memory: black, or something that never changes.
INTERLACED = "an interlaced video that OpenCV reads, for which PyAV is needed (limen doctor says which reads it)"
# What may be the matter, for the log and for doctor.
REMEDIES: dict[FrameProblem, str] = {
    "black": f"the lens is covered, or it is dark, or it is {INTERLACED}",
    "single_colour": "the lens is covered or dazzled, or the video is of a format that is not read",
    "frozen": f"the camera hangs and is to be started again, or it is {INTERLACED}",
    "torn": "parts of the pictures are lost (look at the camera's cable, power supply and network), or it is "
    f"{INTERLACED}",
}

SAMPLE_EVERY_PX = 8
LASTING_SECONDS = 10.0  # a problem that lasts less is not named
# A covered sensor gives noise of a few grey levels; a scene at night has more than one lit pixel in a thousand.
BLACK_LEVEL_MAX = 12
BLACK_LIT_SHARE_MAX = 0.001
FLAT_DEVIATION_MAX = 1.0  # in grey levels, of each colour; before a white wall the noise of a sensor alone is more
# A decoder fills what it did not get with one colour, from edge to edge; the sky may be clipped to white.
BAND_SHARE_MIN = 0.25
CLIPPED_LEVEL_MIN = 243
TORN_SHARE = 0.5  # of the frames: a lost packet spoils those up to the next key frame, and not those after it
MENDED_SHARE = 0.25


class FrameHealth:
    """Names a problem of the frames that has lasted for lasting_seconds.

    problem: None, or the first of
        black          no pixel is lit
        single_colour  all pixels are alike (a decoder without data, a dazzled sensor) but those that are exactly black,
                       as in a privacy zone
        frozen         each frame equals the one before to the last bit, which the noise of a sensor prevents
        torn           at least half of the frames of so many seconds are damaged: their decoder says so, or a quarter
                       of the rows, one below the other, is of one colour from edge to edge

    Pure: the time is that of the frames.
    """

    def __init__(self, lasting_seconds: float = LASTING_SECONDS) -> None:
        self.problem: FrameProblem | None = None
        self._lasting_seconds = lasting_seconds
        self._since: dict[FrameProblem, float] = {}
        self._previous: tuple[float, NDArray[np.uint8]] | None = None
        self._torn: deque[tuple[float, bool]] = deque()

    def update(self, frame: Frame) -> FrameProblem | None:
        """Take the next frame into account, and return the problem; it is None again with the first good frame."""
        sample = thinned(frame.image)
        found = self._found(frame, sample)
        self._since = {problem: self._since.get(problem, at) for problem, at in found.items()}
        self._previous = frame.at, frame.image
        torn = frame.damaged or ("single_colour" not in found and has_band(sample))
        lasting = (problem for problem, at in self._since.items() if frame.at - at >= self._lasting_seconds)
        self.problem = next(lasting, "torn" if self._is_torn(frame.at, torn) else None)
        return self.problem

    def _found(self, frame: Frame, sample: NDArray[np.uint8]) -> dict[FrameProblem, float]:
        """The problems of this frame, each with the time since when this frame and the one before show it."""
        found: dict[FrameProblem, float] = {}
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

    def _is_torn(self, at: float, torn: bool) -> bool:
        """Whether enough frames of the last seconds are damaged; frames from before that are forgotten."""
        self._torn.append((at, torn))
        while len(self._torn) > 1 and at - self._torn[1][0] >= self._lasting_seconds:
            self._torn.popleft()
        if at - self._torn[0][0] < self._lasting_seconds:
            return False
        share = sum(one for _, one in self._torn) / len(self._torn)
        return share >= TORN_SHARE or (self.problem == "torn" and share >= MENDED_SHARE)


def problem_of(frames: list[Frame]) -> FrameProblem | None:
    """The problem that all of these frames have, however little time they took."""
    if not frames:
        return None
    health = FrameHealth(frames[-1].at - frames[0].at)
    for frame in frames:
        health.update(frame)
    return health.problem


def has_band(sample: NDArray[np.uint8]) -> bool:
    """Whether many rows, (H, W, 3) one below the other, are of one colour from edge to edge that is not clipped."""
    row_colours = sample[:, 0]  # (H, 3)
    flat = (sample == sample[:, :1]).all(axis=(1, 2))
    flat &= ((row_colours > BLACK_LEVEL_MAX) & (row_colours < CLIPPED_LEVEL_MIN)).any(axis=1)
    same = flat[1:] & flat[:-1] & (row_colours[1:] == row_colours[:-1]).all(axis=1)
    breaks = np.flatnonzero(~np.concatenate([[False], same, [False]]))
    return int(np.diff(breaks).max(initial=0)) >= max(2, BAND_SHARE_MIN * len(sample))


def thinned(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Take every 8th pixel, (H, W, 3) -> (H / 8, W / 8, 3)."""
    return image[::SAMPLE_EVERY_PX, ::SAMPLE_EVERY_PX]
