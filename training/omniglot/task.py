"""Encoders of handwritten characters as tasks of the engine: other data and metrics than for faces."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from edge.errors import ExperimentError
from training.data.lfw import Pairs
from training.data.places import Places
from training.embedder.encoder import Encoder, outputs_of
from training.embedder.task import EmbedderTask, EncoderTask
from training.embedder.training_set import TrainingSet
from training.embedder.validation import accuracy
from training.engine.checkpoints import trained_weights
from training.engine.encoder_experiment import OF_CHARACTERS, EmbedderExperiment, EncoderExperiment, SiameseExperiment
from training.engine.trainer import Metrics
from training.omniglot.character_set import CharacterSet, gather_characters
from training.omniglot.koch import KochNetwork, PairLearner, PairLoss, pair_distance
from training.omniglot.one_shot import correct
from training.omniglot.steps import CharacterSteps


def is_of_characters(experiment: EncoderExperiment) -> bool:
    """Whether the experiment's data are handwritten characters."""
    return experiment.data.source in OF_CHARACTERS


@dataclass(frozen=True)
class CharacterEncoderTask(EncoderTask):
    """An experiment that trains a similarity of characters; see training.engine.task.Task."""

    def gather(self, places: Places, *, measure_only: bool) -> CharacterSet:  # noqa: ARG002 -- both are read together
        """Read the drawings and split them by alphabet."""
        return gather_characters(self.experiment, places)

    def normalization(self, model: Path, data: TrainingSet) -> None:
        """No cohort: its groups are degraded and turned faces."""

    def steps(self, data: TrainingSet, rank: int = 0, world: int = 1) -> CharacterSteps:
        """The batches by step number."""
        return CharacterSteps(data, self.experiment, rank, world)

    def metrics(self, encoder: Encoder, data: CharacterSet, pairs: Pairs) -> Metrics:  # type: ignore[override]
        """The metrics of a validation: accuracy on pairs of held-out characters, and on one-shot trials."""
        encodings = encoder.encode(data.held_out.images())
        one_shot = float(correct(encodings, data.trials, encoder.distance).mean())
        return {"held_out_accuracy": accuracy(encoder, encodings, pairs), "held_out_one_shot": round(one_shot, 5)}


@dataclass(frozen=True)
class CharacterTask(CharacterEncoderTask, EmbedderTask):
    """An experiment that trains the encoding f(x) on characters."""

    experiment: EmbedderExperiment


@dataclass(frozen=True)
class SiameseTask(CharacterEncoderTask):
    """An experiment that trains Koch's similarity of pairs."""

    experiment: SiameseExperiment

    def learner(self, data: TrainingSet | None = None) -> PairLearner:  # noqa: ARG002 -- it needs no list of people
        """The network and the loss with their initial weights."""
        backbone = self.experiment.backbone
        return PairLearner(KochNetwork(backbone), PairLoss(backbone.dimension))

    def encoder(self, learner: PairLearner) -> Encoder:
        """The encoder of a learner: sigmoids, compared with the trained weights."""
        return Encoder(partial(outputs_of, learner.backbone), partial(pair_distance, learner.loss))

    def trained_encoder(self, runs_dir: Path) -> Encoder:
        """The encoder of a finished run. Raises ExperimentError where it is not finished."""
        learner = self.learner()
        learner.load_state_dict(trained_weights(runs_dir / self.experiment.name, self.experiment, ""))
        return self.encoder(learner.eval())

    def trained(self, runs_dir: Path) -> nn.Module:  # noqa: ARG002 -- no run of it can ship
        """Raise ExperimentError: a device compares encodings by d, and these are compared otherwise."""
        raise ExperimentError(
            f"experiment '{self.experiment.name}' trains Koch's similarity of pairs, which no device can compare by: "
            "evaluate it with limen-train omniglot"
        )


def character_task(experiment: EncoderExperiment) -> CharacterEncoderTask:
    """The task of an experiment on characters. Raises ExperimentError where its data are not characters."""
    if is_of_characters(experiment):
        if isinstance(experiment, SiameseExperiment):
            return SiameseTask(experiment)
        if isinstance(experiment, EmbedderExperiment):
            return CharacterTask(experiment)
    raise ExperimentError(f"experiment '{experiment.name}' does not train on handwritten characters")
