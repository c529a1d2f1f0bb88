"""The kept weights that an embedder's experiment starts from."""

import msgspec
import torch
from torch import Tensor

from edge.errors import ExperimentError
from training.embedder.backbone import Backbone
from training.engine.encoder_experiment import BackboneConfig, EmbedderExperiment
from training.engine.layers import DenseBlock
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
    """The weights of the experiment's from_weights; blocks that they lack begin as the identity.

    Raises ExperimentError where they are of another backbone, or were trained on people whom the experiment holds out.
    """
    name = str(experiment.from_weights)
    state, about = read_weights(name)
    try:
        parsed = msgspec.convert(about, _About)
    except msgspec.ValidationError as error:
        raise ExperimentError(f"weights {name} are not an embedder's: {error}") from error
    if parsed.backbone != experiment.backbone and not can_grow(parsed.backbone, experiment.backbone):
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
    return state if parsed.backbone == experiment.backbone else grown(state, parsed.backbone, experiment.backbone)


def can_grow(small: BackboneConfig, large: BackboneConfig) -> bool:
    """Whether the large backbone is the small one with more dense blocks."""
    if large.block != "dense" or len(small.blocks) != len(large.blocks):
        return False
    more = all(few <= many for few, many in zip(small.blocks, large.blocks, strict=True))
    return more and msgspec.structs.replace(small, blocks=large.blocks) == large


def grown(state: dict[str, Tensor], small: BackboneConfig, large: BackboneConfig) -> dict[str, Tensor]:
    """The weights of the small backbone in the large one, which computes the same with them.

    The new blocks stand at the end of their stages. The scale of their last batch normalisation is 0, so that each is
    the identity at first (Goyal et al. 2017, section 5.1).
    """
    network = Backbone(large)
    before = list(Backbone(small).features.children())
    place = 0  # in the small backbone
    for layer in network.features.children():
        new = isinstance(layer, DenseBlock) and not isinstance(before[place], DenseBlock)
        with torch.no_grad():
            if new:
                layer.get_parameter("second.1.weight").zero_()
            else:
                prefix = f"features.{place}."
                layer.load_state_dict(
                    {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
                )
                place += 1
    rest = {key: value for key, value in state.items() if not key.startswith("features.")}
    network.load_state_dict(network.state_dict() | rest)
    return dict(network.state_dict())
