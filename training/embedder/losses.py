"""What makes the encoding a similarity function. Distances are d(x1, x2) = ||f(x1) - f(x2)||^2 on unit vectors."""

import torch
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import ContrastiveLoss, CosFaceLoss, TripletMarginLoss
from pytorch_metric_learning.miners import TripletMarginMiner
from torch import Tensor, nn
from torch.nn import functional

from edge.errors import ExperimentError
from training.engine.experiment import TERMS, LossConfig

FROM_TEACHER = ("distill_cosine", "distill_relational", "distill_bank")  # what needs no labels


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


def distill_bank(student: Tensor, teacher: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """Mean KL divergence of the student's likeness to a bank from the teacher's; (B, D), (B, D), (M, D) -> ().

    Likeness is softmax(x . bank / temperature) over the bank's and the batch's own teacher embeddings, all of unit
    length: whom else a face resembles, and how much, says more than where it lies (CompRess: Koohpayegani et al. 2020;
    SEED: Fang et al. 2021).
    """
    references = torch.cat([bank, teacher]).T / temperature  # (D, M + B)
    return functional.kl_div(
        functional.log_softmax(student @ references, dim=1),
        functional.log_softmax(teacher @ references, dim=1),
        reduction="batchmean",
        log_target=True,
    )


class PairLoss(nn.Module):
    """Is it the same? A weighted L1 distance under a sigmoid, and cross-entropy (Koch, Zemel, Salakhutdinov 2015)."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(dimension, 1)

    def logits(self, first: Tensor, second: Tensor) -> Tensor:
        """(..., D), (..., D) -> (...); above zero where more likely the same."""
        return self.weigh((first - second).abs()).squeeze(-1)

    def forward(self, encodings: Tensor) -> dict[str, Tensor]:
        """(2P, D), two of each person side by side -> the loss; P mated and P non-mated pairs, every crop in both."""
        with torch.autocast(encodings.device.type, enabled=False):
            first, second = encodings.float()[0::2], encodings.float()[1::2]
            logits = torch.stack([self.logits(first, second), self.logits(first, second.roll(1, 0))])
            same = torch.zeros_like(logits)
            same[0] = 1.0
            return {"total": functional.binary_cross_entropy_with_logits(logits, same)}


def prototype(embeddings: Tensor, people: Tensor, scale: float) -> Tensor:
    """Cross-entropy of a softmax over -scale d(crop, prototype); (B, D) of unit length, (B,) int64 -> ().

    Prototypical networks (Snell, Swersky, Zemel 2017): a person's prototype is the mean of their crops. Every crop is
    once the query, and then left out of its own prototype, so that a batch of P x K is B episodes in place of one.
    Whoever has one crop in the batch is a wrong answer, never a query.
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
    """The weighted sum of the terms an experiment asks for.

    Raises ExperimentError where a term wants labels or a teacher and there are none.
    """

    def __init__(self, config: LossConfig, people: int, dimension: int, has_teacher: bool) -> None:
        super().__init__()
        self.config = config
        if any(getattr(config, term) for term in FROM_TEACHER) and not has_teacher:
            raise ExperimentError("the distillation losses need data.teacher")
        if people < 2 and any(getattr(config, term) for term in TERMS if term not in FROM_TEACHER):
            raise ExperimentError(f"losses over people need two labelled people, got {people}")
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
        self.softmax = nn.Linear(dimension, people) if config.softmax else None

    def forward(
        self, embeddings: Tensor, people: Tensor, teacher: Tensor | None, bank: Tensor | None = None
    ) -> dict[str, Tensor]:
        """(B, D) raw, (B,) int64 with -1 for nobody known, (B, D) or None, (M, D) or None -> terms by name, "total"."""
        # Half-precision cosines are too coarse to compare: whatever the network ran in, the loss is float32.
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._terms(embeddings.float(), people, teacher, bank)

    def _terms(self, raw: Tensor, people: Tensor, teacher: Tensor | None, bank: Tensor | None) -> dict[str, Tensor]:
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
        known, who = student[labelled], people[labelled]
        if not labelled.any():  # a term over nobody is 0, but still a function of the weights
            nothing = student.sum() * 0 + sum(weights.sum() * 0 for weights in self.parameters())
            terms |= {name: (1.0, nothing) for name in TERMS if name not in FROM_TEACHER and getattr(config, name)}
            return self._weighted(terms)
        if config.contrastive:
            terms["contrastive"] = config.contrastive, self.contrastive(known, who)
        if config.triplet:
            terms["triplet"] = config.triplet, self.triplet(known, who, self.semihard(known, who))
        if self.margin_softmax is not None:
            terms["margin_softmax"] = config.margin_softmax, self.margin_softmax(known, who)
        if self.softmax is not None:  # over raw numbers, as a classifier is commonly taught
            terms["softmax"] = config.softmax, functional.cross_entropy(self.softmax(raw[labelled]), who)
        if config.prototype:
            terms["prototype"] = config.prototype, prototype(known, who, config.prototype_scale)
        return self._weighted(terms)

    @staticmethod
    def _weighted(terms: dict[str, tuple[float, Tensor]]) -> dict[str, Tensor]:
        losses = {name: value for name, (_, value) in terms.items()}
        losses["total"] = torch.stack([weight * value for weight, value in terms.values()]).sum()
        return losses
