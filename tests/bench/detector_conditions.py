"""How many held-out faces the detector finds as a door camera may see them: small, near, tilted, covered, dark.

    python -m tests.bench.detector_conditions [--data ../shared] [--model edge/models/detector.tflite] ...

Every held-out scene with one sure face is moved so that the face has a random size of the condition, on black, in a
picture of the model's size, and then changed. Found: a detection at the model's own score_min with an IoU of at least
0.5. Intervals are exact, of 95 %.
"""

from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np

from edge.core.geometry import box_iou
from edge.inference.detector import STANDARD, Detector
from training.data.augment import backlit, dimmed, infrared
from training.data.faces import BOX, FACE_SCORE_MIN, SCORE, sizes, turned
from training.data.places import Places
from training.data.scenes import Scene
from training.data.warp import warped, zoom_and_turn
from training.detector.scene_set import gather_scenes
from training.detector.worn import draw_on, hat, mask
from training.engine.experiment_files import load_experiment
from training.evaluate.shares import Share

Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
USUAL = (40.0, 100.0)


def as_it_is(image: np.ndarray, _face: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return image


def of_image(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    return lambda image, _face, rng: change(image, rng)


# name: range of the face's size in pixels, tilt in degrees, what is done to the picture
CONDITIONS: dict[str, tuple[tuple[float, float], tuple[float, float], Change]] = {
    "as it is, 40 to 100 px": (USUAL, (0, 0), as_it_is),
    "12 to 16 px": ((12, 16), (0, 0), as_it_is),
    "16 to 24 px": ((16, 24), (0, 0), as_it_is),
    "24 to 40 px": ((24, 40), (0, 0), as_it_is),
    "220 to 300 px": ((220, 300), (0, 0), as_it_is),
    "tilted by 20 to 30 degrees": (USUAL, (20, 30), as_it_is),
    "tilted by 30 to 45 degrees": (USUAL, (30, 45), as_it_is),
    "with a drawn hat": (USUAL, (0, 0), lambda image, face, rng: draw_on(image, [hat(face, rng)], rng)),
    "with a drawn mask": (USUAL, (0, 0), lambda image, face, rng: draw_on(image, [mask(face, rng)], rng)),
    "infrared grey": (USUAL, (0, 0), of_image(infrared)),
    "backlit": (USUAL, (0, 0), of_image(backlit)),
    "dim": (USUAL, (0, 0), of_image(dimmed)),
}


def picture_of(
    scene: Scene, shape: tuple[int, int], condition: str, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The picture under the condition, and the (15,) face in it, whose middle is near the picture's."""
    px, tilt, change = CONDITIONS[condition]
    face = scene.faces[scene.faces[:, SCORE] >= FACE_SCORE_MIN][:1]
    zoom = np.exp(rng.uniform(*np.log(px))) / float(sizes(face)[0])
    linear = zoom_and_turn(zoom, np.deg2rad(rng.uniform(*tilt)) * rng.choice([-1, 1]))
    middle = np.array(shape[::-1]) * rng.uniform(0.45, 0.55, 2)
    matrix = np.column_stack([linear, middle - linear @ (face[0, 0:2] + face[0, 2:4]) / 2])
    where = turned(face, matrix)[0]
    return change(warped(scene.image, matrix, shape[::-1]), where, rng), where


def found(detector: Detector, scenes: list[Scene], condition: str) -> Share:
    """Count over all scenes; the same pictures for every detector."""
    hits = 0
    for number, scene in enumerate(scenes):
        picture, face = picture_of(scene, detector.shape, condition, np.random.default_rng([16, number]))
        boxes = np.array([one.box for one in detector.detect(picture)]).reshape(-1, 4)
        hits += box_iou(face[None, BOX], boxes).max(initial=0.0) >= 0.5
    return Share(hits, len(scenes))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), default=Path(".cache"), show_default=True)
@click.option("--model", "models", type=click.Path(path_type=Path), multiple=True, default=(STANDARD,))
@click.option("--pictures", type=click.IntRange(1), help="Of every condition  [default: all]")
def main(data: Path, cache: Path, models: tuple[Path, ...], pictures: int | None) -> None:
    cv2.setNumThreads(1)
    held_out = gather_scenes(load_experiment("detector"), Places(data, cache), measure_only=True).held_out
    scenes = [scene for scene in held_out if (scene.faces[:, SCORE] >= FACE_SCORE_MIN).sum() == 1][:pictures]
    for model in models:
        detector = Detector(model)
        print(f"{model}, score_min {detector.score_min:.2f}, {len(scenes)} faces")
        for condition in CONDITIONS:
            print(f"  {condition:28} {found(detector, scenes, condition)}")


if __name__ == "__main__":
    main()
