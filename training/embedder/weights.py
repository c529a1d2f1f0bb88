"""The kept weights that an embedder's experiment starts from."""

import msgspec
from torch import Tensor

from edge.errors import ExperimentError
from training.engine.encoder_experiment import BackboneConfig, EmbedderExperiment
from training.engine.weights import About, read_weights


class _ToldData(msgspec.Struct, frozen=True):
    source: str
    held_out_fraction: float = 0.0


class _Told(msgspec.Struct, frozen=True):
    backbone: BackboneConfig
    data: _ToldData
    lineage: About
    terms: str


def weights_to_start_from(experiment: EmbedderExperiment) -> dict[str, Tensor]:
    """The weights of the experiment's from_weights.

    Raises ExperimentError where they are of another backbone, or were trained on people whom the experiment holds out.
    """
    name = str(experiment.from_weights)
    state, about = read_weights(name)
    try:
        told = msgspec.convert(about, _Told)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"weights {name} are not an embedder's: {error}") from error
    if told.backbone != experiment.backbone:
        raise ExperimentError(
            f"experiment '{experiment.name}' starts from weights '{name}' of another backbone: {about['backbone']}"
        )
    if told.data.source == experiment.data.source:
        held_before, held = told.data.held_out_fraction, experiment.data.held_out_fraction
        if held > held_before:
            raise ExperimentError(
                f"experiment '{experiment.name}' holds out {held:g} of the people, but weights '{name}', which it "
                f"starts from, only {held_before:g}: it would be evaluated on people it was trained on"
            )
    return state
