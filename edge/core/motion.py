"""What moves: a coarse picture of which places of a frame differ from the frames before."""

import numpy as np

MEDIAN_OF = 2000  # samples: the median of more costs more than everything else
UNUSUAL = 3.0  # times the usual noise: more than half of the picture has changed
NOISE_RATE = 0.02  # of a slow average: seconds, in which somebody near is looked for
USUAL_MIN = 1.0  # grey levels of noise; a drawn picture has none


class MotionMap:
    """Compares a grid of pixels with a slow average of the frames before.

    difference_min: how many grey levels a pixel must differ by, and at least eight times the median difference, so that
                    the noise of a dark picture does not move
    """

    def __init__(self, difference_min: float = 16.0) -> None:
        self.difference_min = difference_min
        self._usual: np.ndarray | None = None
        self._usual_noise: float | None = None

    def moved(self, image: np.ndarray, step: int) -> np.ndarray:
        """Mark the places that move; all of them in the first frame, and where the picture has another size.

        image: (H, W, 3) uint8 RGB; step: pixels from one sample to the next. Returns (ceil(H / step), ceil(W / step))
        bool. A place counts only with its neighbour to the right: single pixels are noise.
        """
        sample = image[::step, ::step, 1].astype(np.float32)  # green: most of the light
        usual = self._usual
        if usual is None or usual.shape != sample.shape:
            self._usual, self._usual_noise = sample, None
            return np.ones(sample.shape, dtype=bool)
        # Clouds change the whole picture alike: only what changes more than its median has moved.
        difference = sample - usual
        every = 1 + difference.size // MEDIAN_OF
        middle, noise = spread(difference.ravel()[::every])
        usual_noise = noise if self._usual_noise is None else self._usual_noise
        self._usual_noise = usual_noise + NOISE_RATE * (noise - usual_noise)
        most = max(USUAL_MIN, usual_noise) * UNUSUAL
        self._usual = usual + 0.1 * difference
        if noise > most:  # a lamp, which changes light places by more than dark ones, or somebody before the lens
            difference = sample - gain_of(usual.ravel()[::every], sample.ravel()[::every]) * usual
            middle, noise = spread(difference.ravel()[::every])
            if noise > most:
                return np.ones(sample.shape, dtype=bool)
        moved: np.ndarray = np.abs(difference - middle) > max(self.difference_min, 8 * noise)
        moved[:, :-1] &= moved[:, 1:]
        moved[:, -1] = False
        return moved


def gain_of(before: np.ndarray, after: np.ndarray) -> float:
    """By how much the shades of a picture, (L,) each, became stronger, by least squares; 0 where there were none."""
    shades = before - before.mean()
    return float(shades @ after / max(shades @ shades, 1.0))


def spread(values: np.ndarray) -> tuple[float, float]:
    """The median of values and the median distance from it."""
    middle = np.median(values)
    return float(middle), float(np.median(np.abs(values - middle)))
