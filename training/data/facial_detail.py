"""Detail for a blurred face, from patches of many real ones.

A face of few principal components has no fine detail. What is missing is taken patch by patch from aligned crops: at
each place the one whose coarse picture fits best, and whose detail fits the patches that are laid already (Liu, Shum
and Freeman, "Face hallucination: theory and practice", 2007; Freeman, Jones and Pasztor, 2002).
"""

import math
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np

from edge.core.align import CROP_PX
from edge.errors import DataError

BLUR_PX = 3.0  # the deviation of the blur that parts coarse from fine
PATCH_PX, STEP_PX = 24, 8
COARSE_STEP, FINE_STEP = 3, 2  # of the pixels that are compared
FIT_OF_COLOUR, FIT_OF_DETAIL = 0.15, 0.6  # weights beside the coarse picture's
GAIN = 1.15  # of the detail: overlapping patches average some of it away
SHARE_OF_ONE_PERSON_MAX = 0.2  # of the patches of a face
SHARPNESS_BETWEEN = 0.4, 0.95  # quantiles; the sharpest are noisy
ASYMMETRY_MAX = 0.35  # quantile; the others are turned or lit from a side
CENTRE = 60, 56  # row and column where the first patch is laid: the nose
FACE = slice(20, 100), slice(20, 92)


@dataclass(frozen=True)
class FacialDetail:
    """Crops that detail is taken from, and their mirror images.

    coarse, fine: (N, 112, 112, 3) float32; their sum is the crop
    people:       (N,) whom each shows
    """

    coarse: np.ndarray
    fine: np.ndarray
    people: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, people: np.ndarray) -> "FacialDetail":
        """Keep the sharp and frontal ones of (N, 112, 112, 3) uint8. Raises DataError if they show too few people."""
        if not len(images):
            raise DataError("no crops to take the detail of faces from")
        sharpness, asymmetry = (np.array([measure(image) for image in images]) for measure in (_sharpness, _asymmetry))
        low, high = np.quantile(sharpness, SHARPNESS_BETWEEN)
        kept = (low <= sharpness) & (sharpness <= high) & (asymmetry <= np.quantile(asymmetry, ASYMMETRY_MAX))
        shown = len(np.unique(people[kept]))
        if shown * SHARE_OF_ONE_PERSON_MAX < 1:
            raise DataError(f"the sharp and frontal ones of {len(images)} crops show {shown} people: give more")
        crops = images[kept].astype(np.float32)
        crops = np.concatenate([crops, crops[:, :, ::-1]])
        coarse = np.stack([blurred(crop) for crop in crops])
        return cls(coarse, crops - coarse, np.tile(people[kept], 2))

    def for_face(self, face: np.ndarray) -> np.ndarray:
        """The detail of a blurred face: (112, 112, 3) -> (112, 112, 3) float32, to be added to its coarse picture."""
        target = blurred(face.astype(np.float32))
        window = np.hanning(PATCH_PX + 2)[1:-1]
        weight = np.outer(window, window)[..., None].astype(np.float32)
        total, weights = np.zeros_like(target), np.zeros((CROP_PX, CROP_PX, 1), np.float32)
        corners = list(product(range(0, CROP_PX - PATCH_PX + 1, STEP_PX), repeat=2))
        corners.sort(key=lambda corner: float(np.square(np.add(corner, PATCH_PX / 2) - CENTRE).sum()))
        left = dict.fromkeys(self.people.tolist(), math.ceil(SHARE_OF_ONE_PERSON_MAX * len(corners)))
        free = np.ones(len(self.people), bool)
        for row, column in corners:
            place = slice(row, row + PATCH_PX), slice(column, column + PATCH_PX)
            cost = self._misfit(target[place], total[place], weights[place], place)
            best = int(np.where(free, cost, np.inf).argmin())
            total[place] += weight * self.fine[(best, *place)]
            weights[place] += weight
            who = self.people[best].item()
            left[who] -= 1
            free &= (self.people != who) | (left[who] > 0)
        return GAIN * total / weights

    def _misfit(
        self, target: np.ndarray, total: np.ndarray, weights: np.ndarray, place: tuple[slice, slice]
    ) -> np.ndarray:
        """How badly each crop's patch fits at this place, (N,)."""
        few = (slice(None), *(slice(part.start, part.stop, COARSE_STEP) for part in place))
        offered, wanted = self.coarse[few], target[::COARSE_STEP, ::COARSE_STEP]
        colours, colour = offered.mean(axis=(1, 2)), wanted.mean(axis=(0, 1))
        shape = np.square((offered - colours[:, None, None]) - (wanted - colour)).mean(axis=(1, 2, 3))
        misfit: np.ndarray = shape + FIT_OF_COLOUR * np.square(colours - colour).mean(axis=1)
        laid = weights[::FINE_STEP, ::FINE_STEP]
        if laid.any():
            fine = self.fine[(slice(None), *(slice(part.start, part.stop, FINE_STEP) for part in place))]
            present = total[::FINE_STEP, ::FINE_STEP] / np.maximum(laid, 1e-6)
            both = laid > 0
            misfit = misfit + FIT_OF_DETAIL * (np.square(fine - present) * both).sum(axis=(1, 2, 3)) / (3 * both.sum())
        return misfit


def blurred(image: np.ndarray) -> np.ndarray:
    """The coarse picture of a face, float32 of the same shape."""
    return cv2.GaussianBlur(image, (0, 0), BLUR_PX)


def _sharpness(image: np.ndarray) -> float:
    return float(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)[FACE].std())


def _asymmetry(image: np.ndarray) -> float:
    small = cv2.resize(image, (28, 28), interpolation=cv2.INTER_AREA).astype(np.float32)[4:, 4:24]
    return float(np.abs(small - small[:, ::-1]).mean())
