"""Does anything move? Where nothing does, nobody came, and nobody need be looked for."""

import numpy as np

SAMPLE_EVERY_PX = 8


class MotionGate:
    """Compares each frame, thinned out, with a slow average of those before.

    changed_share_min: of the sampled pixels, how many must differ by more than difference_min grey levels
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
        """Something moved in (H, W, 3) uint8 RGB, or it is time to look anyway."""
        sample = image[::SAMPLE_EVERY_PX, ::SAMPLE_EVERY_PX, 1].astype(np.float32)  # green: most of the light
        if self._usual is None or self._usual.shape != sample.shape:
            self._usual = sample
            moved = True
        else:
            # Clouds change all of the picture alike; only what changes more than the picture as a whole has moved.
            difference = sample - self._usual
            difference -= np.median(difference)
            moved = float((np.abs(difference) > self.difference_min).mean()) >= self.changed_share_min
            self._usual += 0.1 * (sample - self._usual)
        if moved or at - self._passed_at >= self.look_every_seconds:
            self._passed_at = at
            return True
        return False
