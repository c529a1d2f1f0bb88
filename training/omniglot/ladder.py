"""A ladder: several ways to train on the same data, each from several seeds, read from a TOML file."""

from pathlib import Path

import msgspec

from edge.errors import ExperimentError
from training.engine.encoder_experiment import EncoderExperiment
from training.engine.experiment import Count, Name, Value
from training.engine.experiment_files import load_experiment

LADDERS_DIR = Path(__file__).parent.parent / "ladders"


class Row(Value, frozen=True, kw_only=True):
    """One way to train: an experiment, repeated with other seeds."""

    experiment: str
    label: str
    seeds: Count = 3


class Ladder(Value, frozen=True, kw_only=True):
    """Rows from the simplest to the best.

    classifier:     the experiment whose cost of a new class is measured
    trials:         of each random protocol
    newcomers:      new classes to try
    newcomer_steps: steps of retraining for each
    """

    name: Name
    classifier: str
    rows: tuple[Row, ...]
    trials: Count = 10_000
    newcomers: Count = 10
    newcomer_steps: Count = 100


def load_ladder(name_or_path: str) -> Ladder:
    """Read the ladder of that file, or of that name in training/ladders/.

    Raises ExperimentError that names the file and the first bad key.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = LADDERS_DIR / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LADDERS_DIR.glob("*.toml")))
        raise ExperimentError(f"no ladder '{name_or_path}': there is no file {path}; known ladders: {known}")
    try:
        ladder = msgspec.toml.decode(path.read_bytes(), type=Ladder)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: {error}") from error
    if not ladder.rows:
        raise ExperimentError(f"{path}: the ladder has no rows")
    return ladder


def replicas(row: Row) -> list[EncoderExperiment]:
    """The row's experiment once for every seed; the first is the experiment itself, under its own name.

    Raises ExperimentError where the experiment is not an encoder.
    """
    experiment = load_experiment(row.experiment)
    if not isinstance(experiment, EncoderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' is not an encoder: it cannot be a row of a ladder")
    others = [
        msgspec.structs.replace(experiment, name=f"{experiment.name}-seed{number}", seed=experiment.seed + number)
        for number in range(1, row.seeds)
    ]
    return [experiment, *others]
