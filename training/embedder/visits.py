"""What a whole visit comes to: the device's own rules on tracks made of the pictures of people it never learned.

A visit is a track of samples, drawn in turn from a person's pictures but for the enrolled one, each degraded as at a
door. A household is some of the people by one picture each; all others are strangers to it.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from edge.core.gallery import Gallery
from edge.core.thresholds import Thresholds
from edge.core.track import Track, TrackRules
from edge.core.types import Face, Person, Quality, Sample, Template
from edge.inference.embedder import Embedder
from training.data.augment import door_camera
from training.data.crops import groups_of
from training.data.lfw import LfwPairs
from training.embedder.encoder import encode_on_device
from training.evaluate.rounding import rounded
from training.evaluate.shares import Share

RATE_DIGITS = 7
STRENGTH = 0.4  # of the degradations, as in training
SAMPLES = 12  # of a visit, `sample_every_seconds` apart
SAME_PICTURE = 3  # samples in a row are of one picture: as long as a pose lasts
PICTURES_MAX = 4  # of a visit
LOOKS_AT = (2, 3, 5, 9, 12)  # samples that are compared together, for the curve
HOUSEHOLDS = {1: (200, 25), 5: (60, 80), 20: (20, 200), 100: (5, 400)}  # people -> how many, strangers to each
NO_CROP = np.zeros((0, 0, 3), dtype=np.uint8)
NO_FACE = Face(np.zeros(4, np.float32), 1.0, np.zeros((5, 2), np.float32))
CLEAR = Quality(1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Visits:
    """templates: (P, D) float32, of each person's first picture; samples: (P, SAMPLES, D) float32, of their visit."""

    templates: np.ndarray
    samples: np.ndarray

    def __len__(self) -> int:
        return len(self.templates)


@dataclass(frozen=True)
class VisitRates:
    """The verdicts on the visits to households of that many people, each enrolled by one picture.

    fpir:        the rate that was set
    right_first: members whose first verdict is their name; right_last: whose last one is
    unknown:     members with a verdict of unknown at any time; wrong: with the name of somebody else
    changed:     members with more than one verdict
    named:       strangers who were named at any time
    samples_to_name: the median, of members who were named rightly at first
    """

    people: int
    fpir: float
    members: int
    right_first: int
    right_last: int
    unknown: int
    wrong: int
    changed: int
    strangers: int
    named: int
    samples_to_name: float | None

    def numbers(self) -> dict[str, object]:
        """Values for JSON, with the exact intervals of independent trials of the two errors."""
        missed = Share(self.members - self.right_last, self.members)
        return rounded(
            asdict(self)
            | {"fnir": missed.value, "fnir_interval": missed.interval}
            | {"fpir_measured": self.strangers_named.value, "fpir_interval": self.strangers_named.interval},
            RATE_DIGITS,
        )

    @property
    def strangers_named(self) -> Share:
        """The share of strangers' visits with a name: the false positive identification rate that was measured."""
        return Share(self.named, self.strangers)


def encoded_visits(embedder: Embedder, lfw: LfwPairs, seed: int = 0) -> Visits:
    """The visits of everybody in LFW of whom the pairs have two pictures or more."""
    people = groups_of(lfw.pack.read().names)
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(people == person) for person in np.unique(people)]
    several = [own for own in rows if len(own) > 1]

    def crops() -> Iterator[np.ndarray]:
        for own in several:
            yield lfw.images[own[0]]
            seen = own[1 : 1 + PICTURES_MAX]
            for number in range(SAMPLES):
                yield door_camera(lfw.images[seen[number // SAME_PICTURE % len(seen)]], rng, STRENGTH)

    encoded = encode_on_device(embedder, np.stack(list(crops())), "visits").reshape(len(several), 1 + SAMPLES, -1)
    return Visits(encoded[:, 0], encoded[:, 1:])


def visit_rates(visits: Visits, thresholds: Thresholds, people: int, fpir: float, seed: int = 0) -> VisitRates:
    """Play the visits of everybody of some households, drawn at random, and of some strangers to each."""
    rng = np.random.default_rng(seed)
    households, strangers = HOUSEHOLDS[people]
    told_members, told_strangers = [], []
    for _ in range(households):
        order = rng.permutation(len(visits))
        gallery = household(visits, thresholds, order[:people], fpir)
        told_members += [(str(member), told(visits.samples[member], gallery)) for member in order[:people]]
        told_strangers += [told(visits.samples[other], gallery) for other in order[people : people + strangers]]
    named = [(name, said) for name, said in told_members if said]
    return VisitRates(
        people=people,
        fpir=fpir,
        members=len(told_members),
        right_first=sum(said[0][0] == name for name, said in named),
        right_last=sum(said[-1][0] == name for name, said in named),
        unknown=sum(any(who is None for who, _ in said) for _, said in named),
        wrong=sum(any(who not in (name, None) for who, _ in said) for name, said in named),
        changed=sum(len(said) > 1 for _, said in named),
        strangers=len(told_strangers),
        named=sum(any(who is not None for who, _ in said) for said in told_strangers),
        samples_to_name=median_of([said[0][1] for name, said in named if said[0][0] == name]),
    )


@dataclass(frozen=True)
class TrackLeads:
    """How far within tau the visits to households of that many people come, for a curve over all thresholds.

    members: (M,) of each visit of a member, the most of its looks with the own template; strangers: (S,), with any
    """

    people: int
    members: np.ndarray
    strangers: np.ndarray


def track_leads(visits: Visits, thresholds: Thresholds, people: int, fmr: float, seed: int = 0) -> TrackLeads:
    """Compare the visits to the households of visit_rates with their templates, at the tau of an FMR."""
    rng = np.random.default_rng(seed)
    pooled = np.cumsum(visits.samples, axis=1)[:, [count - 1 for count in LOOKS_AT]]  # (P, K, D)
    pooled = pooled / np.maximum(np.linalg.norm(pooled, axis=-1, keepdims=True), 1e-9)
    around = thresholds.neighbourhoods(pooled.reshape(-1, pooled.shape[-1])).reshape(*pooled.shape[:2], 2)
    around_templates = thresholds.neighbourhoods(visits.templates)

    def leads(of: np.ndarray, templates: np.ndarray) -> np.ndarray:
        """(V,), (N,) people -> (V, N): the largest tau - d of the looks of each visit with each template."""
        distances = 2 - 2 * pooled[of] @ visits.templates[templates].T  # (V, K, D) @ (D, N) -> (V, K, N)
        taus = thresholds.taus(fmr, around[of][:, :, None], around_templates[templates][None, None])
        return np.asarray((taus - distances).max(axis=1))

    households, strangers = HOUSEHOLDS[people]
    orders = [rng.permutation(len(visits)) for _ in range(households)]
    return TrackLeads(
        people,
        np.concatenate([np.diagonal(leads(order[:people], order[:people])) for order in orders]),
        np.concatenate([leads(order[people : people + strangers], order[:people]).max(axis=1) for order in orders]),
    )


def median_of(counts: list[int]) -> float | None:
    """None of nothing."""
    return float(np.median(counts)) if counts else None


def household(visits: Visits, thresholds: Thresholds, members: np.ndarray, fpir: float) -> Gallery:
    """A gallery of these people."""
    gallery = Gallery("", thresholds, fpir)
    gallery.fill(
        [Person(str(member), str(member)) for member in members],
        [Template(str(member), str(member), visits.templates[member], "") for member in members],
    )
    return gallery


def told(samples: np.ndarray, gallery: Gallery) -> list[tuple[str | None, int]]:
    """(S, D) -> every verdict of the track in order, each with the number of samples until then."""
    rules = TrackRules()
    track, verdicts = Track(0, NO_FACE, 0.0, rules), []
    at = 0.0
    for number, embedding in enumerate(samples, 1):
        at += rules.sample_every_seconds
        if track.wants_sample(at):
            verdict = track.add(Sample(NO_CROP, embedding, CLEAR), CLEAR, at, gallery.identify)
            verdicts += [] if verdict is None else [(verdict.identity, number)]
    late = track.finish()
    return verdicts if late is None else [*verdicts, (late.identity, len(samples))]
