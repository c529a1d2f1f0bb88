"""The losses that make the encoding a similarity function.

Distances are d(x1, x2) = ||f(x1) - f(x2)||^2 on unit vectors. A new term is a function here, a line in
EmbeddingLoss.terms and a weight in training.engine.encoder_experiment.LossConfig.
"""

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, CosFaceLoss, TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ExperimentError
from training.engine.encoder_experiment import FROM_LABELS, FROM_TEACHER, LossConfig


def squared_distance() -> LpDistance:
    """The distance d, for the metric-learning library."""
    return LpDistance(normalize_embeddings=True, p=2, power=2)


def distill_cosine(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cos(student, teacher) over the batch; (B, D), (B, D) of unit length -> ()."""
    return (1 - (student * teacher).sum(dim=1)).mean()


def distill_relational(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of all cosines between two different crops; (B, D), (B, D) of unit length -> ().

    Distance-wise relational distillation (Park et al. 2019) on cosines: tau is a threshold on the distance between two
    crops, so the distances matter more than the positions.
    """
    difference = student @ student.T - teacher @ teacher.T  # (B, D) @ (D, B) -> (B, B); its diagonal is 0
    return difference.square().sum() / (len(student) * (len(student) - 1))


def distill_bank(student: Tensor, teacher: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """Mean KL divergence between the similarities of teacher and student to a bank; (B, D), (B, D), (M, D) -> ().

    The similarities are softmax(x . reference / temperature) over the teacher embeddings of the bank and of the batch,
    all of unit length. They tell how much a face resembles each of many others, which is more than its position
    (CompRess: Koohpayegani et al. 2020; SEED: Fang et al. 2021).
    """
    references = torch.cat([bank, teacher]).T / temperature  # (D, M + B)
    return functional.kl_div(
        functional.log_softmax(student @ references, dim=1),
        functional.log_softmax(teacher @ references, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def prototype(embeddings: Tensor, people: Tensor, scale: float) -> Tensor:
    """Cross-entropy of a softmax over -scale d(crop, prototype); (B, D) of unit length, (B,) int64 -> ().

    Prototypical networks (Snell, Swersky, Zemel 2017): the prototype of a person is the mean of their crops. Every crop
    is the query once, and is then left out of its own prototype, so a batch of P x K is B episodes in place of one. A
    person with one crop in the batch is a wrong answer, never a query.
    """
    members = functional.one_hot(torch.unique(people, return_inverse=True)[1]).to(embeddings)  # (B, P)
    counts = members.sum(dim=0)
    sums = members.T @ embeddings  # (P, B) @ (B, D) -> (P, D)
    distances = torch.cdist(embeddings, sums / counts[:, None]).square()  # (B, P)
    others = (members @ sums - embeddings) / (members @ counts - 1).clamp(min=1)[:, None]  # (B, D)
    own = (embeddings - others).square().sum(dim=1, keepdim=True)  # (B, 1)
    query = members @ counts > 1
    if not query.any():
        return embeddings.sum() * 0
    logits = -scale * torch.where(members > 0, own, distances)
    return functional.cross_entropy(logits[query], members[query].argmax(dim=1))


class EmbeddingLoss(nn.Module):
    """The weighted sum of the experiment's terms.

    Raises ExperimentError where a term needs labels or a teacher and the data has none.
    """

    def __init__(self, config: LossConfig, people: int, dimension: int, has_teacher: bool) -> None:
        super().__init__()
        self.config = config
        if any(getattr(config, term) for term in FROM_TEACHER) and not has_teacher:
            raise ExperimentError("the distillation losses need data.teacher")
        if people < 2 and any(getattr(config, term) for term in FROM_LABELS):
            raise ExperimentError(f"losses over people need two labelled people, got {people}")
        self.contrastive = ContrastiveLoss(
            pos_margin=0.0, neg_margin=config.contrastive_margin, distance=squared_distance()
        )
        # relu(d_ap - d_an + margin), Schroff et al. 2015; semi-hard: d_ap < d_an < d_ap + margin
        self.triplet = TripletMarginLoss(margin=config.triplet_margin, distance=squared_distance())
        self.semihard = TripletMarginMiner(
            margin=config.triplet_margin, type_of_triplets="semihard", distance=squared_distance()
        )
        self.margin_softmax = (
            CosFaceLoss(people, dimension, margin=config.softmax_margin, scale=config.softmax_scale)
            if config.margin_softmax
            else None
        )
        self.softmax = nn.Linear(dimension, people) if config.softmax else None

    def forward(
        self, embeddings: Tensor, people: Tensor, teacher: Tensor | None, bank: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the terms by name, and "total".

        embeddings: (B, D), raw; people: (B,) int64, -1 for unlabelled; teacher: (B, D) or None; bank: (M, D) or None
        """
        # Cosines in half precision are too coarse: the loss is float32, whatever the network ran in.
        with torch.autocast(embeddings.device.type, enabled=False):
            return self.terms(embeddings.float(), people, teacher, bank)

    def terms(self, raw: Tensor, people: Tensor, teacher: Tensor | None, bank: Tensor | None) -> dict[str, Tensor]:
        """Compute the terms and their sum in float32; shapes as in forward."""
        student = functional.normalize(raw)
        config = self.config
        terms: dict[str, tuple[float, Tensor]] = {}
        if teacher is not None and config.distill_cosine:
            terms["distill_cosine"] = config.distill_cosine, distill_cosine(student, teacher)
        if teacher is not None and config.distill_relational:
            terms["distill_relational"] = config.distill_relational, distill_relational(student, teacher)
        if teacher is not None and bank is not None and config.distill_bank:
            divergence = distill_bank(student, teacher, bank, config.bank_temperature)
            terms["distill_bank"] = config.distill_bank, divergence
        labelled = people >= 0
        known, labels = student[labelled], people[labelled]
        if not labelled.any():  # a term over no crop is 0, but it must be a function of the weights
            zero = student.sum() * 0 + sum(weights.sum() * 0 for weights in self.parameters())
            terms |= {name: (1.0, zero) for name in FROM_LABELS if getattr(config, name)}
            return self._sum(terms)
        if config.contrastive:
            terms["contrastive"] = config.contrastive, self.contrastive(known, labels)
        if config.triplet:
            terms["triplet"] = config.triplet, self.triplet(known, labels, self.semihard(known, labels))
        if self.margin_softmax is not None:
            terms["margin_softmax"] = config.margin_softmax, self.margin_softmax(known, labels)
        if self.softmax is not None:  # over the raw encoding, as in a plain classifier
            terms["softmax"] = config.softmax, functional.cross_entropy(self.softmax(raw[labelled]), labels)
        if config.prototype:
            terms["prototype"] = config.prototype, prototype(known, labels, config.prototype_scale)
        return self._sum(terms)

    @staticmethod
    def _sum(terms: dict[str, tuple[float, Tensor]]) -> dict[str, Tensor]:
        losses = {name: value for name, (_, value) in terms.items()}
        losses["total"] = torch.stack([weight * value for weight, value in terms.values()]).sum()
        return losses
