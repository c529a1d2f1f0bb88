"""How many of the turned heads are found, by the angle."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from edge.core.quality import yaw_deg
from training.data.faces import LANDMARKS
from training.data.scenes import Scene
from training.detector.matching import judge, landmark_error

BANDS_DEG = (0, 15, 30, 45, 60, 90)


@dataclass(frozen=True)
class YawBand:
    """The faces that count and are turned to a side by from_deg or more and less than to_deg, and how many are found.

    landmark_error: of those found, as in Matches; None where none is. Of a turned head the distance between the eyes is
                    short, so the error is large.
    """

    from_deg: int
    to_deg: int
    faces: int
    found: int
    landmark_error: float | None


def by_yaw(scenes: list[Scene], found: list[np.ndarray]) -> list[YawBand]:
    """Count over scenes at model scale, with the (D, 15) detections in each.

    The angle is edge.core.quality.yaw_deg of the teacher's landmarks: rough, and lower than the
    angle of heads that are turned far, whose hidden eye the teacher puts beside the nose.
    """
    rows = []
    for scene, detections in zip(scenes, found, strict=True):
        verdicts = judge(scene.faces, detections)
        for face in np.nonzero(verdicts.counted)[0]:
            hit = verdicts.hit[face]
            error = landmark_error(scene.faces[face], detections[hit]) if hit >= 0 else np.nan
            rows.append((abs(yaw_deg(scene.faces[face, LANDMARKS].reshape(5, 2))), error))
    table = np.array(rows).reshape(-1, 2)
    bands = []
    for low, high in pairwise(BANDS_DEG):
        errors = table[(table[:, 0] >= low) & ((table[:, 0] < high) | (high == BANDS_DEG[-1])), 1]
        hits = errors[np.isfinite(errors)]
        bands.append(YawBand(low, high, len(errors), len(hits), float(hits.mean()) if len(hits) else None))
    return bands
