"""The report of a detector: tables, a curve, and a sheet of pictures."""

import base64
from pathlib import Path

import cv2
import numpy as np

from edge.inference.model_card import DetectorCard
from training.data.faces import BOX, LANDMARKS, SCORE
from training.data.scenes import Scene
from training.detector.evaluation import DetectionEvaluation
from training.detector.figures import threshold_figure
from training.detector.matching import judge
from training.engine.run_log import LOG, read_log
from training.evaluate.figures import learning_figure
from training.evaluate.report import training_of, write_page

PAGE = Path(__file__).parent / "report.html"
TILE_PX = (160, 240)
COLUMNS = 5
TILES = {"alarmed": 15, "missed": 20, "found": 15}
GREEN, RED, ORANGE = (0, 200, 0), (255, 0, 0), (255, 160, 0)


def write_detection_report(card: DetectorCard, evaluation: DetectionEvaluation, run_dir: Path) -> Path:
    """Write `report.html`, its PNG figures and `evaluation.json` into the run's folder; return the HTML's path."""
    log = read_log(run_dir / LOG)
    pictures = {"threshold": threshold_figure(evaluation)}
    if log:
        pictures["learning"] = learning_figure(log, {"held_out_recall": "faces found, at score 0.5"}, "share")
    sheet = contact_sheet(evaluation)
    (run_dir / "contact-sheet.png").write_bytes(sheet)
    numbers = evaluation.numbers()
    teacher = [("all, one detection of the teacher", numbers["teacher"])] if numbers["teacher"] else []
    return write_page(
        PAGE,
        run_dir,
        pictures,
        numbers,
        card=card,
        rows=[
            ("all", numbers["held_out"]),
            ("all, grey", numbers["held_out_grey"]),
            ("all, tinted", numbers["held_out_tinted"]),
            *numbers["per_source"].items(),
            *teacher,
        ],
        bands=evaluation.by_yaw(),
        free=numbers["face_free"],
        pipeline=evaluation.pipeline,
        parity=card.measured["parity"],
        training=training_of(card),
        sheet=base64.b64encode(sheet).decode(),
    )


def contact_sheet(evaluation: DetectionEvaluation, seed: int = 0) -> bytes:
    """Draw some scenes with false alarms, some with misses and some without errors as one PNG."""
    kinds: dict[str, list[np.ndarray]] = {kind: [] for kind in TILES}
    for row in np.random.default_rng(seed).permutation(len(evaluation.scenes)):
        scene, found = evaluation.scenes[row], evaluation.found[row]
        verdicts = judge(scene.faces, found)
        missed = verdicts.counted & (verdicts.hit < 0)
        kind = "alarmed" if verdicts.false.any() else "missed" if missed.any() else "found"
        if (verdicts.counted.any() or verdicts.false.any()) and len(kinds[kind]) < TILES[kind]:
            kinds[kind].append(tile(scene, found))
    tiles = [part for kind in kinds.values() for part in kind]
    tiles += [np.zeros((*TILE_PX, 3), dtype=np.uint8)] * (-len(tiles) % COLUMNS)
    if not tiles:
        tiles = [np.zeros((*TILE_PX, 3), dtype=np.uint8)] * COLUMNS
    sheet = np.vstack([np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)])
    return cv2.imencode(".png", sheet[..., ::-1])[1].tobytes()


def tile(scene: Scene, found: np.ndarray) -> np.ndarray:
    """Draw the faces and detections into a scene, (160, 240, 3) uint8 RGB."""
    verdicts = judge(scene.faces, found)
    height, width = TILE_PX
    zoom = min(height / scene.image.shape[0], width / scene.image.shape[1])
    image = cv2.resize(scene.image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)

    def frame(face: np.ndarray, colour: tuple[int, int, int], thickness: int = 1) -> None:
        left, top, right, bottom = (face[BOX] * zoom).round().astype(int).tolist()
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)

    for face, counted, hit in zip(scene.faces, verdicts.counted, verdicts.hit, strict=True):
        if not counted:
            frame(face, ORANGE)
        elif hit < 0:
            frame(face, RED, 2)
    for detection, false in zip(found, verdicts.false, strict=True):
        frame(detection, RED if false else GREEN)
        for x, y in (detection[LANDMARKS].reshape(5, 2) * zoom).round().astype(int).tolist():
            cv2.circle(image, (x, y), 1, GREEN, -1)
        if false:
            corner = int(detection[0] * zoom), max(10, int(detection[1] * zoom) - 2)
            cv2.putText(image, f"{detection[SCORE]:.2f}", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.35, RED, 1)
    canvas = np.zeros((height, width, 3), dtype=np.uint8)
    canvas[: image.shape[0], : image.shape[1]] = image[:height, :width]
    return canvas
