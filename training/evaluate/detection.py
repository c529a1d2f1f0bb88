"""One measurement of a shipped detector: always through edge.inference, so that the number is what the device does."""

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from edge.core.types import Face
from edge.inference.detector import Detector
from training.data.compose import tinted
from training.data.faces import SCORE
from training.data.scene_set import SceneSet
from training.data.scenes import Scene
from training.evaluate.matching import Matches, at_model_scale, count_matches
from training.evaluate.pipeline import Pipeline, measure_pipeline
from training.numbers import rounded

LOOSE = 0.1  # everything a curve may want to look at
FALSE_PER_100_MAX = 0.5  # on the pictures that the threshold is chosen on: half of what a door may ask for
SCORE_MINS = np.round(np.arange(0.2, 0.91, 0.01), 2)


@dataclass(frozen=True)
class FaceFree:
    """Held-out pictures without a face, as they are and tinted: in how many of them a face is claimed."""

    pictures: int
    claimed_as_they_are: int
    claimed_tinted: int

    @property
    def claimed_share(self) -> float:
        """Of all, both ways."""
        return (self.claimed_as_they_are + self.claimed_tinted) / max(1, 2 * self.pictures)


@dataclass(frozen=True)
class DetectionEvaluation:
    """The held-out scenes with what was found in each, the face-free ones, and the whole pipeline.

    scenes: at model scale; found: for each the (D, 15) detections of score 0.1 and more, at model scale too
    """

    scenes: list[Scene]
    found: list[np.ndarray]
    score_min: float
    face_free: FaceFree
    pipeline: Pipeline | None

    def claims(self, score_min: float | None = None) -> list[np.ndarray]:
        """The detections over a threshold; over the default one if none is given."""
        least = self.score_min if score_min is None else score_min
        return [faces[faces[:, SCORE] >= least] for faces in self.found]

    def matches(self, score_min: float | None = None, source: str = "") -> Matches:
        """Hits, misses and false alarms over a threshold, of the scenes whose name starts with source."""
        chosen = [row for row, scene in enumerate(self.scenes) if scene.name.startswith(source)]
        claims = self.claims(score_min)
        return count_matches([self.scenes[row] for row in chosen], [claims[row] for row in chosen])

    def sources(self) -> list[str]:
        """Names of the packs."""
        return sorted({scene.name.split("/")[0] for scene in self.scenes})

    def numbers(self) -> dict[str, object]:
        """For JSON; fractions, not percent."""
        return {
            "held_out": rounded(described(self.matches())),
            "per_source": {source: rounded(described(self.matches(source=f"{source}/"))) for source in self.sources()},
            "face_free": asdict(self.face_free) | {"claimed_share": round(self.face_free.claimed_share, 5)},
            "pipeline": None if self.pipeline is None else rounded(asdict(self.pipeline)),
        }


def described(matches: Matches) -> dict[str, object]:
    """The counts and what follows from them."""
    error = matches.landmark_error
    return asdict(matches) | {
        "recall": matches.recall,
        "false_per_100": matches.false_per_100,
        "landmark_error": error if np.isfinite(error) else None,
    }


def evaluate_detector(model: Path, data: SceneSet, seed: int = 0) -> DetectionEvaluation:
    """Measure the model on everything that it did not learn from."""
    loose, default = Detector(model, score_min=LOOSE), Detector(model)
    scenes = [at_model_scale(scene, loose.shape) for scene in data.held_out]
    free = [scene for scene in data.held_out if not len(scene.faces)]
    rng = np.random.default_rng(seed)
    return DetectionEvaluation(
        scenes=scenes,
        found=detect_all(loose, scenes, "held-out scenes"),
        score_min=default.score_min,
        face_free=FaceFree(
            pictures=len(free),
            claimed_as_they_are=sum(bool(default.detect(scene.image)) for scene in free),
            claimed_tinted=sum(bool(default.detect(tinted(scene.image, rng))) for scene in free),
        ),
        pipeline=None if data.photographs is None else measure_pipeline(default, data.photographs),
    )


def detect_all(detector: Detector, scenes: list[Scene], what: str) -> list[np.ndarray]:
    """For each scene the (D, 15) detections, one by one as the device does."""
    return [rows_of(detector.detect(scene.image)) for scene in tqdm(scenes, desc=f"detect {what}", unit="picture")]


def rows_of(faces: list[Face]) -> np.ndarray:
    """Faces as (D, 15) float32 rows."""
    rows = [np.concatenate([face.box, [face.score], face.landmarks.ravel()]) for face in faces]
    return np.array(rows, dtype=np.float32).reshape(-1, 15)


def choose_score_min(detector: Detector, scenes: list[Scene], seed: int = 0) -> float:
    """The lowest threshold at which these scenes, and the same ones tinted, give few enough false alarms.

    detector: with a threshold as low as any that may come out; scenes: neither learned from nor measured on.
    """
    rng = np.random.default_rng(seed)
    pictures = [at_model_scale(scene, detector.shape) for scene in scenes]
    pictures += [Scene(scene.name, tinted(grey(scene.image), rng), scene.faces) for scene in pictures]
    found = detect_all(detector, pictures, "pictures to choose the threshold on")
    for score_min in SCORE_MINS:
        claims = [faces[faces[:, SCORE] >= score_min] for faces in found]
        if count_matches(pictures, claims).false_per_100 <= FALSE_PER_100_MAX:
            return float(score_min)
    return float(SCORE_MINS[-1])


def grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 RGB -> the same without colour."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
