"""The detector's part of a training: its data, its network, and how good it is while it learns."""

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from edge.core.geometry import non_maximum_suppression
from edge.inference.detector import decode, grid
from training.config import DetectorExperiment
from training.data.detection_steps import DetectionSteps
from training.data.scene_set import SceneSet
from training.detection_loss import DetectionLoss
from training.evaluate.detection import at_model_scale, count_matches
from training.learner import DetectionLearner, to_network
from training.models.detector import Detector, flattened
from training.trainer import RunPlan, fit

WATCHED_SCORE_MIN = 0.5
NMS_IOU = 0.4


def fit_detector(experiment: DetectorExperiment, scenes: SceneSet, plan: RunPlan, fabric: Fabric) -> nn.Module:
    """Train the experiment's detector to its end and return the learner."""
    torch.manual_seed(experiment.seed)
    network = experiment.network
    centres, strides = (torch.from_numpy(part) for part in grid(network.height_px, network.width_px))
    learner = DetectionLearner(Detector(network), DetectionLoss(experiment.loss, centres, strides))
    steps = DetectionSteps(scenes.train, experiment, fabric.global_rank, fabric.world_size)

    def validate(learner: nn.Module) -> dict[str, float]:
        return watch(learner.detector, experiment, scenes)

    return fit(learner, steps, experiment, plan, fabric, validate, scenes.digest)


def watch(detector: nn.Module, experiment: DetectorExperiment, scenes: SceneSet) -> dict[str, float]:
    """Recall and false alarms on the held-out scenes at a score of 0.5. For looking at: nothing is chosen by it."""
    shape = experiment.network.height_px, experiment.network.width_px
    pictures = [at_model_scale(scene, shape) for scene in scenes.held_out]
    found = detect_float(detector, [scene.image for scene in pictures], WATCHED_SCORE_MIN)
    matches = count_matches(pictures, found)
    return {
        "held_out_recall": round(matches.recall, 5),
        "held_out_false_per_100": round(matches.false_per_100, 3),
        "held_out_landmark_error": round(matches.landmark_error, 5),
    }


@torch.no_grad()
def detect_float(
    detector: nn.Module, images: list[np.ndarray], score_min: float, batch_size: int = 32
) -> list[np.ndarray]:
    """Pictures of the model's size, (H, W, 3) uint8 RGB -> (F, 15) faces of each, by the network as trained."""
    device = next(detector.parameters()).device
    centres, strides = grid(*images[0].shape[:2])
    faces = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.stack(images[start : start + batch_size])).to(device)
        logits, places = (part.cpu().numpy() for part in flattened(detector(to_network(batch))))
        for scores, values in zip(1 / (1 + np.exp(-logits)), places, strict=True):
            cells = scores >= score_min
            boxes, landmarks = decode(values[cells], centres[cells], strides[cells])
            kept = non_maximum_suppression(boxes, scores[cells], NMS_IOU)
            rows = np.concatenate([boxes, scores[cells, None], landmarks.reshape(-1, 10)], axis=1)
            faces.append(rows[kept])
    return faces
