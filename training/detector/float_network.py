"""Detections of the network as trained: for validation, and to compare float with int8."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from edge.core.geometry import box_iou
from edge.inference.detector import decode, grid, one_each
from training.data.faces import BOX
from training.detector.evaluation import DetectionEvaluation
from training.detector.matching import at_model_scale, count_matches
from training.detector.network import flattened
from training.detector.scene_set import SceneSet
from training.engine.learner import to_network

NMS_IOU = 0.4
VALIDATION_SCORE_MIN = 0.5


@torch.no_grad()
def detect_float(
    detector: nn.Module, images: Sequence[np.ndarray], score_min: float, batch_size: int = 32
) -> list[np.ndarray]:
    """Pictures of the model's size, (H, W, 3) uint8 RGB -> (F, 15) faces in each, with the network as trained."""
    device = next(detector.parameters()).device
    centres, strides = grid(*images[0].shape[:2])
    faces = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.stack(images[start : start + batch_size])).to(device)
        logits, places = (part.cpu().numpy() for part in flattened(detector(to_network(batch))))
        for scores, values in zip(1 / (1 + np.exp(-logits)), places, strict=True):
            cells = scores >= score_min
            boxes, landmarks = decode(values[cells], centres[cells], strides[cells])
            boxes, score, landmarks = one_each(boxes, scores[cells], landmarks, NMS_IOU)
            faces.append(np.concatenate([boxes, score[:, None], landmarks.reshape(-1, 10)], axis=1))
    return faces


def validation_metrics(detector: nn.Module, shape: tuple[int, int], scenes: SceneSet) -> dict[str, float | None]:
    """Recall, false alarms and landmark error on the held-out scenes at a score of 0.5; nothing is chosen by them."""
    pictures = [at_model_scale(scene, shape) for scene in scenes.held_out]
    found = detect_float(detector, [scene.image for scene in pictures], VALIDATION_SCORE_MIN)
    matches = count_matches(pictures, found)
    return {
        "held_out_recall": round(matches.recall, 5),
        "held_out_false_per_100": round(matches.false_per_100, 3),
        "held_out_landmark_error": None if np.isnan(matches.landmark_error) else round(matches.landmark_error, 5),
    }


@dataclass(frozen=True)
class DetectorParity:
    """Float against int8 on the held-out scenes, at the model's size and default threshold.

    iou_mean, iou_percentile_1: between each float box and the nearest int8 box
    lost, gained: float boxes without an int8 box at IoU >= 0.5, and the reverse
    """

    measured_on: str
    boxes: int
    iou_mean: float
    iou_percentile_1: float
    lost: int
    gained: int

    def summary(self) -> str:
        """Half a sentence for the terminal."""
        return f"int8 boxes keep an IoU of {self.iou_mean:.4f} with float ones on {self.measured_on}"


def parity(network: nn.Module, shipped: DetectionEvaluation) -> DetectorParity:
    """Compare the float and the int8 boxes on every held-out scene."""
    as_trained = detect_float(network, [scene.image for scene in shipped.scenes], shipped.score_min)
    overlaps, gained = [], 0
    for floats, int8 in zip(as_trained, shipped.found, strict=True):
        overlap = box_iou(floats[:, BOX], int8[:, BOX])
        overlaps.append(overlap.max(axis=1, initial=0.0))
        gained += int((overlap.max(axis=0, initial=0.0) < 0.5).sum())
    nearest = np.concatenate(overlaps)
    both = nearest[nearest >= 0.5]
    return DetectorParity(
        measured_on="held-out scenes",
        boxes=len(nearest),
        iou_mean=float(both.mean()) if len(both) else float("nan"),
        iou_percentile_1=float(np.percentile(both, 1)) if len(both) else float("nan"),
        lost=int((nearest < 0.5).sum()),
        gained=gained,
    )
