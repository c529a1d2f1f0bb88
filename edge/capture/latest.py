"""The newest-frame slot: whoever reads gets the newest frame, never a queue of old ones."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol

from edge.core.types import Frame


class Frames(Protocol):
    """Frames one after the other.

    live: it waits for nobody: a camera, not a file
    """

    live: bool

    def __iter__(self) -> Iterator[Frame]:
        """Until it ends; a live one goes on."""

    def close(self) -> None:
        """Come to an end; called from another thread than the one that iterates, which then lets go of the source."""


class LatestFrame:
    """Reads frames in a thread of its own and keeps the newest one alone; see edge.core.ports.FrameSource.

    dropped: how many frames nobody read in time
    """

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

    def read(self, timeout_seconds: float) -> Frame | None:
        """The newest frame not read yet; None where none came in time or the source has ended.

        Raises whatever ended the source, if that was an error, after the last frame before it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._slot is not None or self.ended, timeout_seconds)
            frame, self._slot = self._slot, None
            if frame is None and self._error is not None:
                raise self._error
            return frame

    def close(self) -> None:
        """Stop reading. A stream that is silent at this moment lets go of its own accord, when it gives up waiting."""
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
