"""A camera in front of the drawn porch: an edge.core.ports.FrameSource whose visitors come when they are told to."""

import math
import time
from collections import deque
from collections.abc import Iterator

import numpy as np

from edge.core.types import Frame
from edge.demo.scene import Pose, porch, with_noise, with_person

FRAMES_PER_SECOND = 10.0
FRAMES_KEPT = 50
COME_SECONDS, STAY_SECONDS, GO_SECONDS = 2.0, 2.0, 1.5
FAR_PX, NEAR_PX = 44.0, 150.0


def visit(first_look: float) -> Iterator[Pose]:
    """Somebody comes up the path, stands before the door and walks off to the side."""
    steps = round((COME_SECONDS + STAY_SECONDS + GO_SECONDS) * FRAMES_PER_SECOND)
    for step in range(steps):
        seconds = step / FRAMES_PER_SECOND
        near = min(1.0, seconds / COME_SECONDS)
        gone = max(0.0, seconds - COME_SECONDS - STAY_SECONDS) / GO_SECONDS
        yield Pose(
            x=0.5 + 0.03 * math.sin(4 * seconds) * (1.2 - near) + 0.75 * gone**2,
            y=0.40 + 0.02 * near + 0.008 * math.sin(9 * seconds) * (1 - near),
            face_px=FAR_PX + (NEAR_PX - FAR_PX) * near**1.5,
            turn=5 * math.sin(2.2 * seconds),
            look=first_look + 0.3 * math.sin(1.7 * seconds) ** 2,
            light=0.92 + 0.08 * near,
        )


class Film:
    """Ten frames a second, by the clock on the wall, of an empty porch and of whoever is sent there."""

    def __init__(self) -> None:
        self.ended = False
        self.dropped = 0
        self._rng = np.random.default_rng(5)
        self._visits: deque[tuple[int, Iterator[Pose]]] = deque()
        self._kept: deque[tuple[float, np.ndarray]] = deque(maxlen=FRAMES_KEPT)
        self._next_at = time.monotonic()

    def send(self, person: int, first_look: float) -> None:
        """Somebody comes, after whoever was sent before."""
        self._visits.append((person, visit(first_look)))

    def read(self, timeout_seconds: float) -> Frame | None:
        """The frame of now; None where the next one is not due in time."""
        wait = self._next_at - time.monotonic()
        time.sleep(min(timeout_seconds, max(0.0, wait)))
        if wait > timeout_seconds or self.ended:
            return None
        at = time.monotonic()
        self._next_at = max(self._next_at + 1 / FRAMES_PER_SECOND, at)
        image = with_noise(self._picture(), self._rng)
        self._kept.append((time.time(), image))
        return Frame(image, at)

    def seen_at(self, seconds: float) -> np.ndarray:
        """(480, 640, 3) uint8 RGB: the newest frame that was not taken later, in seconds since 1970, of those kept."""
        kept = list(self._kept)
        return next((image for at, image in reversed(kept) if at <= seconds), kept[0][1])

    def close(self) -> None:
        """The end."""
        self.ended = True

    def _picture(self) -> np.ndarray:
        while self._visits:
            person, poses = self._visits[0]
            pose = next(poses, None)
            if pose is not None:
                return with_person(porch(), person, pose)
            self._visits.popleft()
        return porch()
