"""The motion gate: the detector runs on frames in which something moves, and now and then on others."""

import numpy as np

SAMPLE_EVERY_PX = 8


class MotionGate:
    """Compares every 8th pixel of a frame with a slow average of the frames before.

    changed_share_min:  the share of these pixels that must differ by more than difference_min grey levels
    look_every_seconds: a frame passes at least this often, so that somebody who stands still is found
    """

    def __init__(
        self, changed_share_min: float = 0.004, difference_min: float = 16.0, look_every_seconds: float = 5.0
    ) -> None:
        self.changed_share_min, self.difference_min = changed_share_min, difference_min
        self.look_every_seconds = look_every_seconds
        self._usual: np.ndarray | None = None
        self._passed_at = float("-inf")

    def passes(self, image: np.ndarray, at: float) -> bool:
        """Whether the detector should run on a frame: something moves in it, or none has passed for too long.

        image: (H, W, 3) uint8 RGB; at: seconds on the clock of the frames
        """
        sample = image[::SAMPLE_EVERY_PX, ::SAMPLE_EVERY_PX, 1].astype(np.float32)  # green: most of the light
        if self._usual is None or self._usual.shape != sample.shape:
            self._usual = sample
            moved = True
        else:
            # Clouds change the whole picture alike: only what changes more than its median has moved.
            difference = sample - self._usual
            difference -= np.median(difference)
            moved = float((np.abs(difference) > self.difference_min).mean()) >= self.changed_share_min
            self._usual += 0.1 * (sample - self._usual)
        if moved or at - self._passed_at >= self.look_every_seconds:
            self._passed_at = at
            return True
        return False
