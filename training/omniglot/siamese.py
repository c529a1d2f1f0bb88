"""Koch's Siamese network as a task: it learns and is compared like an embedder, but does not ship."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edge.errors import ExperimentError
from training.embedder.losses import PairLoss
from training.embedder.task import EmbedderTask, answers_of
from training.embedder.training_set import TrainingSet
from training.engine.experiment import SiameseExperiment
from training.engine.learner import PairLearner
from training.engine.trainer import trained_weights
from training.omniglot.koch import KochNetwork
from training.omniglot.one_shot import Encoder


@dataclass(frozen=True)
class SiameseTask(EmbedderTask):
    """An experiment that learns a similarity of pairs; see training.task.Task."""

    experiment: SiameseExperiment

    def learner(self, data: TrainingSet | None = None) -> PairLearner:  # noqa: ARG002 -- pairs need no list of people
        """The network and the loss, as they start."""
        backbone = self.experiment.backbone
        return PairLearner(KochNetwork(backbone), PairLoss(backbone.dimension))

    def encoder(self, learner: PairLearner) -> Encoder:
        """What the learner has learned: sigmoids, compared by the weights it gave them."""
        return Encoder(partial(answers_of, learner.backbone), partial(unlikeness, learner.loss))

    def trained_encoder(self, runs_dir: Path) -> Encoder:
        """What a finished run has learned. Raises ExperimentError where it is not finished."""
        learner = self.learner()
        learner.load_state_dict(trained_weights(runs_dir / self.experiment.name, self.experiment, ""))
        return self.encoder(learner.eval())

    def trained(self, runs_dir: Path) -> nn.Module:  # noqa: ARG002 -- whatever the run, it cannot ship
        """Raise ExperimentError: what is exported is compared by d on the device, and this is not."""
        raise ExperimentError(
            f"experiment '{self.experiment.name}' learns Koch's similarity of pairs, which no device compares by: "
            "limen-train omniglot measures it"
        )


@torch.no_grad()
def unlikeness(loss: PairLoss, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(..., D), (..., D) -> (...), the negative logit of being the same."""
    with torch.autocast("cpu", enabled=False):
        return -loss.logits(torch.from_numpy(first), torch.from_numpy(second)).numpy()
