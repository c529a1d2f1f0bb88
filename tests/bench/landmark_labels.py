"""How sure the labels of landmarks are, and what the detector's error is beside that.

    python -m tests.bench.landmark_labels [--data ../shared]

Of every sure face of the held-out photos and turned heads, in shares of the distance between its eyes: how far the mean
of half of the teacher's close detections is from the mean of the other half; how far another YuNet, asked in the same
way, is from the label, and one detection of the teacher; and the shipped detector, once and after the closer look.
Means over the faces that all of them find.
"""

from pathlib import Path

import click
import numpy as np

from edge.core.closer import look_closer
from edge.core.geometry import box_iou
from edge.core.types import Face
from edge.inference.detector import Detector
from training.data.faces import BOX, FACE_SCORE_MIN, LANDMARKS, SCORE
from training.data.places import Places
from training.data.scenes import Scene
from training.data.yunet import CLOSE_PX, YuNet
from training.detector.scene_set import gather_scenes
from training.engine.experiment_files import load_experiment

SOURCES = ("photos", "turned")
COLUMNS = (
    "half of the teacher's detections to the other half",
    "another YuNet to the label",
    "one detection of the teacher to the label",
    "the detector, once",
    "the detector, closer",
)


def error(first: np.ndarray, second: np.ndarray, label: np.ndarray) -> float:
    """Mean distance of five points, (5, 2) each, over the distance between the eyes of the label."""
    return float(np.linalg.norm(first - second, axis=1).mean() / np.linalg.norm(label[1] - label[0]))


def close(teacher: YuNet, scene: Scene, face: np.ndarray, sizes_px: tuple[int, ...]) -> list[np.ndarray]:
    """The landmarks, (5, 2), of each of the teacher's detections of a face shown at these sizes."""
    return [row[LANDMARKS].reshape(5, 2) for px in sizes_px for row in teacher.detect_close(scene.image, face, px)]


def ours(detector: Detector, scene: Scene, box: np.ndarray) -> Face | None:
    """The detection of a labelled face."""
    found = detector.detect(scene.image)
    overlap = [float(box_iou(box[None], face.box[None])[0, 0]) for face in found]
    return found[int(np.argmax(overlap))] if max(overlap, default=0.0) >= 0.5 else None


def errors_of(scene: Scene, row: np.ndarray, teacher: YuNet, other: YuNet, detector: Detector) -> list[float] | None:
    """What COLUMNS names, of one labelled face; None where one of them does not find it."""
    halves = [close(teacher, scene, row, sizes_px) for sizes_px in (CLOSE_PX[::2], CLOSE_PX[1::2])]
    others, face = close(other, scene, row, CLOSE_PX), ours(detector, scene, row[BOX])
    if not (all(halves) and others and face):
        return None
    label = row[LANDMARKS].reshape(5, 2)
    first, second, another = (np.mean(points, axis=0) for points in (*halves, others))
    return [
        error(first, second, label),
        error(another, label, label),
        float(np.mean([error(points, label, label) for half in halves for points in half])),
        error(face.landmarks, label, label),
        error(look_closer(scene.image, face, detector).landmarks, label, label),
    ]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
def main(data: Path, cache: Path) -> None:
    if not (data / "data" / "scenes").is_dir():
        raise click.ClickException(f"{data} has no data/scenes: nothing to measure on")
    scenes = gather_scenes(load_experiment("detector"), Places(data, cache), measure_only=True).held_out
    teacher, other = (YuNet(name, 320, data / "teachers") for name in ("yunet_n", "yunet_s"))
    detector = Detector()
    for source in SOURCES:
        errors = [
            found
            for scene in scenes
            if scene.name.startswith(f"{source}/")
            for row in scene.faces
            if row[SCORE] >= FACE_SCORE_MIN and (found := errors_of(scene, row, teacher, other, detector)) is not None
        ]
        print(f"{source}, {len(errors)} faces")
        table = np.array(errors)
        for name, mean, middle in zip(COLUMNS, table.mean(axis=0), np.median(table, axis=0), strict=True):
            print(f"  {name:52} mean {mean:6.2%}  median {middle:6.2%}")


if __name__ == "__main__":
    main()
