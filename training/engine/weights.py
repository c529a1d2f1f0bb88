"""Float weights that are kept after a run: one safetensors file in half precision, with its lineage in the metadata.

Fine-tuning starts from such a file, and so does a run whose folder is lost. What ships is made from a finished run.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from torch import Tensor, nn

from edge.errors import ExperimentError
from edge.inference.model_card import sha256_of
from training.engine.experiment import Experiment

WEIGHTS_DIR = Path(__file__).parent.parent / "weights"
About = dict[str, Any]  # what a file tells of its weights, as JSON values


def save_weights(network: nn.Module, about: About, path: Path) -> Path:
    """Write the network in half precision, with what is known of it. Raises ExperimentError where that fails."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    state = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        save_file(state, partial, metadata={"about": json.dumps(about, sort_keys=True)})
    except SafetensorError as error:
        partial.unlink(missing_ok=True)
        raise ExperimentError(f"weights {path} cannot be written: {error}") from error
    return partial.replace(path)


def find_weights(name_or_path: str) -> Path:
    """The file of that path, or of that name in training/weights/. Raises ExperimentError with the known names."""
    path = Path(name_or_path)
    if path.suffix != ".safetensors":
        path = WEIGHTS_DIR / f"{name_or_path}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in WEIGHTS_DIR.glob("*.safetensors"))) or "none"
        raise ExperimentError(f"no weights '{name_or_path}': there is no file {path}; known weights: {known}")
    return path


def digest_of_weights(experiment: Experiment) -> str | None:
    """The sha256 of the file that the experiment starts from, or None. Raises ExperimentError where it is missing."""
    name: str | None = getattr(experiment, "from_weights", None)
    return None if name is None else sha256_of(find_weights(name))


def read_weights(name_or_path: str) -> tuple[dict[str, Tensor], About]:
    """Read the weights as float32, with what the file tells of them. Raises ExperimentError where it cannot be read."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is not a mapping
            about = msgspec.json.decode(file.metadata()["about"], type=About)
    except (SafetensorError, OSError, KeyError, TypeError, msgspec.DecodeError) as error:
        raise ExperimentError(f"weights {path} cannot be read: {error}") from error
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}, about
