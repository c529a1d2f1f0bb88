"""The evaluation of an int8 detector, through edge.inference, so that it measures what the device runs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from edge.core.closer import look_closer
from edge.core.types import Face
from edge.inference.detector import Detector, letterboxed
from training.data.augment import tinted
from training.data.faces import SCORE
from training.data.scenes import Scene
from training.data.yunet import YuNet
from training.detector.matching import Matches, at_model_scale, count_matches
from training.detector.pipeline import Pipeline, measure_pipeline
from training.detector.scene_set import SceneSet, is_tile
from training.detector.turning import YawBand, by_yaw
from training.evaluate.rounding import rounded

LOOSE = 0.1  # the lowest threshold of the curve
TEACHER_SCORE_MIN = 0.6
SCORE_MINS = np.round(np.arange(0.2, 0.91, 0.01), 2)


@dataclass(frozen=True)
class FaceFree:
    """Held-out pictures without a face (no tiles): the number with a false alarm, as they are and tinted."""

    pictures: int
    claimed_as_they_are: int
    claimed_tinted: int

    @property
    def claimed_share(self) -> float:
        """The share of all pictures, in both forms."""
        return (self.claimed_as_they_are + self.claimed_tinted) / max(1, 2 * self.pictures)


@dataclass(frozen=True)
class DetectionEvaluation:
    """The detections in the held-out scenes, the face-free ones, and the whole pipeline.

    default, low:  the detector at the default threshold, and down to a score of 0.1
    data:          with the held-out scenes in their own size
    scenes:        these at model scale
    greys, others: these without colour, and in wrong colours
    found:         for each scene the (D, 15) detections at the default threshold, at model scale
    closer:        found, with the landmarks of the closer look that the device takes before it aligns a face

    What else is measured is measured when it is asked for.
    """

    default: Detector
    low: Detector
    data: SceneSet
    scenes: list[Scene]
    greys: list[Scene]
    others: list[Scene]
    found: list[np.ndarray]
    closer: list[np.ndarray]
    face_free: FaceFree

    @property
    def score_min(self) -> float:
        """The default threshold."""
        return self.default.score_min

    @cached_property
    def loose(self) -> list[np.ndarray]:
        """Found down to a score of 0.1, for the curve only: NMS blends more cells there."""
        return detect_all(self.low, self.scenes, "the same, for the curve")

    @cached_property
    def grey(self) -> Matches:
        """The counts without colour."""
        return count_matches(self.scenes, detect_all(self.default, self.greys, "the same, grey"))

    @cached_property
    def tinted(self) -> Matches:
        """The counts in wrong colours."""
        return count_matches(self.scenes, detect_all(self.default, self.others, "the same, tinted"))

    @cached_property
    def pipeline(self) -> Pipeline | None:
        """The whole pipeline, where the data has photographs."""
        photographs = self.data.photographs
        return None if photographs is None else measure_pipeline(self.default, photographs)

    @cached_property
    def teacher(self) -> Matches | None:
        """One detection of the teacher on the same pictures, by the same rules, or None."""
        return None if self.data.teacher is None else teacher_matches(self.data.teacher, self.scenes)

    def matches(self, source: str = "") -> Matches:
        """Count at the default threshold, over the scenes whose name starts with source."""
        return self._matches(self.found, source)

    def landmark_error_closer(self, source: str = "") -> float:
        """The landmark error of matches after the closer look; NaN where no face is found."""
        return self._matches(self.closer, source).landmark_error

    def _matches(self, found: list[np.ndarray], source: str) -> Matches:
        chosen = [row for row, scene in enumerate(self.scenes) if scene.name.startswith(source)]
        return count_matches([self.scenes[row] for row in chosen], [found[row] for row in chosen])

    def matches_at(self, score_min: float) -> Matches:
        """Count at another threshold."""
        return count_matches(self.scenes, [faces[faces[:, SCORE] >= score_min] for faces in self.loose])

    def by_yaw(self) -> list[YawBand]:
        """Count at the default threshold, by how far the heads are turned."""
        return by_yaw(self.scenes, self.found)

    def sources(self) -> list[str]:
        """The names of the packs."""
        return sorted({scene.name.split("/")[0] for scene in self.scenes})

    def numbers(self) -> dict[str, Any]:
        """Values for JSON; fractions, not percent."""
        return {
            "held_out": rounded(self._described()),
            "held_out_grey": rounded(described(self.grey)),
            "held_out_tinted": rounded(described(self.tinted)),
            "per_source": {source: rounded(self._described(f"{source}/")) for source in self.sources()},
            "by_yaw": [rounded(asdict(band)) for band in self.by_yaw()],
            "teacher": None if self.teacher is None else rounded(described(self.teacher)),
            "face_free": asdict(self.face_free) | {"claimed_share": round(self.face_free.claimed_share, 5)},
            "pipeline": None if self.pipeline is None else rounded(asdict(self.pipeline)),
        }

    def _described(self, source: str = "") -> dict[str, object]:
        closer = {"landmark_error_closer": finite(self.landmark_error_closer(source))}
        return described(self.matches(source)) | closer


def described(matches: Matches) -> dict[str, object]:
    """The counts, and the rates that follow from them."""
    return asdict(matches) | {
        "recall": matches.recall,
        "false_per_100": matches.false_per_100,
        "landmark_error": finite(matches.landmark_error),
    }


def finite(value: float) -> float | None:
    """The value, or None for NaN, which JSON lacks."""
    return value if np.isfinite(value) else None


def evaluate_detector(model: Path, data: SceneSet) -> DetectionEvaluation:
    """Measure the model on the held-out data."""
    default = Detector(model)
    scenes = [at_model_scale(scene, default.shape) for scene in data.held_out]
    free = [scene for scene in data.held_out if not len(scene.faces) and not is_tile(scene)]
    rng = np.random.default_rng(0)
    greys = [Scene(scene.name, grey(scene.image), scene.faces) for scene in scenes]
    others = [Scene(scene.name, tinted(scene.image, rng), scene.faces) for scene in greys]
    found = [default.detect(scene.image) for scene in progress(scenes, "held-out scenes")]
    return DetectionEvaluation(
        default=default,
        low=Detector(model, score_min=LOOSE),
        data=data,
        scenes=scenes,
        greys=greys,
        others=others,
        found=[rows_of(faces) for faces in found],
        closer=[
            rows_of(closer_faces(default, scene, faces))
            for scene, faces in zip(progress(data.held_out, "the same, closer"), found, strict=True)
        ],
        face_free=FaceFree(
            pictures=len(free),
            claimed_as_they_are=sum(bool(default.detect(scene.image)) for scene in free),
            claimed_tinted=sum(bool(default.detect(tinted(grey(scene.image), rng))) for scene in free),
        ),
    )


def teacher_matches(teacher: YuNet, scenes: list[Scene]) -> Matches | None:
    """Count the teacher's detections at the model's scale; None where its input is too small for that.

    The labels are the mean of many detections at better scales, so this is about what a student can reach.
    """
    found = []
    for scene in scenes:
        height, width = scene.image.shape[:2]
        if max(height, width) > teacher.px:
            return None
        square = np.zeros((teacher.px, teacher.px, 3), dtype=np.uint8)
        square[:height, :width] = scene.image
        faces = teacher.detect_square(square)
        found.append(faces[faces[:, SCORE] >= TEACHER_SCORE_MIN])
    return count_matches(scenes, found)


def detect_all(detector: Detector, scenes: list[Scene], what: str) -> list[np.ndarray]:
    """The (D, 15) detections in each scene, one at a time, with the code of the device."""
    return [rows_of(detector.detect(scene.image)) for scene in progress(scenes, what)]


def progress(scenes: list[Scene], what: str) -> Iterable[Scene]:
    """The scenes, with a bar in the terminal."""
    return tqdm(scenes, desc=f"detect {what}", unit="picture", disable=None)


def closer_faces(detector: Detector, scene: Scene, faces: list[Face]) -> list[Face]:
    """Faces at model scale after the closer look, which is at the picture's own pixels as on the device.

    scene: in its own size
    """
    _, zoom = letterboxed(scene.image, detector.shape)
    return [look_closer(scene.image, face.scaled(1 / zoom), detector).scaled(zoom) for face in faces]


def rows_of(faces: list[Face]) -> np.ndarray:
    """Faces as (D, 15) float32 rows."""
    rows = [np.concatenate([face.box, [face.score], face.landmarks.ravel()]) for face in faces]
    return np.array(rows, dtype=np.float32).reshape(-1, 15)


def choose_score_min(detector: Detector, scenes: list[Scene]) -> tuple[float, Matches]:
    """Choose the lowest threshold without a false alarm on these scenes, and on the same ones tinted.

    detector: with a threshold below all candidates
    scenes:   neither training nor evaluation scenes
    Returns the threshold and its counts. Where no threshold is good enough it is the highest; the card has the counts.
    """
    rng = np.random.default_rng(0)
    pictures = [at_model_scale(scene, detector.shape) for scene in scenes]
    pictures += [Scene(scene.name, tinted(grey(scene.image), rng), scene.faces) for scene in pictures]
    found = detect_all(detector, pictures, "pictures to choose the threshold on")
    for score_min in SCORE_MINS:
        matches = count_matches(pictures, [faces[faces[:, SCORE] >= score_min] for faces in found])
        if not matches.false_alarms:
            break
    return float(score_min), matches


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the same without colour."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
