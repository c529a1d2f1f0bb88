"""Read an experiment from its TOML file."""

import difflib
from codecs import BOM_UTF8
from pathlib import Path
from typing import get_type_hints

import msgspec

from edge.errors import ExperimentError
from training.engine.detector_experiment import DetectorExperiment
from training.engine.encoder_experiment import EmbedderExperiment, SiameseExperiment
from training.engine.experiment import Experiment, Value

EXPERIMENTS_DIR = Path(__file__).parent.parent / "experiments"

# The key `task` of the file; a new kind of model adds a line here and one in training.cli.task_of.
TASKS: dict[str, type[Experiment]] = {
    "embedder": EmbedderExperiment,
    "siamese": SiameseExperiment,
    "detector": DetectorExperiment,
}


def load_experiment(name_or_path: str) -> Experiment:
    """Read the experiment of that file, or of that name in training/experiments/.

    Raises ExperimentError that names the file and the first bad key, with the nearest known key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = EXPERIMENTS_DIR / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in EXPERIMENTS_DIR.glob("*.toml")))
        raise ExperimentError(f"no experiment '{name_or_path}': there is no file {path}; known experiments: {known}")
    try:
        values = msgspec.toml.decode(path.read_bytes().removeprefix(BOM_UTF8), type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: {error}") from error
    task = values.pop("task", "embedder")
    if not isinstance(task, str) or task not in TASKS:
        raise ExperimentError(f"{path}: task '{task}' is unknown; known tasks: {', '.join(TASKS)}")
    try:
        return msgspec.convert(values, TASKS[task])
    except msgspec.ValidationError as error:
        raise ExperimentError(f"{path}: {error}{_nearest_key(str(error), TASKS[task])}") from error


def with_weights(experiment: Experiment, weights: str) -> EmbedderExperiment | DetectorExperiment:
    """The experiment, started from these weights. Raises ExperimentError where it is of a kind that cannot."""
    if not isinstance(experiment, EmbedderExperiment | DetectorExperiment):
        raise ExperimentError(
            f"experiment '{experiment.name}' is neither embedder nor detector: it starts from no weights"
        )
    return msgspec.structs.replace(experiment, start_from=None, from_weights=weights)


def _nearest_key(message: str, kind: type[Experiment]) -> str:
    """' (did you mean ...?)' where the message is about an unknown field."""
    if "unknown field" not in message:
        return ""
    wrong = message.split("`")[1]
    parts = [kind, *(part for part in get_type_hints(kind).values() if isinstance(part, type))]
    known = {field for part in parts if issubclass(part, Value) for field in part.__struct_fields__} | {"task"}
    near = difflib.get_close_matches(wrong, sorted(known), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""
