"""The model card: what a shipped model is, came from, may be used for, and how far apart strangers are in it.

It is made by `limen-train export`, lies beside the .tflite file, and is never edited by hand.
"""

import hashlib
import math
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec

from edge.errors import ModelError


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the graph takes."""

    width: int
    height: int
    channels: str  # "RGB" or "grey"
    dtype: str
    normalisation: str


class Impostors(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Distances between different people, from all cross-person pairs of people held out from training.

    suspected_same_person: how many of the pairs a teacher takes for one person listed under two names; they are in.
    distance_at_fmr: FMR, written as text, -> the d that this share of the pairs lies at or below.
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


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of every shipped model; read as this, the card of any kind will do."""

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


class EmbedderCard(Card, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything known of a shipped embedder."""

    dimension: int
    impostors: Impostors

    def tau_within(self, fmr: float) -> float:
        """As tau; below and above what was measured, the nearest that was."""
        points = self._points()
        return self.tau(min(max(fmr, points[0][0]), points[-1][0]))

    @property
    def fmr_min(self) -> float:
        """The lowest that tau is measured for. Raises ModelError where it is for none."""
        return self._points()[0][0]

    def tau(self, fmr: float) -> float:
        """The distance at which this share of comparisons between strangers would pass as the same person.

        Straight lines between the measured points, on log10(FMR). Raises ModelError outside of what was measured.
        """
        points = self._points()
        low, high = points[0][0], points[-1][0]
        if not low <= fmr <= high:
            raise ModelError(f"model {self.name}: tau is measured for FMR {low:g} to {high:g}, not for {fmr:g}")
        for (low, near), (high, far) in pairwise(points):
            if fmr <= high:
                share = (math.log10(fmr) - math.log10(low)) / (math.log10(high) - math.log10(low))
                return near + share * (far - near)
        return points[-1][1]

    def _points(self) -> list[tuple[float, float]]:
        points = {float(share): distance for share, distance in self.impostors.distance_at_fmr.items()}
        if not points:
            raise ModelError(f"model {self.name}: its card says of no FMR how far apart strangers are")
        return sorted(points.items())


class DetectorCard(Card, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything known of a shipped detector.

    score_min: the default threshold, chosen on pictures held out from training and from measuring.
    nms_iou:   of two faces that overlap by more than this, the one with the better score is kept.
    """

    score_min: float
    nms_iou: float


def sha256_of(path: Path) -> str:
    """Hex digest of the file's bytes. Raises ModelError where there is no such file."""
    if not path.is_file():
        raise ModelError(f"model {path} is missing")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card_path(model: Path) -> Path:
    """Where the card of a model lies: beside it, as JSON."""
    return model.with_suffix(".json")


AnyCard = TypeVar("AnyCard", bound=Card)


def read_card(model: Path, kind: type[AnyCard] = Card) -> AnyCard:
    """The card beside the model, checked against the model's bytes.

    Raises ModelError where either is missing, the card does not hold or is of another kind of model, or it is another
    file's card.
    """
    digest = sha256_of(model)
    path = card_path(model)
    if not path.is_file():
        raise ModelError(f"model {model} has no card {path.name} beside it")
    try:
        card = msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(f"model card {path} does not hold for {KINDS[kind]}: {error}") from error
    if card.sha256 != digest:
        raise ModelError(f"model card {path} is for {card.sha256[:12]}, but {model.name} is {digest[:12]}")
    return card


KINDS: dict[type[Card], str] = {Card: "a model", EmbedderCard: "an embedder", DetectorCard: "a detector"}
