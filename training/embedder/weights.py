"""Float weights that outlast a run: one safetensors file in half precision, with what is known of them beside it.

Whoever fine-tunes, or goes on where a run folder was lost, starts from here; what ships is made from a finished run.
"""

import json
from pathlib import Path

import msgspec
import torch

from edge.errors import ExperimentError
from training.embedder.backbone import Backbone
from training.engine.experiment import EmbedderExperiment

WEIGHTS_DIR = Path(__file__).parent.parent / "weights"


def save_weights(backbone: Backbone, about: dict[str, object], path: Path) -> Path:
    """Write the backbone in half precision; about: lineage, terms and what else a card says, as JSON values."""
    from safetensors.torch import save_file

    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in backbone.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(state, partial, metadata={"about": json.dumps(about, sort_keys=True)})
    partial.replace(path)
    return path


def find_weights(name_or_path: str) -> Path:
    """The file of that path, or of that name in training/weights/. Raises ExperimentError that lists what ships."""
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        path = WEIGHTS_DIR / f"{name_or_path}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in WEIGHTS_DIR.glob("*.safetensors"))) or "none"
        raise ExperimentError(f"no weights '{name_or_path}': there is no file {path}; shipped are: {known}")
    return path


def read_weights(name_or_path: str) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """The float32 weights, and what is known of them. Raises ExperimentError that names a file that cannot be read."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no mapping
            about = json.loads(file.metadata()["about"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ExperimentError(f"weights {path} cannot be read: {error}") from error
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}, about


def weights_to_start_from(experiment: EmbedderExperiment) -> dict[str, torch.Tensor]:
    """The weights that the experiment starts from.

    Raises ExperimentError where they are of another backbone, or learned from people whom the experiment holds out.
    """
    name = str(experiment.from_weights)
    state, about = read_weights(name)
    if about["backbone"] != msgspec.to_builtins(experiment.backbone):
        raise ExperimentError(
            f"experiment '{experiment.name}' starts from weights '{name}' of another backbone: {about['backbone']}"
        )
    learned = about["data"]
    if learned["source"] == experiment.data.source:
        kept, keeps = learned.get("held_out_fraction", 0.0), experiment.data.held_out_fraction
        if keeps > kept:
            raise ExperimentError(
                f"experiment '{experiment.name}' holds out {keeps:g} of the people, but weights '{name}', which it "
                f"starts from, only {kept:g}: it would be measured on people it learned from"
            )
    return state
