"""The detector as a task of the engine: data, network, validation, card and report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from edge.inference import detector as device
from edge.inference.model_card import DetectorCard
from training.data.places import Places
from training.detector.compose import Composer
from training.detector.evaluation import LOOSE, DetectionEvaluation, choose_score_min, evaluate_detector
from training.detector.float_network import NMS_IOU, DetectorParity, parity, validation_metrics
from training.detector.learner import DetectionLearner
from training.detector.lineage import lineage, stages, start, terms
from training.detector.loss import DetectionLoss
from training.detector.network import Detector
from training.detector.report import write_detection_report
from training.detector.scene_set import SceneSet, gather_scenes
from training.detector.steps import DetectionSteps
from training.detector.weights import weights_to_start_from
from training.engine.checkpoints import CHECKPOINT, trained_weights
from training.engine.detector_experiment import DetectorExperiment
from training.engine.trainer import Metrics, RunPlan, fit
from training.export.card import write_card


@dataclass(frozen=True)
class DetectorTask:
    """An experiment that trains a face detector; see training.engine.task.Task.

    size: (width, height) of the exported model's input, if not that of the training; no weight depends on it
    """

    experiment: DetectorExperiment
    size: tuple[int, int] | None = None

    @property
    def card_kind(self) -> type[DetectorCard]:
        """The class of its model card."""
        return DetectorCard

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a picture."""
        network = self.experiment.network
        width, height = self.size or (network.width_px, network.height_px)
        return height, width, 3

    @property
    def model_name(self) -> str:
        """Name of the exported file, without its suffix; it has the size, where that is given."""
        name = self.experiment.name
        return name if self.size is None else f"{name}-{self.size[0]}x{self.size[1]}"

    def gather(self, places: Places, *, measure_only: bool) -> SceneSet:
        """Read the scenes with the teacher's faces and split them by source picture."""
        return gather_scenes(self.experiment, places, measure_only=measure_only)

    def fit(self, data: SceneSet, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner.

        Raises ExperimentError where it cannot start from the run or the weights that it names.
        """
        experiment = self.experiment
        torch.manual_seed(experiment.seed)
        shape = experiment.network.height_px, experiment.network.width_px
        centres, strides = (torch.from_numpy(part) for part in device.grid(*shape))
        learner = DetectionLearner(Detector(experiment.network), DetectionLoss(experiment.loss, centres, strides))
        if not (plan.run_dir / CHECKPOINT).is_file():
            if experiment.start_from:
                start(learner.detector, experiment, runs_dir)
            elif experiment.from_weights:
                learner.detector.load_state_dict(weights_to_start_from(experiment))
        steps = DetectionSteps(data.train, experiment, fabric.global_rank, fabric.world_size)

        def validate(_learner: nn.Module) -> Metrics:
            return validation_metrics(learner.detector, shape, data)

        return fit(learner, steps, experiment, plan, fabric, validate, data.digest)

    def trained(self, runs_dir: Path) -> Detector:
        """The network of a finished run, in evaluation mode. Raises ExperimentError where it is not finished."""
        detector = Detector(self.experiment.network)
        detector.load_state_dict(trained_weights(runs_dir / self.experiment.name, self.experiment, "detector."))
        return detector.eval()

    def calibration_images(self, data: SceneSet) -> list[np.ndarray]:
        """Compose pictures as in training, but none of the training's own."""
        compose = Composer(data.train, self.input_shape[:2])
        seed, wanted = self.experiment.seed, self.experiment.calibration_images
        return [compose(np.random.default_rng([seed, self.experiment.steps, row]))[0] for row in range(wanted)]

    def ready_for_int8(self, network: nn.Module, images: list[np.ndarray]) -> nn.Module:  # noqa: ARG002
        """The network as it is."""
        return network

    def lineage(self) -> dict[str, object]:
        """The training data and the experiments before this one, for the card."""
        return lineage(self.experiment)

    def stages(self) -> list[str]:
        """The names of the experiments to fit, in order; the last is this one."""
        return stages(self.experiment)

    def export_command(self) -> str:
        """The command that makes the model of the finished run."""
        size = "" if self.size is None else f" --size {self.size[0]}x{self.size[1]}"
        return f"limen-train export {self.experiment.name}{size}"

    def terms(self) -> str:
        """The terms of use, for the card."""
        return terms(self.experiment)

    def description(self, data: SceneSet) -> str:  # noqa: ARG002 -- the same for all
        """Nothing."""
        return ""

    def card(self, basics: dict[str, Any], model: Path, data: SceneSet) -> DetectorCard:
        """The card of a model that is not yet measured, with the threshold chosen on the scenes for that."""
        card = DetectorCard(**basics, score_min=LOOSE, nms_iou=NMS_IOU)
        write_card(card, model)
        score_min, matches = choose_score_min(device.Detector(model), data.calibration)
        chosen_on = {
            "pictures": matches.pictures,
            "false_alarms": matches.false_alarms,
            "faces_found": matches.hits,
        }
        learned_from = card.learned_from | {"threshold_chosen_on": chosen_on}
        return msgspec.structs.replace(card, score_min=score_min, learned_from=learned_from)

    def evaluate(self, model: Path, data: SceneSet) -> DetectionEvaluation:
        """Measure the int8 model on held-out scenes, on face-free ones, and in the whole pipeline."""
        return evaluate_detector(model, data)

    def parity(self, network: nn.Module, evaluation: DetectionEvaluation, _data: SceneSet) -> DetectorParity:
        """Compare float with int8 on the same held-out scenes."""
        return parity(network, evaluation)

    def complete_card(self, card: DetectorCard, _evaluation: DetectionEvaluation) -> DetectorCard:
        """The card as it is: the evaluation's numbers have everything."""
        return card

    def write_report(self, card: DetectorCard, evaluation: DetectionEvaluation, run_dir: Path) -> Path:
        """Write curves, tables and a sheet of hits, misses and false alarms as one HTML file."""
        return write_detection_report(card, evaluation, run_dir)
