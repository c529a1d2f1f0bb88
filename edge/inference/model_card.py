"""The model card: a model's identity, its origin, its terms of use, and the distances between non-mated samples.

`limen-train export` writes it beside the .tflite file; it is never edited by hand.
"""

import hashlib
import math
from itertools import pairwise
from pathlib import Path
from typing import TypeVar, overload

import msgspec

from edge.errors import ModelError
from edge.system.files import is_file


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The input of the graph."""

    width: int
    height: int
    channels: str  # "RGB" or "grey"
    dtype: str
    normalisation: str


class Impostors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The distances of non-mated comparisons: every pair of crops of two people who were held out from training.

    suspected_same_person: how many of the pairs a teacher takes for one person listed under two names; they count
    distance_at_fmr:       FMR, written as text, -> the d at or below which this share of the pairs lies; extrapolated
                           where the pairs cannot measure it (fewer than ten of them)
    """

    people: int
    crops: int
    pairs: int
    suspected_same_person: int | None
    distance_at_fmr: dict[str, float]

    def __post_init__(self) -> None:
        for share, distance in self.distance_at_fmr.items():
            if not (0 < float(share) <= 1 and 0 <= distance <= 4):
                raise ValueError(f"d {distance:g} at FMR {share}: expected d in [0, 4] and an FMR in (0, 1]")


class Normalization(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What normalises a comparison: see edge.core.thresholds. The cohort is a file beside the model.

    encodings:    how many the cohort has
    nearest:      how many of them are a neighbourhood
    typical:      mean and deviation of an ordinary neighbourhood: the medians over held-out people
    score_at_fmr: FMR, written as text, -> the score at or above which this share of the non-mated pairs lies
    """

    cohort_sha256: str
    encodings: int
    nearest: int
    typical: tuple[float, float]
    score_at_fmr: dict[str, float]

    def __post_init__(self) -> None:
        if not 0 < self.nearest <= self.encodings:
            raise ValueError(f"{self.nearest} nearest of a cohort of {self.encodings}")
        if any(not 0 < float(share) <= 1 for share in self.score_at_fmr):
            raise ValueError(f"score_at_fmr {sorted(self.score_at_fmr)}: expected FMRs in (0, 1]")

    def score_within(self, fmr: float) -> float:
        """Interpolate the score, with an FMR outside of the range of the card moved to its nearest end."""
        points = sorted((float(share), score) for share, score in self.score_at_fmr.items())
        return interpolated(points, min(max(fmr, points[0][0]), points[-1][0]))


class Clarity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the output of the network must be for a face to be clear enough.

    crops:       of held-out people, as a door camera sees them
    share_below: the share of them that is below length_min
    length_min:  Euclidean length of the output before it is brought to unit length
    """

    crops: int
    share_below: float
    length_min: float

    def __post_init__(self) -> None:
        if not self.length_min > 0:
            raise ValueError(f"length_min {self.length_min:g}: expected more than 0")


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that the cards of all kinds of models have; `read_card` reads a card of any kind as this one."""

    schema: int
    name: str
    sha256: str
    input: Input
    macs: int
    parameters: int
    bytes: int
    learned_from: dict[str, object]
    terms: str
    measured: dict[str, object]
    toolchain: dict[str, str]
    command: str

    @property
    def short_name(self) -> str:
        """The model, for people: name@sha."""
        return f"{self.name}@{self.sha256[:8]}"


class EmbedderCard(Card, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The card of an embedder.

    mirror: whether an encoding is the mean of the outputs for the crop and for its mirror image; the description in the
            file says it too, so that no such model has the sha256 of one whose encodings are others
    """

    dimension: int
    mirror: bool = False
    impostors: Impostors
    normalization: Normalization | None = None
    clarity: Clarity | None = None

    def tau_within(self, fmr: float) -> float:
        """Interpolate tau, with an FMR outside of the range of the card moved to its nearest end. See `tau`."""
        points = self._points()
        return self.tau(min(max(fmr, points[0][0]), points[-1][0]))

    @property
    def fmr_min(self) -> float:
        """The lowest FMR that the card has a tau for. Raises ModelError where it has none."""
        return self._points()[0][0]

    def tau(self, fmr: float) -> float:
        """Interpolate the match threshold tau at a false match rate.

        fmr: the share of non-mated comparisons whose distance is within tau. Returns d, in [0, 4], by straight lines
        between the points of the card, on log10(FMR). Raises ModelError where the FMR is outside of their range.
        """
        points = self._points()
        low, high = points[0][0], points[-1][0]
        if not low <= fmr <= high:
            raise ModelError(f"model {self.name}: the card has tau for FMR {low:g} to {high:g}, not for {fmr:g}")
        return interpolated(points, fmr)

    def _points(self) -> list[tuple[float, float]]:
        points = {float(share): distance for share, distance in self.impostors.distance_at_fmr.items()}
        if not points:
            raise ModelError(f"model {self.name}: its card has no distance at any FMR")
        return sorted(points.items())


class DetectorCard(Card, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The card of a detector.

    score_min: the default threshold of the score, chosen on pictures held out from training and from measuring
    nms_iou:   of two faces that overlap by more than this, the one with the better score is kept
    """

    score_min: float
    nms_iou: float


def interpolated(points: list[tuple[float, float]], fmr: float) -> float:
    """The value at an FMR within the range of the points, by straight lines between the points, on log10(FMR)."""
    for (low, near), (high, far) in pairwise(points):
        if fmr <= high:
            share = (math.log10(fmr) - math.log10(low)) / (math.log10(high) - math.log10(low))
            return near + share * (far - near)
    return points[-1][1]


def cohort_path(model: Path) -> Path:
    """The path of an embedder's cohort: beside the model."""
    return model.with_suffix(".cohort.npy")


def sha256_of(path: Path) -> str:
    """Compute the hex digest of a file's bytes. Raises ModelError where there is no such file."""
    if not is_file(path):
        raise ModelError(f"model {path} is missing")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card_path(model: Path) -> Path:
    """The path of a model's card: beside the model, as JSON."""
    return model.with_suffix(".json")


AnyCard = TypeVar("AnyCard", bound=Card)


@overload
def read_card(model: Path) -> Card: ...


@overload
def read_card(model: Path, kind: type[AnyCard]) -> AnyCard: ...


def read_card(model: Path, kind: type[Card] = Card) -> Card:
    """Read the card beside a model, and check it against the model's bytes.

    Raises ModelError where the model or the card is missing, where the card is malformed or is of another kind of
    model, and where it is the card of another file.
    """
    digest = sha256_of(model)
    path = card_path(model)
    if not is_file(path):
        raise ModelError(f"model {model} has no card {path.name} beside it")
    try:
        card = msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"model card {path} is not the card of {KINDS[kind]}: {error}") from error
    if card.sha256 != digest:
        raise ModelError(f"model card {path} is for {card.sha256[:12]}, but {model.name} is {digest[:12]}")
    return card


KINDS: dict[type[Card], str] = {Card: "a model", EmbedderCard: "an embedder", DetectorCard: "a detector"}
