"""The oracles are loops that read like the papers."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import normalize

from edge.errors import ExperimentError
from training.embedder.losses import EmbeddingLoss
from training.engine.encoder_experiment import LossConfig

PEOPLE = torch.tensor([0, 0, 1, 1, 2, 2, -1])


@pytest.fixture
def raw():
    return torch.randn(7, 128, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def teacher():
    return normalize(torch.randn(7, 128, generator=torch.Generator().manual_seed(2)))


def d(a, b):
    return float(((a - b) ** 2).sum())


def terms(config, raw, teacher=None):
    return EmbeddingLoss(config, people=3, dimension=128, has_teacher=teacher is not None)(raw, PEOPLE, teacher)


def test_cosine_distillation(raw, teacher):
    losses = terms(LossConfig(distill_cosine=2.0), raw, teacher)
    by_hand = sum(1 - float(normalize(raw, dim=1)[i] @ teacher[i]) for i in range(7)) / 7
    assert float(losses["distill_cosine"]) == pytest.approx(by_hand, abs=1e-5)
    assert float(losses["total"]) == pytest.approx(2 * by_hand, abs=1e-5)


def test_relational_distillation(raw, teacher):
    unit = normalize(raw)
    by_hand = [
        (float(unit[i] @ unit[j]) - float(teacher[i] @ teacher[j])) ** 2 for i, j in itertools.permutations(range(7), 2)
    ]
    losses = terms(LossConfig(distill_relational=1.0), raw, teacher)
    assert float(losses["distill_relational"]) == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-6)


def test_bank_distillation_is_the_divergence_of_a_plain_loop(raw, teacher):
    bank = normalize(torch.randn(20, 128, generator=torch.Generator().manual_seed(3)))
    temperature = 0.2
    references = torch.cat([bank, teacher])
    by_hand = []
    for row in range(7):
        p = (references @ teacher[row] / temperature).softmax(dim=0)
        q = (references @ normalize(raw, dim=1)[row] / temperature).softmax(dim=0)
        by_hand.append(sum(float(p[i]) * (math.log(float(p[i])) - math.log(float(q[i]))) for i in range(27)))
    config = LossConfig(distill_bank=2.0, bank_temperature=temperature)
    loss = EmbeddingLoss(config, people=3, dimension=128, has_teacher=True)
    losses = loss(raw, PEOPLE, teacher, bank)
    assert float(losses["distill_bank"]) == pytest.approx(sum(by_hand) / 7, abs=1e-4)
    assert float(losses["total"]) == pytest.approx(2 * sum(by_hand) / 7, abs=1e-4)
    assert float(loss(3 * teacher, PEOPLE, teacher, bank)["distill_bank"]) == pytest.approx(0, abs=1e-5)


def test_a_student_equal_to_the_teacher_has_loss_0(teacher):
    losses = terms(LossConfig(distill_cosine=1.0, distill_relational=1.0), 3 * teacher, teacher)
    assert float(losses["total"]) == pytest.approx(0, abs=1e-6)


def test_contrastive_pulls_mated_pairs_and_pushes_others_to_the_margin_and_skips_the_unlabelled(raw):
    unit = normalize(raw)
    mated = [d(unit[i], unit[j]) for i, j in itertools.permutations(range(6), 2) if PEOPLE[i] == PEOPLE[j]]
    other = [1.9 - d(unit[i], unit[j]) for i, j in itertools.permutations(range(6), 2) if PEOPLE[i] != PEOPLE[j]]
    other = [gap for gap in other if gap > 0]  # the mean is over those still within the margin
    losses = terms(LossConfig(contrastive=1.0, contrastive_margin=1.9), raw)
    by_hand = sum(mated) / len(mated) + (sum(other) / len(other) if other else 0)
    assert float(losses["contrastive"]) == pytest.approx(by_hand, abs=1e-4)


def test_triplet_takes_the_semihard_negatives(raw):
    margin = 0.5
    unit = normalize(raw)
    gaps = []
    for anchor, positive, negative in itertools.permutations(range(6), 3):
        if PEOPLE[anchor] == PEOPLE[positive] != PEOPLE[negative]:
            d_ap, d_an = d(unit[anchor], unit[positive]), d(unit[anchor], unit[negative])
            if d_ap < d_an < d_ap + margin:
                gaps.append(d_ap - d_an + margin)
    assert gaps
    losses = terms(LossConfig(triplet=1.0, triplet_margin=margin), raw)
    assert float(losses["triplet"]) == pytest.approx(sum(gaps) / len(gaps), abs=1e-4)


def test_every_crop_is_once_the_query_and_not_in_its_own_prototype(raw):
    unit, scale = normalize(raw), 3.0
    people = torch.tensor([0, 0, 0, 1, 1, 2, -1])  # 2 has one crop: a wrong answer, never a query
    losses = []
    for query in range(5):
        logits = []
        for person in range(3):
            members = [i for i in range(6) if people[i] == person and i != query]
            logits.append(-scale * d(unit[query], unit[members].mean(dim=0)))
        probabilities = torch.tensor(logits).softmax(dim=0)
        losses.append(-float(probabilities[people[query]].log()))
    config = LossConfig(prototype=1.0, prototype_scale=scale)
    loss = EmbeddingLoss(config, people=3, dimension=128, has_teacher=False)
    assert float(loss(raw, people, None)["prototype"]) == pytest.approx(sum(losses) / 5, abs=1e-4)


def test_softmax_is_over_the_raw_numbers(raw):
    loss = EmbeddingLoss(LossConfig(softmax=1.0), people=3, dimension=128, has_teacher=False)
    weights, bias = loss.softmax.weight.detach(), loss.softmax.bias.detach()
    by_hand = [-float((weights @ raw[i] + bias).log_softmax(dim=0)[PEOPLE[i]]) for i in range(6)]
    assert float(loss(raw, PEOPLE, None)["softmax"]) == pytest.approx(sum(by_hand) / 6, abs=1e-5)


def test_margin_softmax_trains_its_own_weights(raw):
    loss = EmbeddingLoss(LossConfig(margin_softmax=1.0), people=3, dimension=128, has_teacher=False)
    loss(raw, PEOPLE, None)["total"].backward()
    (weights,) = loss.parameters()
    assert weights.grad is not None
    assert float(weights.grad.abs().sum()) > 0


def test_a_batch_without_labels_has_loss_0_and_still_reaches_the_weights(raw):
    loss = EmbeddingLoss(
        LossConfig(margin_softmax=1.0, triplet=1.0, prototype=1.0), people=3, dimension=128, has_teacher=False
    )
    losses = loss(raw, torch.full((7,), -1), None)
    assert losses["total"].item() == 0
    losses["total"].backward()
    (weights,) = loss.parameters()
    assert float(weights.grad.abs().sum()) == 0


def test_a_term_that_needs_a_teacher_or_labels_is_refused_without_them():
    with pytest.raises(ExperimentError, match=r"need data\.teacher"):
        EmbeddingLoss(LossConfig(distill_cosine=1.0), people=3, dimension=128, has_teacher=False)
    with pytest.raises(ExperimentError, match="need two labelled people, got 0"):
        EmbeddingLoss(LossConfig(triplet=1.0), people=0, dimension=128, has_teacher=False)
