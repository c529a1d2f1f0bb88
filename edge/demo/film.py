"""A camera in front of the drawn porch: an edge.core.ports.FrameSource whose visitors come on request."""

import math
import time
from collections import deque

import numpy as np

from edge.core.types import About, Frame
from edge.demo.scene import Pose, porch, with_noise, with_person

FRAMES_PER_SECOND = 10.0
FRAMES_KEPT = 50
COME_SECONDS, STAY_SECONDS, GO_SECONDS = 1.5, 2.5, 1.5
FAR_PX, NEAR_PX = 56.0, 190.0


def pose_at(seconds: float, first_look: float) -> Pose | None:
    """Of somebody who came so long ago: up the path, before the door, off to the side; None when they are gone."""
    if seconds >= COME_SECONDS + STAY_SECONDS + GO_SECONDS:
        return None
    near = min(1.0, seconds / COME_SECONDS)
    gone = max(0.0, seconds - COME_SECONDS - STAY_SECONDS) / GO_SECONDS
    return Pose(
        x=0.5 + 0.03 * math.sin(4 * seconds) * (1.2 - near) + 0.75 * gone**2,
        y=0.40 + 0.02 * near + 0.008 * math.sin(9 * seconds) * (1 - near),
        face_px=FAR_PX + (NEAR_PX - FAR_PX) * near**1.5,
        turn=5 * math.sin(2.2 * seconds),
        look=first_look + 0.3 * math.sin(1.7 * seconds) ** 2,
        light=0.92 + 0.08 * near,
    )


class Film:
    """Ten frames a second, fewer where that is too many, of an empty porch and of the visitors sent there.

    People come and go by the film's own clock, however many frames are seen of them.

    slowness: how many seconds one of the film's takes, for a machine (or an emulator) that is too slow for the story
    """

    def __init__(self, slowness: float = 1.0) -> None:
        self.slowness = slowness
        self.ended = False
        self.dropped = 0
        self.about = About()
        self._rng = np.random.default_rng(5)
        self._visits: deque[tuple[int, float]] = deque()  # who, and their first appearance
        self._came_at: float | None = None  # the first of them
        self._kept: deque[tuple[float, np.ndarray]] = deque(maxlen=FRAMES_KEPT)
        self._next_at = self._now()

    def _now(self) -> float:
        return time.monotonic() / self.slowness

    def send(self, person: int, first_look: float) -> None:
        """Add a visitor, after those added before."""
        self._visits.append((person, first_look))

    def read(self, timeout_seconds: float) -> Frame | None:
        """The frame of now; None where the next one is not due in time."""
        wait = (self._next_at - self._now()) * self.slowness
        time.sleep(min(timeout_seconds, max(0.0, wait)))
        if wait > timeout_seconds or self.ended:
            return None
        at = self._now()
        self._next_at = max(self._next_at + 1 / FRAMES_PER_SECOND, at)
        image = with_noise(self._picture(at), self._rng)
        self._kept.append((time.time(), image))
        return Frame(image, at)

    def seen_at(self, seconds: float) -> np.ndarray:
        """(480, 640, 3) uint8 RGB: the newest frame that was not taken later, in seconds since 1970, of those kept."""
        kept = list(self._kept)
        return next((image for at, image in reversed(kept) if at <= seconds), kept[0][1])

    def close(self) -> None:
        """The end."""
        self.ended = True

    def _picture(self, at: float) -> np.ndarray:
        while self._visits:
            person, first_look = self._visits[0]
            self._came_at = at if self._came_at is None else self._came_at
            pose = pose_at(at - self._came_at, first_look)
            if pose is not None:
                return with_person(porch(), person, pose)
            self._visits.popleft()
            self._came_at = None
        return porch()
