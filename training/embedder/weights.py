"""The kept weights that an embedder's experiment starts from."""

import msgspec
from torch import Tensor

from edge.errors import ExperimentError
from training.engine.encoder_experiment import BackboneConfig, EmbedderExperiment
from training.engine.weights import About, read_weights


class _AboutData(msgspec.Struct, frozen=True):
    source: str
    held_out_fraction: float = 0.0


class _About(msgspec.Struct, frozen=True):
    backbone: BackboneConfig
    data: _AboutData
    lineage: About
    terms: str


def weights_to_start_from(experiment: EmbedderExperiment) -> dict[str, Tensor]:
    """The weights of the experiment's from_weights.

    Raises ExperimentError where they are of another backbone, or were trained on people whom the experiment holds out.
    """
    name = str(experiment.from_weights)
    state, about = read_weights(name)
    try:
        parsed = msgspec.convert(about, _About)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"weights {name} are not an embedder's: {error}") from error
    if parsed.backbone != experiment.backbone:
        raise ExperimentError(
            f"experiment '{experiment.name}' starts from weights '{name}' of another backbone: {about['backbone']}"
        )
    if parsed.data.source == experiment.data.source:
        held_before, held = parsed.data.held_out_fraction, experiment.data.held_out_fraction
        if held > held_before:
            raise ExperimentError(
                f"experiment '{experiment.name}' holds out {held:g} of the people, but weights '{name}', which it "
                f"starts from, only {held_before:g}: it would be evaluated on people it was trained on"
            )
    return state
