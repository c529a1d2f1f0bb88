"""The evaluation of an int8 embedder, through edge.inference, so that it measures what the device runs."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np
from torch import nn

from edge.config import DecisionConfig
from edge.core.thresholds import OneThreshold
from edge.inference.cohort import read_cohort, thresholds_of
from edge.inference.embedder import Embedder
from edge.inference.model_card import Clarity, Impostors, Normalization
from training.data.lfw import Pairs
from training.embedder.clarity import ErrorAfterDiscard, measured_clarity
from training.embedder.conditions import GroupRate, Rules, UnderCondition, by_condition, by_group
from training.embedder.encoder import encode_float, encode_on_device
from training.embedder.nearest import NearPair, nearest_pairs
from training.embedder.training_set import TrainingSet
from training.embedder.visits import HOUSEHOLDS, TrackLeads, VisitRates, encoded_visits, track_leads, visit_rates
from training.evaluate.calibration import ImpostorTail, impostor_tail, impostors, quantiles
from training.evaluate.pairs import drawn_pairs
from training.evaluate.rounding import rounded
from training.evaluate.verification import Verification, pair_distances, verify_pairs

RATE_DIGITS = 7  # of rates down to 1e-5


@dataclass(frozen=True)
class Comparisons:
    """The distances of pairs, for the figures.

    embeddings: (N, D) float32 of unit length; the rows that the pairs refer to
    distances:  (P,) float32
    """

    pairs: Pairs
    embeddings: np.ndarray
    distances: np.ndarray
    result: Verification


@dataclass(frozen=True)
class Evaluation:
    """Verification on LFW, where the data has it, and on the held-out people; and the distances between people.

    fmr_shipped: the lowest FMR that was measured, or None
    conditions:  the mated pairs of LFW under each condition of a door camera, at fmr_shipped
    groups:      the rate of each group of people, at fmr_shipped
    nearest:     the nearest pairs of different held-out people
    clarity:     how long the output for a clear face is, or None
    discarded:   the error over all conditions after the least clear pairs were left out
    visits:      the verdicts on whole tracks of LFW people, at the rate that ships
    leads:       how far within tau those tracks come, at fmr_shipped
    """

    lfw: Comparisons | None
    held_out: Comparisons
    impostors: Impostors
    normalization: Normalization | None
    tail: ImpostorTail
    fmr_shipped: float | None
    conditions: list[UnderCondition]
    groups: list[GroupRate]
    nearest: list[NearPair]
    clarity: Clarity | None
    discarded: list[ErrorAfterDiscard]
    visits: list[VisitRates]
    leads: list[TrackLeads]

    def numbers(self) -> dict[str, Any]:
        """Values for JSON; fractions, not percent."""
        return {
            "lfw": None if self.lfw is None else rounded(asdict(self.lfw.result)),
            "held_out": rounded(asdict(self.held_out.result)),
            "fmr_shipped": self.fmr_shipped,
            "conditions": [rounded(asdict(condition), RATE_DIGITS) for condition in self.conditions],
            "groups": [rounded(asdict(group), RATE_DIGITS) for group in self.groups],
            "nearest_different_people": [pair.numbers() for pair in self.nearest],
            "error_after_discard": [rounded(asdict(point)) for point in self.discarded],
            "visits": [rates.numbers() for rates in self.visits],
        }


def evaluate(embedder: Embedder, training_set: TrainingSet, seed: int = 0) -> Evaluation:
    """Measure the model on the held-out data. Raises DataError where fewer than two people are held out."""
    held_out = training_set.held_out
    embeddings = encode_on_device(embedder, held_out.images(), "held-out people")
    tail = impostor_tail(embeddings, held_out.people)
    lfw = None
    if training_set.lfw is not None:
        lfw = compare(encode_on_device(embedder, training_set.lfw.images, "LFW"), training_set.lfw.pairs)
    different = impostors(tail, held_out.people, held_out.teacher)
    normalization = measured_normalization(embedder, embeddings, held_out.people)
    clarity = measured_clarity(embedder, training_set)
    card = msgspec.structs.replace(embedder.card, impostors=different, normalization=normalization)
    rules, visits, leads = None, list[VisitRates](), list[TrackLeads]()
    conditions, discarded = list[UnderCondition](), list[ErrorAfterDiscard]()
    if different.distance_at_fmr:
        rules = Rules(thresholds_of(embedder.model, card), OneThreshold(card.tau_within), card.fmr_min)
        rules = rules if clarity is None else replace(rules, length_min=clarity.length_min)
    if rules is not None and training_set.lfw is not None:
        conditions, discarded = by_condition(embedder, training_set.lfw, rules)
        played, fpir = encoded_visits(embedder, training_set.lfw), DecisionConfig().fpir
        households = [people for people in HOUSEHOLDS if people < len(played)]
        visits = [visit_rates(played, rules.shipped, people, fpir) for people in households]
        leads = [track_leads(played, rules.shipped, people, rules.fmr) for people in households]
    return Evaluation(
        lfw=lfw,
        held_out=compare(embeddings, drawn_pairs(held_out.people, seed=seed)),
        impostors=different,
        normalization=normalization,
        tail=tail,
        fmr_shipped=None if rules is None else rules.fmr,
        conditions=conditions,
        groups=[] if rules is None else by_group(embedder, training_set.set_aside, rules),
        nearest=nearest_pairs(embeddings, held_out),
        clarity=clarity,
        discarded=discarded,
        visits=visits,
        leads=leads,
    )


def measured_normalization(embedder: Embedder, embeddings: np.ndarray, people: np.ndarray) -> Normalization | None:
    """The normalization of the model's card with the scores between the held-out people; None without a cohort."""
    cohort, normalization = read_cohort(embedder.model, embedder.card), embedder.card.normalization
    if cohort is None or normalization is None:
        return None
    neighbourhoods = cohort.neighbourhoods(embeddings)
    tail = impostor_tail(embeddings, people, neighbourhoods=neighbourhoods)
    mean, deviation = (round(float(value), 4) for value in np.median(neighbourhoods, axis=0))
    scores = {fmr: -value for fmr, value in quantiles(tail).items()}
    return msgspec.structs.replace(normalization, typical=(mean, deviation), score_at_fmr=scores)


def compare(embeddings: np.ndarray, pairs: Pairs) -> Comparisons:
    """The distances of the pairs and the metrics that follow from them."""
    distances = pair_distances(embeddings, pairs)
    return Comparisons(pairs, embeddings, distances, verify_pairs(distances, pairs))


@dataclass(frozen=True)
class EmbedderParity:
    """Cosines between the float and the int8 encoding of the same crop, and the accuracy of both (fractions)."""

    measured_on: str
    crops: int
    cosine_mean: float
    cosine_percentile_1: float
    cosine_min: float
    accuracy_float: float
    accuracy_int8: float

    def summary(self) -> str:
        """Half a sentence for the terminal."""
        return f"int8 keeps a cosine of {self.cosine_mean:.4f} to float on {self.measured_on}"


def parity(backbone: nn.Module, shipped: Evaluation, training_set: TrainingSet, *, mirror: bool) -> EmbedderParity:
    """Compare float with int8 on LFW, or else on the held-out people; never on calibration crops."""
    lfw = training_set.lfw
    images = training_set.held_out.images() if lfw is None else lfw.images
    int8 = shipped.held_out if shipped.lfw is None else shipped.lfw
    as_trained = encode_float(backbone, images, mirror=mirror)
    cosines = (as_trained * int8.embeddings).sum(axis=1)
    return EmbedderParity(
        measured_on="held-out people" if lfw is None else "LFW",
        crops=len(cosines),
        cosine_mean=float(cosines.mean()),
        cosine_percentile_1=float(np.percentile(cosines, 1)),
        cosine_min=float(cosines.min()),
        accuracy_float=compare(as_trained, int8.pairs).result.accuracy,
        accuracy_int8=int8.result.accuracy,
    )
