"""The embedder's part of a training: its data, its network, and how good it is while it learns."""

from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from edge.errors import ExperimentError
from training.config import EmbedderExperiment, load_experiment
from training.data.crops import CROP_PX
from training.data.lfw import Pairs
from training.data.steps import EmbeddingSteps
from training.data.teacher import unit_length
from training.data.training_set import TrainingSet
from training.evaluate.pairs import drawn_pairs
from training.evaluate.verification import pair_distances, ten_fold_accuracy
from training.learner import EmbeddingLearner, to_network
from training.losses import EmbeddingLoss
from training.models.backbones import Backbone
from training.trainer import CHECKPOINT, RunPlan, fit, read_checkpoint


def fit_embedder(
    experiment: EmbedderExperiment, training_set: TrainingSet, plan: RunPlan, fabric: Fabric, runs_dir: Path
) -> nn.Module:
    """Train the experiment's embedder to its end and return the learner.

    Raises ExperimentError where the network does not fit the crops, the teacher or the run it starts from, and
    DataError where too few people are held out to measure on.
    """
    refuse_misfits(experiment, training_set)
    people = training_set.person_numbers
    torch.manual_seed(experiment.seed)
    learner = EmbeddingLearner(
        Backbone(experiment.backbone),
        EmbeddingLoss(
            experiment.loss,
            people=int(people.max()) + 1,
            dimension=experiment.backbone.dimension,
            has_teacher=training_set.train.teacher is not None,
        ),
    )
    if experiment.start_from and not (plan.run_dir / CHECKPOINT).is_file():
        learner.backbone.load_state_dict(starting_weights(experiment, runs_dir))
    steps = EmbeddingSteps(training_set.train, people, experiment, fabric.global_rank, fabric.world_size)
    watched = drawn_pairs(training_set.held_out.people)

    def validate(learner: nn.Module) -> dict[str, float]:
        return watch(learner.backbone, training_set, watched)

    return fit(learner, steps, experiment, plan, fabric, validate, training_set.digest)


def refuse_misfits(experiment: EmbedderExperiment, training_set: TrainingSet) -> None:
    """Raise ExperimentError where the network cannot take the crops or cannot give the teacher's answer."""
    backbone = experiment.backbone
    if (backbone.input_px, backbone.channels) != (CROP_PX, 3):
        raise ExperimentError(
            f"experiment '{experiment.name}': crops are {CROP_PX} px with 3 channels, "
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
    path = runs_dir / experiment.name / CHECKPOINT
    checkpoint = read_checkpoint(path, experiment)
    if checkpoint["step"] < experiment.steps:
        raise ExperimentError(
            f"run '{experiment.name}' is at step {checkpoint['step']} of {experiment.steps}: let fit finish it first"
        )
    prefix = "backbone."
    backbone = Backbone(experiment.backbone)
    backbone.load_state_dict(
        {name.removeprefix(prefix): value for name, value in checkpoint["module"].items() if name.startswith(prefix)}
    )
    return backbone.eval()


@torch.no_grad()
def embed_float(backbone: nn.Module, images: np.ndarray, batch_size: int = 128) -> np.ndarray:
    """(N, 112, 112, 3) uint8 RGB -> (N, D) float32 of unit length, by the network as trained."""
    device = next(backbone.parameters()).device
    rows = []
    for start in range(0, len(images), batch_size):
        batch = torch.from_numpy(np.array(images[start : start + batch_size])).to(device)
        rows.append(backbone(to_network(batch)).float().cpu().numpy())
    return unit_length(np.concatenate(rows))


def watch(backbone: nn.Module, training_set: TrainingSet, pairs: Pairs) -> dict[str, float]:
    """Accuracy on held-out people and on LFW, ten folds. For looking at: nothing is chosen by it."""
    distances = pair_distances(embed_float(backbone, training_set.held_out.images()), pairs)
    metrics = {"held_out_accuracy": round(ten_fold_accuracy(distances, pairs)[0], 5)}
    if training_set.lfw is not None:
        lfw = training_set.lfw
        distances = pair_distances(embed_float(backbone, lfw.images), lfw.pairs)
        metrics["lfw_accuracy"] = round(ten_fold_accuracy(distances, lfw.pairs)[0], 5)
    return metrics
