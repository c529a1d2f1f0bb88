"""What moves: a coarse picture of which places of a frame differ from the frames before."""

import numpy as np

MEDIAN_OF = 2000  # samples: the median of more costs more than everything else


class MotionMap:
    """Compares a grid of pixels with a slow average of the frames before.

    difference_min: how many grey levels a pixel must differ by, and at least eight times the median difference, so that
                    the noise of a dark picture does not move
    """

    def __init__(self, difference_min: float = 16.0) -> None:
        self.difference_min = difference_min
        self._usual: np.ndarray | None = None

    def moved(self, image: np.ndarray, step: int) -> np.ndarray:
        """Mark the places that move; all of them in the first frame, and where the picture has another size.

        image: (H, W, 3) uint8 RGB; step: pixels from one sample to the next. Returns (ceil(H / step), ceil(W / step))
        bool. A place counts only with its neighbour to the right: single pixels are noise.
        """
        sample = image[::step, ::step, 1].astype(np.float32)  # green: most of the light
        if self._usual is None or self._usual.shape != sample.shape:
            self._usual = sample
            return np.ones(sample.shape, dtype=bool)
        # Clouds change the whole picture alike: only what changes more than its median has moved.
        difference = sample - self._usual
        self._usual += 0.1 * difference
        few = difference.ravel()[:: 1 + difference.size // MEDIAN_OF]
        middle = np.median(few)
        noise = float(np.median(np.abs(few - middle)))
        difference -= middle
        moved: np.ndarray = np.abs(difference, out=difference) > max(self.difference_min, 8 * noise)
        moved[:, :-1] &= moved[:, 1:]
        moved[:, -1] = False
        return moved
