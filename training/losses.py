"""What makes the encoding a similarity function. Distances are d(x1, x2) = ||f(x1) - f(x2)||^2 on unit vectors."""

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, CosFaceLoss, TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ExperimentError
from training.config import LossConfig


def squared_distance() -> LpDistance:
    """d of the whole project, for the metric-learning library."""
    return LpDistance(normalize_embeddings=True, p=2, power=2)


def distill_cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cos(f(x), t(x)) over the batch; (B, D), (B, D) of unit length -> ()."""
    return (1 - (student * teacher).sum(dim=1)).mean()


def distill_relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of all cosines between two different crops; (B, D), (B, D) of unit length -> ().

    Distance-wise relational distillation (Park et al. 2019) on cosines: what a threshold is later laid on is the
    distance between two crops, not where in space the crops lie.
    """
    difference = student @ student.T - teacher @ teacher.T  # (B, D) @ (D, B) -> (B, B); its diagonal is 0
    return difference.square().sum() / (len(student) * (len(student) - 1))


class EmbeddingLoss(nn.Module):
    """The weighted sum of the terms an experiment asks for.

    Raises ExperimentError where a term wants labels or a teacher and there are none.
    """

    def __init__(self, config: LossConfig, people: int, dimension: int, has_teacher: bool) -> None:
        super().__init__()
        self.config = config
        if (config.distill_cosine or config.distill_relational) and not has_teacher:
            raise ExperimentError("the distillation losses need data.teacher")
        if (config.contrastive or config.triplet or config.margin_softmax) and people < 2:
            raise ExperimentError(f"the contrastive, triplet and softmax losses need two labelled people, got {people}")
        self.contrastive = ContrastiveLoss(
            pos_margin=0.0, neg_margin=config.contrastive_margin, distance=squared_distance()
        )
        # relu(d_ap - d_an + margin), Schroff et al. 2015; semi-hard: the negative is farther, but within the margin
        self.triplet = TripletMarginLoss(margin=config.triplet_margin, distance=squared_distance())
        self.semihard = TripletMarginMiner(
            margin=config.triplet_margin, type_of_triplets="semihard", distance=squared_distance()
        )
        self.margin_softmax = (
            CosFaceLoss(people, dimension, margin=config.softmax_margin, scale=config.softmax_scale)
            if config.margin_softmax
            else None
        )

    def forward(self, embeddings: Tensor, people: Tensor, teacher: Tensor | None) -> dict[str, Tensor]:
        """(B, D) raw, (B,) int64 with -1 for nobody known, (B, D) or None -> every term by name, and "total"."""
        # Half-precision cosines are too coarse to compare: whatever the network ran in, the loss is float32.
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._terms(functional.normalize(embeddings.float()), people, teacher)

    def _terms(self, student: Tensor, people: Tensor, teacher: Tensor | None) -> dict[str, Tensor]:
        config = self.config
        terms: dict[str, tuple[float, Tensor]] = {}
        if teacher is not None and config.distill_cosine:
            terms["distill_cosine"] = config.distill_cosine, distill_cosine(student, teacher)
        if teacher is not None and config.distill_relational:
            terms["distill_relational"] = config.distill_relational, distill_relational(student, teacher)
        labelled = people >= 0
        known, who = student[labelled], people[labelled]
        if not labelled.any():  # a term over nobody is 0, but still a function of the weights
            nothing = student.sum() * 0 + sum(weights.sum() * 0 for weights in self.parameters())
            terms |= {
                name: (1.0, nothing) for name in ("contrastive", "triplet", "margin_softmax") if getattr(config, name)
            }
            return self._weighted(terms)
        if config.contrastive:
            terms["contrastive"] = config.contrastive, self.contrastive(known, who)
        if config.triplet:
            terms["triplet"] = config.triplet, self.triplet(known, who, self.semihard(known, who))
        if self.margin_softmax is not None:
            terms["margin_softmax"] = config.margin_softmax, self.margin_softmax(known, who)
        return self._weighted(terms)

    @staticmethod
    def _weighted(terms: dict[str, tuple[float, Tensor]]) -> dict[str, Tensor]:
        losses = {name: value for name, (_, value) in terms.items()}
        losses["total"] = torch.stack([weight * value for weight, value in terms.values()]).sum()
        return losses
