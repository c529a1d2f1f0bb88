"""The detector as a task: its data, its network, how good it is while it learns, and what its card says."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from edge.core.geometry import box_iou
from edge.errors import ExperimentError
from edge.inference import detector as inference
from edge.inference.detector import decode, grid, one_each
from edge.inference.model_card import DetectorCard
from training.data.faces import BOX
from training.data.terms import DRAWN, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS
from training.detector.compose import Composer
from training.detector.evaluation import LOOSE, DetectionEvaluation, choose_score_min, evaluate_detector
from training.detector.loss import DetectionLoss
from training.detector.matching import at_model_scale, count_matches
from training.detector.network import Detector, flattened
from training.detector.report import write_detection_report
from training.detector.scene_set import SceneSet, gather_scenes
from training.detector.steps import DetectionSteps
from training.embedder.training_set import Places
from training.engine.experiment import DetectorConfig, DetectorExperiment, load_experiment
from training.engine.learner import DetectionLearner, to_network
from training.engine.trainer import CHECKPOINT, RunPlan, fit, trained_weights
from training.export.card import write_card

NMS_IOU = 0.4
WATCHED_SCORE_MIN = 0.5


@dataclass(frozen=True)
class DetectorTask:
    """An experiment that learns to find faces; see training.task.Task.

    size: (width, height) of the exported model's input, if not that which it learns with; the network has no weight
    that depends on it.
    """

    experiment: DetectorExperiment
    size: tuple[int, int] | None = None
    card_kind: ClassVar[type[DetectorCard]] = DetectorCard

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a picture."""
        network = self.experiment.network
        width, height = self.size or (network.width_px, network.height_px)
        return height, width, 3

    @property
    def model_name(self) -> str:
        """Of the exported file, without its ending; another size is part of it."""
        name = self.experiment.name
        return name if self.size is None else f"{name}-{self.size[0]}x{self.size[1]}"

    def gather(self, places: Places, *, measure_only: bool) -> SceneSet:
        """Scenes with the teacher's faces, split by source picture."""
        return gather_scenes(self.experiment, places, measure_only=measure_only)

    def fit(self, data: SceneSet, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner.

        Raises ExperimentError where the run that it starts from is not finished or has another trunk.
        """
        experiment = self.experiment
        torch.manual_seed(experiment.seed)
        shape = experiment.network.height_px, experiment.network.width_px
        centres, strides = (torch.from_numpy(part) for part in grid(*shape))
        learner = DetectionLearner(Detector(experiment.network), DetectionLoss(experiment.loss, centres, strides))
        if experiment.start_from and not (plan.run_dir / CHECKPOINT).is_file():
            learner.detector.load_trunk(starting_weights(experiment, runs_dir))
        steps = DetectionSteps(data.train, experiment, fabric.global_rank, fabric.world_size)

        def validate(learner: nn.Module) -> dict[str, float]:
            return watch(learner.detector, shape, data)

        return fit(learner, steps, experiment, plan, fabric, validate, data.digest)

    def trained(self, runs_dir: Path) -> Detector:
        """The network of a finished run, at rest, on the CPU. Raises ExperimentError where it is not finished."""
        detector = Detector(self.experiment.network)
        detector.load_state_dict(trained_weights(runs_dir / self.experiment.name, self.experiment, "detector."))
        return detector.eval()

    def calibration_images(self, data: SceneSet) -> list[np.ndarray]:
        """Composed pictures as in training, of none of its steps."""
        compose = Composer(data.train, self.input_shape[:2])
        seed, wanted = self.experiment.seed, self.experiment.calibration_images
        return [compose(np.random.default_rng([seed, self.experiment.steps, row]))[0] for row in range(wanted)]

    def lineage(self) -> dict[str, object]:
        """What it learned from, and before it the experiment that it started from."""
        experiment, data = self.experiment, self.experiment.data
        parent = parent_of(experiment)
        packs = (*data.scenes, *data.negatives, *data.crops)
        return {
            "experiment": experiment.name,
            "fingerprint": experiment.fingerprint(),
            "images_seen": experiment.steps * experiment.batch_size,
            "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in packs} or data.source,
            "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
            "leak_teacher": {data.leak_teacher: TEACHER_TERMS[data.leak_teacher]} if data.leak_teacher else None,
            "started_from": DetectorTask(parent).lineage() if parent else None,
        }

    def stages(self) -> list[str]:
        """The experiments to be fitted one after the other, the last is this one."""
        parent = parent_of(self.experiment)
        return [*(DetectorTask(parent).stages() if parent else []), self.experiment.name]

    def export_command(self) -> str:
        """What makes the model of the finished run."""
        size = "" if self.size is None else f" --size {self.size[0]}x{self.size[1]}"
        return f"limen-train export {self.experiment.name}{size}"

    def terms(self) -> str:
        """The strictest of all that it learned from, the run it started from included."""
        parent = parent_of(self.experiment)
        if self.experiment.data.source != "generated":
            return RESEARCH_ONLY
        return DetectorTask(parent).terms() if parent else DRAWN

    def card(self, basics: dict[str, object], model: Path, data: SceneSet) -> DetectorCard:
        """The card of a model just quantized, with the threshold chosen on the pictures kept for that."""
        card = DetectorCard(**basics, score_min=LOOSE, nms_iou=NMS_IOU)
        write_card(card, model)
        score_min, seen = choose_score_min(inference.Detector(model), data.calibration)
        chosen_on = {"pictures": seen.pictures, "false_alarms": seen.false_alarms, "faces_found": seen.hits}
        learned_from = card.learned_from | {"threshold_chosen_on": chosen_on}
        return msgspec.structs.replace(card, score_min=score_min, learned_from=learned_from)

    def evaluate(self, model: Path, data: SceneSet) -> DetectionEvaluation:
        """The held-out scenes, the held-out face-free ones, and whole photographs through to the embedder."""
        return evaluate_detector(model, data)

    def parity(self, network: nn.Module, evaluation: DetectionEvaluation, _data: SceneSet) -> "DetectorParity":
        """Float against int8, on the same held-out scenes."""
        return parity(network, evaluation)

    def measured(self, card: DetectorCard, _evaluation: DetectionEvaluation) -> DetectorCard:
        """Everything that was measured is in the evaluation's numbers."""
        return card

    def write_report(self, card: DetectorCard, evaluation: DetectionEvaluation, run_dir: Path) -> Path:
        """Curves, tables and a sheet of hits, misses and false alarms as one HTML file."""
        return write_detection_report(card, evaluation, run_dir)


def starting_weights(experiment: DetectorExperiment, runs_dir: Path) -> dict[str, torch.Tensor]:
    """The weights of the finished run that this experiment starts from."""
    parent = parent_of(experiment)
    if parent is None or trunk_of(parent.network) != trunk_of(experiment.network):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{experiment.start_from}', of another trunk")
    if parent.data.held_out_fraction < experiment.data.held_out_fraction:
        raise ExperimentError(
            f"experiment '{experiment.name}' holds out {experiment.data.held_out_fraction:g} of the pictures, but "
            f"'{parent.name}', which it starts from, only {parent.data.held_out_fraction:g}"
        )
    return trained_weights(runs_dir / parent.name, parent, "detector.")


def parent_of(experiment: DetectorExperiment) -> DetectorExperiment | None:
    """The experiment that this one starts from. Raises ExperimentError where it is not of a detector."""
    if experiment.start_from is None:
        return None
    parent = load_experiment(experiment.start_from)
    if not isinstance(parent, DetectorExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', which is no detector")
    return parent


def trunk_of(network: DetectorConfig) -> tuple:
    """What of a network's shape does not belong to its heads."""
    return network.stem, network.widths, network.blocks, network.neck


def watch(detector: nn.Module, shape: tuple[int, int], scenes: SceneSet) -> dict[str, float | None]:
    """Recall and false alarms on the held-out scenes at a score of 0.5. For looking at: nothing is chosen by it."""
    pictures = [at_model_scale(scene, shape) for scene in scenes.held_out]
    matches = count_matches(pictures, detect_float(detector, [scene.image for scene in pictures], WATCHED_SCORE_MIN))
    return {
        "held_out_recall": round(matches.recall, 5),
        "held_out_false_per_100": round(matches.false_per_100, 3),
        "held_out_landmark_error": None if np.isnan(matches.landmark_error) else round(matches.landmark_error, 5),
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
            boxes, score, landmarks = one_each(boxes, scores[cells], landmarks, NMS_IOU)
            faces.append(np.concatenate([boxes, score[:, None], landmarks.reshape(-1, 10)], axis=1))
    return faces


@dataclass(frozen=True)
class DetectorParity:
    """Float against int8 on held-out scenes, at the model's size and default threshold.

    iou_mean, iou_percentile_1: of the float boxes with the int8 box nearest to each, both over the threshold
    lost, gained: float boxes without an int8 one at IoU >= 0.5, and the other way round
    """

    measured_on: str
    boxes: int
    iou_mean: float
    iou_percentile_1: float
    lost: int
    gained: int

    def summary(self) -> str:
        """Half a sentence for people."""
        return f"int8 boxes keep an IoU of {self.iou_mean:.4f} with float ones on {self.measured_on}"


def parity(network: nn.Module, shipped: DetectionEvaluation) -> DetectorParity:
    """Compare the boxes of both on every held-out scene."""
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
