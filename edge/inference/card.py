"""The model card: what a shipped model is, came from, may be used for, and how far apart strangers are in it.

It is made by `limen-train export`, lies beside the .tflite file, and is never edited by hand.
"""

import hashlib
import math
from itertools import pairwise
from pathlib import Path

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


class EmbedderCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything known of a shipped embedder."""

    schema: int
    name: str
    sha256: str
    input: Input
    dimension: int
    macs: int
    parameters: int
    bytes: int
    learned_from: dict[str, object]
    terms: str
    measured: dict[str, object]
    impostors: Impostors
    toolchain: dict[str, str]
    command: str

    def tau(self, fmr: float) -> float:
        """The distance at which this share of comparisons between strangers would pass as the same person.

        Straight lines between the measured points, on log10(FMR). Raises ModelError outside of what was measured.
        """
        points = sorted((float(share), distance) for share, distance in self.impostors.distance_at_fmr.items())
        if not points or not points[0][0] <= fmr <= points[-1][0]:
            low, high = (points[0][0], points[-1][0]) if points else (0, 0)
            raise ModelError(f"model {self.name}: tau is measured for FMR {low:g} to {high:g}, not for {fmr:g}")
        for (low, near), (high, far) in pairwise(points):
            if fmr <= high:
                share = (math.log10(fmr) - math.log10(low)) / (math.log10(high) - math.log10(low))
                return near + share * (far - near)
        return points[-1][1]


def sha256_of(path: Path) -> str:
    """Hex digest of the file's bytes. Raises ModelError where there is no such file."""
    if not path.is_file():
        raise ModelError(f"model {path} is missing")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def card_path(model: Path) -> Path:
    """Where the card of a model lies: beside it, as JSON."""
    return model.with_suffix(".json")


def read_card(model: Path) -> EmbedderCard:
    """The card beside the model, checked against the model's bytes.

    Raises ModelError where either is missing, the card does not hold, or it is another file's card.
    """
    digest = sha256_of(model)
    path = card_path(model)
    if not path.is_file():
        raise ModelError(f"model {model} has no card {path.name} beside it")
    try:
        card = msgspec.json.decode(path.read_bytes(), type=EmbedderCard)
    except msgspec.DecodeError as error:
        raise ModelError(f"model card {path}: {error}") from error
    if card.sha256 != digest:
        raise ModelError(f"model card {path} is for {card.sha256[:12]}, but {model.name} is {digest[:12]}")
    return card
