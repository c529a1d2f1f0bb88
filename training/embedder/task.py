"""An encoder as a task of the engine, and the embedder: data, network, validation, card and report."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from edge.errors import ExperimentError
from edge.inference.embedder import Embedder
from edge.inference.model_card import EmbedderCard, Impostors, Normalization
from training.data.lfw import Pairs
from training.data.places import Places
from training.embedder.backbone import Backbone
from training.embedder.cohort import write_cohort
from training.embedder.encoder import Encoder, encode_float, squared_distance
from training.embedder.equalize import equalized
from training.embedder.evaluation import EmbedderParity, Evaluation, evaluate, parity
from training.embedder.learner import EmbeddingLearner
from training.embedder.lineage import lineage, stages, starting_weights, terms, trained_backbone
from training.embedder.losses import EmbeddingLoss
from training.embedder.report import write_report
from training.embedder.steps import EmbeddingSteps
from training.embedder.training_set import TrainingSet, gather
from training.embedder.validation import accuracy, lfw_metrics, teacher_metrics
from training.embedder.weights import weights_to_start_from
from training.engine.checkpoints import CHECKPOINT
from training.engine.encoder_experiment import EmbedderExperiment, EncoderExperiment
from training.engine.learner import to_network
from training.engine.trainer import Metrics, RunPlan, fit
from training.evaluate.pairs import drawn_pairs
from training.export.card import write_card


@dataclass(frozen=True)
class EncoderTask(ABC):
    """An experiment that trains a similarity of pictures; see training.engine.task.Task.

    A subclass gives the learner and its encoder.
    """

    experiment: EncoderExperiment

    @abstractmethod
    def learner(self, data: TrainingSet) -> Any:
        """The network and the loss with their initial weights; learner.backbone is the network."""

    @abstractmethod
    def encoder(self, learner: Any) -> Encoder:
        """The encoder of a learner."""

    @abstractmethod
    def trained_encoder(self, runs_dir: Path) -> Encoder:
        """The encoder of a finished run. Raises ExperimentError where it is not finished."""

    @abstractmethod
    def trained(self, runs_dir: Path) -> nn.Module:
        """The network of a finished run, in evaluation mode. Raises ExperimentError where it is not finished."""

    def weights_to_start_from(self, runs_dir: Path) -> dict[str, Tensor] | None:  # noqa: ARG002 -- for subclasses
        """The weights of the network to start with, or None."""
        return None

    @property
    def card_kind(self) -> type[EmbedderCard]:
        """The class of its model card."""
        return EmbedderCard

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a crop."""
        backbone = self.experiment.backbone
        return backbone.input_px, backbone.input_px, backbone.channels

    @property
    def model_name(self) -> str:
        """Name of the exported file, without its suffix."""
        return self.experiment.name

    def gather(self, places: Places, *, measure_only: bool) -> TrainingSet:  # noqa: ARG002 -- both are read together
        """Read the crops, guard against leaks and split by person."""
        return gather(self.experiment, places)

    def fit(self, data: TrainingSet, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner.

        Raises ExperimentError where the network does not fit the crops, the teacher or the weights it starts from, and
        DataError where too few people are held out.
        """
        experiment = self.experiment
        refuse_misfits(experiment, data)
        torch.manual_seed(experiment.seed)
        learner = self.learner(data)
        if not (plan.run_dir / CHECKPOINT).is_file() and (weights := self.weights_to_start_from(runs_dir)) is not None:
            learner.backbone.load_state_dict(weights)
        steps = self.steps(data, fabric.global_rank, fabric.world_size)
        pairs = drawn_pairs(data.held_out.people)

        def validate(_learner: nn.Module) -> Metrics:
            return self.metrics(self.encoder(learner), data, pairs)

        return fit(learner, steps, experiment, plan, fabric, validate, data.digest)

    def steps(self, data: TrainingSet, rank: int = 0, world: int = 1) -> EmbeddingSteps:
        """The batches by step number."""
        return EmbeddingSteps(data, self.experiment, rank, world)

    def metrics(self, encoder: Encoder, data: TrainingSet, pairs: Pairs) -> Metrics:
        """The metrics of a validation: accuracy on pairs of held-out people and on LFW, and cosine to the teacher."""
        encodings = encoder.encode(data.held_out.images())
        held_out: Metrics = {"held_out_accuracy": accuracy(encoder, encodings, pairs)}
        return held_out | lfw_metrics(encoder, data) | teacher_metrics(encoder, data, encodings)

    def calibration_images(self, data: TrainingSet) -> list[np.ndarray]:
        """Clean training crops, drawn at random."""
        rows, wanted = data.train, self.experiment.calibration.crops
        chosen = np.random.default_rng(self.experiment.seed).choice(len(rows), min(wanted, len(rows)), replace=False)
        return [np.array(rows.crop(row)) for row in chosen]

    def ready_for_int8(self, network: nn.Module, images: list[np.ndarray]) -> nn.Module:
        """The network with channels of similar ranges, where it is our backbone."""
        if not isinstance(network, Backbone):
            return network
        return equalized(network, to_network(torch.from_numpy(np.stack(images))))

    def lineage(self) -> dict[str, object]:
        """The training data and the experiments before this one, for the card."""
        return lineage(self.experiment)

    def stages(self) -> list[str]:
        """The names of the experiments to fit, in order; the last is this one."""
        return stages(self.experiment)

    def export_command(self) -> str:
        """The command that makes the model of the finished run."""
        return f"limen-train export {self.experiment.name}"

    def terms(self) -> str:
        """The terms of use, for the card."""
        return terms(self.experiment)

    def description(self, data: TrainingSet) -> str:
        """How an encoding comes from the network, where it is not simply its output."""
        return "encoding: the mean of the outputs for a crop and for its mirror image" if data.of_faces else ""

    def card(self, basics: dict[str, Any], model: Path, data: TrainingSet) -> EmbedderCard:
        """The card of a model that is not yet measured, with the cohort that was made for it."""
        card = EmbedderCard(
            **basics,
            dimension=self.experiment.backbone.dimension,
            mirror=data.of_faces,
            impostors=Impostors(0, 0, 0, None, {}),
        )
        write_card(card, model)
        return msgspec.structs.replace(card, normalization=self.normalization(model, data))

    def normalization(self, model: Path, data: TrainingSet) -> Normalization | None:
        """Write the cohort of a model that has a card, and tell of it; None where there are too few training crops."""
        return write_cohort(Embedder(model), model, data.train, self.experiment)

    def evaluate(self, model: Path, data: TrainingSet) -> Evaluation:
        """Measure the int8 model on LFW, where the data has it, and on the held-out people."""
        return evaluate(Embedder(model), data)

    def parity(self, network: nn.Module, evaluation: Evaluation, data: TrainingSet) -> EmbedderParity:
        """Compare float with int8 on the same crops."""
        return parity(network, evaluation, data, mirror=data.of_faces)

    def complete_card(self, card: EmbedderCard, evaluation: Evaluation) -> EmbedderCard:
        """The card with the distances and the normalised scores between different people, and what is clear."""
        return msgspec.structs.replace(
            card,
            impostors=evaluation.impostors,
            normalization=evaluation.normalization,
            clarity=evaluation.clarity,
        )

    def write_report(self, card: EmbedderCard, evaluation: Evaluation, run_dir: Path) -> Path:
        """Write ROC, DET, histograms and tables as one HTML file."""
        return write_report(card, evaluation, run_dir)


@dataclass(frozen=True)
class EmbedderTask(EncoderTask):
    """An experiment that trains the encoding f(x)."""

    experiment: EmbedderExperiment

    def learner(self, data: TrainingSet) -> EmbeddingLearner:
        """The network and the loss with their initial weights."""
        experiment = self.experiment
        loss = EmbeddingLoss(
            experiment.loss,
            people=int(data.person_numbers.max()) + 1,
            dimension=experiment.backbone.dimension,
            has_teacher=data.train.teacher is not None,
        )
        return EmbeddingLearner(Backbone(experiment.backbone), loss)

    def encoder(self, learner: EmbeddingLearner) -> Encoder:
        """The encoder of a learner, for pictures of the size that its last batch had."""
        return Encoder(partial(encode_float, learner.backbone, px=learner.px), squared_distance)

    def trained_encoder(self, runs_dir: Path) -> Encoder:
        """The encoder of a finished run. Raises ExperimentError where it is not finished."""
        return Encoder(partial(encode_float, self.trained(runs_dir)), squared_distance)

    def trained(self, runs_dir: Path) -> Backbone:
        """The backbone of a finished run, in evaluation mode. Raises ExperimentError where it is not finished."""
        return trained_backbone(self.experiment, runs_dir)

    def weights_to_start_from(self, runs_dir: Path) -> dict[str, Tensor] | None:
        """The weights of start_from or from_weights, or None."""
        if self.experiment.start_from:
            return starting_weights(self.experiment, runs_dir)
        return weights_to_start_from(self.experiment) if self.experiment.from_weights else None


def refuse_misfits(experiment: EncoderExperiment, training_set: TrainingSet) -> None:
    """Raise ExperimentError where the network does not take the crops or has another dimension than the teacher."""
    backbone = experiment.backbone
    px, _, channels = training_set.train.crop(0).shape
    if (backbone.input_px, backbone.channels) != (px, channels):
        raise ExperimentError(
            f"experiment '{experiment.name}': crops are {px} px with {channels} channels, "
            f"not {backbone.input_px} px with {backbone.channels}"
        )
    teacher = training_set.train.teacher
    if teacher is not None and teacher.shape[1] != backbone.dimension:
        raise ExperimentError(
            f"experiment '{experiment.name}': the teacher's embeddings are {teacher.shape[1]}-D, "
            f"not {backbone.dimension}-D"
        )
