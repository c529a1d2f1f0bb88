"""The kept weights that a detector's experiment starts from."""

from dataclasses import dataclass

import msgspec
from torch import Tensor

from edge.errors import ExperimentError
from training.engine.detector_experiment import DetectorConfig, DetectorExperiment, ScenesConfig
from training.engine.weights import About, read_weights


class _Told(msgspec.Struct, frozen=True):
    network: DetectorConfig
    data: ScenesConfig
    pasted_crops: dict[str, int]  # pack -> number of crops, in all runs before
    lineage: About
    terms: str


@dataclass(frozen=True)
class KeptWeights:
    """Weights of a detector by name, and what their file tells of them."""

    name: str
    state: dict[str, Tensor]
    told: _Told


def kept_weights(name: str) -> KeptWeights:
    """Read the weights of that name or path. Raises ExperimentError where the file does not tell what they are of."""
    state, about = read_weights(name)
    try:
        return KeptWeights(name, state, msgspec.convert(about, _Told))
    except msgspec.ValidationError as error:
        raise ExperimentError(f"weights {name} are not a detector's: {error}") from error


def weights_to_start_from(experiment: DetectorExperiment) -> dict[str, Tensor]:
    """The weights of the experiment's from_weights.

    Raises ExperimentError where they are of another network, or were trained on pictures that the experiment holds out.
    """
    kept = kept_weights(str(experiment.from_weights))
    if kept.told.network != experiment.network:
        raise ExperimentError(
            f"experiment '{experiment.name}' starts from weights '{kept.name}' of another network: {kept.told.network}"
        )
    held, held_before = experiment.data.held_out_fraction, kept.told.data.held_out_fraction
    if kept.told.data.source == experiment.data.source and held > held_before:
        raise ExperimentError(
            f"experiment '{experiment.name}' holds out {held:g} of the pictures, but weights '{kept.name}', which it "
            f"starts from, only {held_before:g}: it would be evaluated on pictures it was trained on"
        )
    return kept.state
