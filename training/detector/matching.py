"""Detections matched with the teacher's faces: hits, misses, false alarms, and the error of the landmarks."""

from dataclasses import dataclass

import numpy as np

from edge.core.geometry import box_area, box_iou
from edge.inference.detector import letterboxed
from training.data.faces import BOX, FACE_SCORE_MIN, LANDMARKS, SCORE, moved, sizes
from training.data.scenes import Scene

IOU_MIN = 0.5
FACE_PX_MIN = 24.0  # at model scale, square root of the box's area: a smaller face does not count


@dataclass(frozen=True)
class Matches:
    """Counts over some pictures.

    hits, misses:   sure faces of at least 24 px, found with IoU >= 0.5 or not
    false_alarms:   other detections, duplicates and loose boxes too, that are not excused
    excused:        detections with at least half of their area on a face that is too small, hidden or unsure to count
    alarmed:        pictures with a false alarm
    landmark_error: mean distance of the five landmarks to the teacher's over the distance between the eyes
    """

    pictures: int
    hits: int
    misses: int
    false_alarms: int
    excused: int
    alarmed: int
    landmark_error: float

    @property
    def recall(self) -> float:
        """Share of the faces that were found."""
        return self.hits / max(1, self.hits + self.misses)

    @property
    def false_per_100(self) -> float:
        """False alarms per hundred pictures."""
        return 100 * self.false_alarms / max(1, self.pictures)


@dataclass(frozen=True)
class Verdicts:
    """The verdicts on one picture's faces and detections.

    hit:     (F,) int64, for each face the detection that found it, or -1
    counted: (F,) bool, faces that count
    false:   (D,) bool, false alarms
    excused: (D,) bool, detections of faces that do not count
    """

    hit: np.ndarray
    counted: np.ndarray
    false: np.ndarray
    excused: np.ndarray


def at_model_scale(scene: Scene, shape: tuple[int, int]) -> Scene:
    """Scale picture and faces of a scene to the input of a model of (height, width)."""
    image, zoom = letterboxed(scene.image, shape)
    return Scene(scene.name, image, moved(scene.faces, zoom, np.zeros(2)))


def judge(faces: np.ndarray, detections: np.ndarray) -> Verdicts:
    """Match (F, 15) faces with (D, 15) detections, both at model scale.

    Each face takes the free detection with the highest IoU, of at least 0.5; faces with high scores choose first. A
    detection that no face took is false, unless half of its area is on a face that does not count.
    """
    counted = (faces[:, SCORE] >= FACE_SCORE_MIN) & (sizes(faces) >= FACE_PX_MIN)
    overlap = box_iou(faces[:, BOX], detections[:, BOX])
    hit = np.full(len(faces), -1)
    free = np.ones(len(detections), dtype=bool)
    for face in np.argsort(-faces[:, SCORE], kind="stable"):
        candidates = np.where(free, overlap[face], 0.0)
        if counted[face] and candidates.max(initial=0.0) >= IOU_MIN:
            hit[face] = int(candidates.argmax())
            free[hit[face]] = False
    excused = covered_share(detections, faces[~counted]).max(axis=1, initial=0.0) >= 0.5
    return Verdicts(hit, counted, free & ~excused, free & excused)


def covered_share(detections: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(D, 15), (F, 15) -> (D, F): the share of each detection's area that is on each face."""
    iou = box_iou(detections[:, BOX], faces[:, BOX])
    both = box_area(detections)[:, None] + box_area(faces)[None]
    return iou * both / (1 + iou) / np.maximum(box_area(detections)[:, None], 1e-9)


def count_matches(scenes: list[Scene], found: list[np.ndarray]) -> Matches:
    """Count over scenes at model scale, with the (D, 15) detections in each."""
    hits = misses = false_alarms = excused = alarmed = 0
    errors: list[float] = []
    for scene, detections in zip(scenes, found, strict=True):
        verdicts = judge(scene.faces, detections)
        found_faces = np.nonzero(verdicts.hit >= 0)[0]
        hits += len(found_faces)
        misses += int(verdicts.counted.sum()) - len(found_faces)
        false_alarms += int(verdicts.false.sum())
        excused += int(verdicts.excused.sum())
        alarmed += bool(verdicts.false.any())
        errors += [landmark_error(scene.faces[face], detections[verdicts.hit[face]]) for face in found_faces]
    return Matches(
        len(scenes), hits, misses, false_alarms, excused, alarmed, float(np.mean(errors)) if errors else float("nan")
    )


def landmark_error(face: np.ndarray, detection: np.ndarray) -> float:
    """Mean distance of the five points over the teacher's distance between the eyes."""
    truth, found = face[LANDMARKS].reshape(5, 2), detection[LANDMARKS].reshape(5, 2)
    return float(np.linalg.norm(truth - found, axis=1).mean() / max(1e-6, np.linalg.norm(truth[0] - truth[1])))
