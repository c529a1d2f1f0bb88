"""The embedder as a task: its data, its network, how good it is while it learns, and what its card says."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from edge.errors import ExperimentError
from edge.inference.embedder import Embedder
from edge.inference.model_card import EmbedderCard, Impostors
from training.data.lfw import Pairs
from training.data.teacher import unit_length
from training.data.terms import DRAWN, OMNIGLOT, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS, YOUR_OWN
from training.embedder.backbone import Backbone
from training.embedder.evaluation import Evaluation, compared, evaluate
from training.embedder.losses import EmbeddingLoss
from training.embedder.steps import EmbeddingSteps, shrunk
from training.embedder.training_set import Places, TrainingSet, gather
from training.embedder.weights import read_weights, save_weights, weights_to_start_from
from training.engine.experiment import EmbedderExperiment, Experiment, load_experiment
from training.engine.learner import EmbeddingLearner, to_network
from training.engine.trainer import CHECKPOINT, RunPlan, fit, read_checkpoint, trained_weights
from training.evaluate.pairs import drawn_pairs
from training.evaluate.report import write_report
from training.evaluate.verification import ten_fold_accuracy
from training.omniglot.character_set import CharacterSet, gather_characters
from training.omniglot.one_shot import Encoder, found, squared_distance

TERMS_OF = {"generated": DRAWN, "drawn": DRAWN, "omniglot": OMNIGLOT}


@dataclass(frozen=True)
class EmbedderTask:
    """An experiment that learns the encoding f(x); see training.task.Task."""

    experiment: EmbedderExperiment
    card_kind: ClassVar[type[EmbedderCard]] = EmbedderCard

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a crop."""
        backbone = self.experiment.backbone
        return backbone.input_px, backbone.input_px, backbone.channels

    @property
    def model_name(self) -> str:
        """Of the exported file, without its ending."""
        return self.experiment.name

    def gather(self, places: Places, *, measure_only: bool) -> TrainingSet:  # noqa: ARG002 -- one reading serves both
        """Crops, guarded against leaks and split by person; or drawings, split by alphabet."""
        if self.experiment.data.source in ("omniglot", "drawn"):
            return gather_characters(self.experiment, places)
        return gather(self.experiment, places)

    def fit(self, data: TrainingSet, plan: RunPlan, fabric: Fabric, runs_dir: Path) -> nn.Module:
        """Train to the end and return the learner.

        Raises ExperimentError where the network does not fit the crops, the teacher or the run it starts from, and
        DataError where too few people are held out to measure on.
        """
        experiment = self.experiment
        refuse_misfits(experiment, data)
        torch.manual_seed(experiment.seed)
        learner = self.learner(data)
        if experiment.start_from and not (plan.run_dir / CHECKPOINT).is_file():
            learner.backbone.load_state_dict(starting_weights(experiment, runs_dir))
        elif experiment.from_weights and not (plan.run_dir / CHECKPOINT).is_file():
            learner.backbone.load_state_dict(weights_to_start_from(experiment))
        steps = EmbeddingSteps(data, experiment, fabric.global_rank, fabric.world_size)
        watched = drawn_pairs(data.held_out.people)

        def validate(learner: nn.Module) -> dict[str, float]:
            return watch(self.encoder(learner, learner.px), data, watched)

        return fit(learner, steps, experiment, plan, fabric, validate, data.digest)

    def learner(self, data: TrainingSet) -> nn.Module:
        """The network and the loss, as they start."""
        experiment = self.experiment
        loss = EmbeddingLoss(
            experiment.loss,
            people=int(data.person_numbers.max()) + 1,
            dimension=experiment.backbone.dimension,
            has_teacher=data.train.teacher is not None,
        )
        return EmbeddingLearner(Backbone(experiment.backbone), loss)

    def encoder(self, learner: nn.Module, px: int | None = None) -> Encoder:
        """What the learner has learned, of pictures shrunk to px where given: unit vectors, compared by d."""
        return Encoder(partial(embed_float, learner.backbone, px=px), squared_distance)

    def trained_encoder(self, runs_dir: Path) -> Encoder:
        """What a finished run has learned. Raises ExperimentError where it is not finished."""
        return Encoder(partial(embed_float, self.trained(runs_dir)), squared_distance)

    def trained(self, runs_dir: Path) -> Backbone:
        """The backbone of a finished run, at rest, on the CPU. Raises ExperimentError where it is not finished."""
        return trained_backbone(self.experiment, runs_dir)

    def calibration_images(self, data: TrainingSet) -> list[np.ndarray]:
        """Clean training crops, drawn at random."""
        rows, wanted = data.train, self.experiment.calibration.crops
        chosen = np.random.default_rng(self.experiment.seed).choice(len(rows), min(wanted, len(rows)), replace=False)
        return [np.array(rows.crop(row)) for row in chosen]

    def lineage(self) -> dict[str, object]:
        """What it learned from, and before it the experiment that it started from."""
        return lineage(self.experiment)

    def stages(self) -> list[str]:
        """The experiments to be fitted one after the other, the last is this one."""
        names, experiment = [], self.experiment
        while experiment is not None:
            names.insert(0, experiment.name)
            experiment = load_experiment(experiment.start_from) if experiment.start_from else None
        return names

    def export_command(self) -> str:
        """What makes the model of the finished run."""
        return f"limen-train export {self.experiment.name}"

    def terms(self) -> str:
        """The strictest of all that it learned from, the runs it started from included."""
        experiment: Experiment = self.experiment
        while True:
            if experiment.data.source == "packs" or experiment.data.teacher is not None:
                return RESEARCH_ONLY
            if getattr(experiment, "from_weights", None):
                return str(read_weights(experiment.from_weights)[1]["terms"])
            if not experiment.start_from:
                return TERMS_OF.get(experiment.data.source, YOUR_OWN)
            experiment = load_experiment(experiment.start_from)

    def card(self, basics: dict[str, object], _model: Path, _data: TrainingSet) -> EmbedderCard:
        """The card of a model just quantized; nothing is chosen by looking at it."""
        return EmbedderCard(
            **basics, dimension=self.experiment.backbone.dimension, impostors=Impostors(0, 0, 0, None, {})
        )

    def evaluate(self, model: Path, data: TrainingSet) -> Evaluation:
        """LFW where there is LFW, the held-out people, and strangers."""
        return evaluate(Embedder(model), data)

    def parity(self, network: nn.Module, evaluation: Evaluation, data: TrainingSet) -> "EmbedderParity":
        """Float against int8, on the same crops."""
        return parity(network, evaluation, data)

    def measured(self, card: EmbedderCard, evaluation: Evaluation) -> EmbedderCard:
        """The card with how far apart strangers are."""
        return msgspec.structs.replace(card, impostors=evaluation.impostors)

    def write_report(self, card: EmbedderCard, evaluation: Evaluation, run_dir: Path) -> Path:
        """ROC, DET, histograms and tables as one HTML file."""
        return write_report(card, evaluation, run_dir)


def lineage(experiment: EmbedderExperiment) -> dict[str, object]:
    """What the experiment learned from, and before it the one that it started from."""
    data = experiment.data
    return {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(),
        "images_seen": experiment.steps * experiment.batch_size,
        "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in data.packs} or data.source,
        "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
        "started_from": started_from(experiment),
    }


def started_from(experiment: EmbedderExperiment) -> dict[str, object] | None:
    """The lineage of what the experiment starts from, or None."""
    if experiment.start_from:
        return lineage(load_experiment(experiment.start_from))
    if getattr(experiment, "from_weights", None):
        return read_weights(experiment.from_weights)[1]["lineage"]
    return None


def write_weights(experiment: EmbedderExperiment, runs_dir: Path, path: Path) -> dict[str, object]:
    """Save the backbone of a run as it stands, finished or not, and answer what the file says of it."""
    checkpoint = read_checkpoint(runs_dir / experiment.name / CHECKPOINT, experiment)
    state = checkpoint["module"]
    backbone = Backbone(experiment.backbone)
    backbone.load_state_dict({k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")})
    about = {
        "backbone": msgspec.to_builtins(experiment.backbone),
        "data": msgspec.to_builtins(experiment.data),
        "lineage": lineage(experiment) | {"images_seen": checkpoint["step"] * experiment.batch_size},
        "processor_seconds": round(checkpoint["processor_seconds"]),
        "px": experiment.px_at(checkpoint["step"] - 1),
        "finished": checkpoint["step"] == experiment.steps,
        "terms": EmbedderTask(experiment).terms(),
    }
    save_weights(backbone, about, path)
    return about


def refuse_misfits(experiment: EmbedderExperiment, training_set: TrainingSet) -> None:
    """Raise ExperimentError where the network cannot take the crops or cannot give the teacher's answer."""
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
            f"experiment '{experiment.name}': the teacher answers {teacher.shape[1]}-D, not {backbone.dimension}-D"
        )


def starting_weights(experiment: EmbedderExperiment, runs_dir: Path) -> dict[str, torch.Tensor]:
    """The weights of the finished run that this experiment starts from."""
    parent = load_experiment(str(experiment.start_from))
    if not isinstance(parent, EmbedderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', which is no embedder")
    if parent.backbone != experiment.backbone:
        raise ExperimentError(f"experiment '{experiment.name}' starts from '{parent.name}', of another backbone")
    child_keeps, parent_kept = experiment.data.held_out_fraction, parent.data.held_out_fraction
    if parent.data.source == experiment.data.source and child_keeps > parent_kept:
        raise ExperimentError(
            f"experiment '{experiment.name}' holds out {child_keeps:g} of the people, but '{parent.name}', which it "
            f"starts from, only {parent_kept:g}: it would be measured on people it learned from"
        )
    return trained_backbone(parent, runs_dir).state_dict()


def trained_backbone(experiment: EmbedderExperiment, runs_dir: Path) -> Backbone:
    """The backbone of a finished run, at rest, on the CPU. Raises ExperimentError where the run is not finished."""
    backbone = Backbone(experiment.backbone)
    backbone.load_state_dict(trained_weights(runs_dir / experiment.name, experiment, "backbone."))
    return backbone.eval()


@torch.no_grad()
def answers_of(network: nn.Module, images: np.ndarray, batch_size: int = 128, px: int | None = None) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32, by the network as trained, of pictures shrunk to px where given."""
    device = next(network.parameters()).device
    rows = []
    for start in range(0, len(images), batch_size):
        pictures = [shrunk(image, px or image.shape[0]) for image in images[start : start + batch_size]]
        batch = torch.from_numpy(np.stack(pictures)).to(device)
        rows.append(network(to_network(batch)).float().cpu().numpy())
    return np.concatenate(rows)


def embed_float(backbone: nn.Module, images: np.ndarray, px: int | None = None) -> np.ndarray:
    """(N, H, W, C) uint8 -> (N, D) float32 of unit length, by the network as trained."""
    return unit_length(answers_of(backbone, images, px=px))


def watch(encoder: Encoder, training_set: TrainingSet, pairs: Pairs) -> dict[str, float]:
    """Accuracy on held-out people and on LFW, ten folds; of characters, of one-shot trials too. For looking at."""
    encodings = encoder.encode(training_set.held_out.images())
    distances = encoder.distance(encodings[pairs.first], encodings[pairs.second])
    metrics = {"held_out_accuracy": round(ten_fold_accuracy(distances, pairs)[0], 5)}
    if isinstance(training_set, CharacterSet):
        metrics["held_out_one_shot"] = round(float(found(encodings, training_set.trials, encoder.distance).mean()), 5)
    if training_set.lfw is not None:
        lfw = training_set.lfw
        encodings = encoder.encode(lfw.images)
        distances = encoder.distance(encodings[lfw.pairs.first], encodings[lfw.pairs.second])
        metrics["lfw_accuracy"] = round(ten_fold_accuracy(distances, lfw.pairs)[0], 5)
    return metrics


@dataclass(frozen=True)
class EmbedderParity:
    """Cosines between the float and the int8 encoding of the same crop, and accuracy of both on pairs (fractions)."""

    measured_on: str
    crops: int
    cosine_mean: float
    cosine_percentile_1: float
    cosine_min: float
    accuracy_float: float
    accuracy_int8: float

    def summary(self) -> str:
        """Half a sentence for people."""
        return f"int8 keeps a cosine of {self.cosine_mean:.4f} to float on {self.measured_on}"


def parity(backbone: nn.Module, shipped: Evaluation, training_set: TrainingSet) -> EmbedderParity:
    """Compare on LFW where there is LFW, else on the held-out people: never on calibration crops."""
    lfw = training_set.lfw
    images = training_set.held_out.images() if lfw is None else lfw.images
    int8 = shipped.held_out if shipped.lfw is None else shipped.lfw
    as_trained = embed_float(backbone, images)
    cosines = (as_trained * int8.embeddings).sum(axis=1)
    return EmbedderParity(
        measured_on="held-out people" if lfw is None else "LFW",
        crops=len(cosines),
        cosine_mean=float(cosines.mean()),
        cosine_percentile_1=float(np.percentile(cosines, 1)),
        cosine_min=float(cosines.min()),
        accuracy_float=compared(as_trained, int8.pairs).result.accuracy,
        accuracy_int8=int8.result.accuracy,
    )
