"""The newest-frame slot: a reader gets the newest frame, never a queue of old ones."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from edge.core.types import About, Frame


class Frames(Protocol):
    """Frames one after the other.

    live: they come at their own pace, as a camera's do; those of a file wait until they are asked for
    about: what they chose, as far as it is known when frames were read
    """

    live: bool

    @property
    def about(self) -> About:
        """See above."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield frames up to the end; a live source has none."""

    def close(self) -> None:
        """Ask for the end, from another thread than the one that iterates, which then releases the source."""


class LatestFrame:
    """Reads frames in its own thread and keeps the newest one; see edge.core.ports.FrameSource."""

    def __init__(self, frames: Frames) -> None:
        self.dropped = 0
        self.ended = False
        self._frames = frames
        self._slot: Frame | None = None
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._fill, name="capture", daemon=True)
        self._thread.start()

    @property
    def about(self) -> About:
        """What the frames' source chose."""
        return self._frames.about

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended.

        Raises the error that ended the source, of whatever class, once the last frame before it was read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self.ended, timeout_seconds)
            frame, self._slot = self._slot, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def close(self) -> None:
        """Stop reading. A stream that sends nothing at this moment is released when its read times out."""
        self._stop.set()
        self._frames.close()
        self._thread.join(timeout=2)

    def _fill(self) -> None:
        begun, first = time.monotonic(), None
        try:
            for frame in self._frames:
                if not self._frames.live:  # a file is played at its own pace
                    first = frame.at if first is None else first
                    self._stop.wait(max(0.0, begun + frame.at - first - time.monotonic()))
                if self._stop.is_set():
                    break
                with self._changed:
                    self.dropped += self._slot is not None
                    self._slot = frame
                    self._changed.notify()
        except BaseException as error:  # noqa: BLE001 -- the reader raises it: a thread that dies in silence looks like an end
            self._error = error
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify()
