"""A ladder: several ways to learn the same thing, each from several seeds, measured alike and told in one report."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import msgspec
import numpy as np

from edge.errors import ExperimentError
from edge.inference.embedder import Embedder
from training.embedder.evaluation import embed_all
from training.embedder.training_set import Places
from training.engine.experiment import (
    Count,
    EmbedderExperiment,
    EncoderExperiment,
    Experiment,
    Name,
    Value,
    load_experiment,
)
from training.engine.trainer import read_log
from training.engine.workspace import Machine, Workspace, task_of
from training.evaluate.rounding import rounded
from training.omniglot.character_set import Unseen, unseen
from training.omniglot.new_class_cost import Side, compare
from training.omniglot.one_shot import Encoder, found, squared_distance
from training.omniglot.protocols import WITHIN, Questions
from training.omniglot.trials import Trials, drawn_trials

LADDERS_DIR = Path(__file__).parent.parent / "ladders"
VALIDATION, UNSEEN, UNSEEN_INT8, CPU = "validation.json", "unseen.json", "unseen-int8.json", "cpu_seconds.json"
LOOKS = "looks.jsonl"


class Row(Value, kw_only=True):
    """One way to learn: an experiment, repeated with other seeds."""

    experiment: str
    label: str
    seeds: Count = 3


class Ladder(Value, kw_only=True):
    """Rows from the first idea to the best; classifier is the one that a newcomer is tried on."""

    name: Name
    classifier: str
    rows: tuple[Row, ...]
    trials: Count = 10_000
    newcomers: Count = 10
    newcomer_steps: Count = 100


def load_ladder(name_or_path: str) -> Ladder:
    """The ladder of that file, or of that name in training/ladders/; ExperimentError names what does not hold."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = LADDERS_DIR / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in LADDERS_DIR.glob("*.toml")))
        raise ExperimentError(f"no ladder '{name_or_path}': there is no file {path}; shipped are: {known}")
    try:
        ladder = msgspec.toml.decode(path.read_bytes(), type=Ladder)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: {error}") from error
    if not ladder.rows:
        raise ExperimentError(f"{path}: a ladder has rows")
    return ladder


def replicas(row: Row) -> list[EncoderExperiment]:
    """The row's experiment once for every seed; the first is the experiment itself, under its own name."""
    experiment = load_experiment(row.experiment)
    if not isinstance(experiment, EncoderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' learns no similarity: it cannot stand on a ladder")
    others = [
        msgspec.structs.replace(experiment, name=f"{experiment.name}-seed{number}", seed=experiment.seed + number)
        for number in range(1, row.seeds)
    ]
    return [experiment, *others]


@dataclass(frozen=True)
class Climb:
    """A ladder in its folders. Whatever it finds out is kept beside the run it is about, and not asked again."""

    ladder: Ladder
    workspace: Workspace
    machine: Machine

    def fit(self, row: Row) -> None:
        """Train every seed of a row to its end, and measure each on the held-out alphabets."""
        for experiment in replicas(row):
            before = cpu_seconds()
            if self.workspace.train(experiment, self.machine) is None:
                continue  # of several processes, the first alone goes on
            folder = self.workspace.run_dir(experiment)
            spent = (read_kept(folder / CPU, experiment) or {"seconds": 0.0})["seconds"]
            keep(folder / CPU, experiment, {"seconds": spent + cpu_seconds() - before})
            self.validation(experiment)

    def finished(self, row: Row) -> list[EncoderExperiment]:
        """The seeds of the row that are trained and measured on the held-out alphabets."""
        runs = self.workspace.runs_dir
        return [seed for seed in replicas(row) if read_kept(runs / seed.name / VALIDATION, seed) is not None]

    def validation(self, experiment: EncoderExperiment) -> float:
        """20-way one-shot accuracy within a held-out alphabet: what is chosen by."""
        path = self.workspace.run_dir(experiment) / VALIDATION
        if (kept := read_kept(path, experiment)) is None:
            drawings = self.workspace.gather(experiment).held_out_drawings
            trials = drawn_trials(drawings, self.ladder.trials, ways=20)
            encoder = task_of(experiment).trained_encoder(self.workspace.runs_dir)
            answers = found(encoder.encode(drawings.images), trials, encoder.distance)
            kept = keep(path, experiment, {"within": float(answers.mean())})
        return kept["within"]

    def chosen(self, rows: list[Row]) -> Row:
        """The row that can ship whose seeds do best on the held-out alphabets; the first where several tie."""
        can_ship = [row for row in rows if self.finished(row) and isinstance(replicas(row)[0], EmbedderExperiment)]
        if not can_ship:
            raise ExperimentError(f"ladder '{self.ladder.name}': no row that can ship is finished")
        return max(can_ship, key=lambda row: np.mean([self.validation(seed) for seed in self.finished(row)]))

    def unseen(self, experiment: EncoderExperiment) -> dict[str, float]:
        """Every protocol's accuracy; the first time it is one look at the test set, and is counted."""

        def look() -> dict[str, float]:
            encoder = task_of(experiment).trained_encoder(self.workspace.runs_dir)
            return self._ask(experiment, encoder, "float")

        return self._once(experiment, UNSEEN, look)

    def unseen_int8(self, experiment: EmbedderExperiment) -> dict[str, float]:
        """The same of the int8 model, through the code of the device."""

        def look() -> dict[str, float]:
            self.workspace.export(experiment, self.workspace.gather(experiment), None)
            return self._ask(experiment, self.shipped(experiment), "int8")

        return self._once(experiment, UNSEEN_INT8, look)

    def shipped(self, experiment: EmbedderExperiment) -> Encoder:
        """The exported model, as the device runs it."""
        embedder = Embedder(self.workspace.exported(experiment))
        return Encoder(partial(embed_all, embedder, what=experiment.name), squared_distance)

    def drawings(self, experiment: EncoderExperiment) -> Unseen:
        """The alphabets that nothing is learned or chosen from."""
        return unseen(experiment, self._places)

    def newcomer(self, chosen: EmbedderExperiment) -> dict[str, float]:
        """What character K + 1 costs the classifier, and what it costs the chosen encoding."""
        classifier = load_experiment(self.ladder.classifier)

        def tried() -> dict[str, float]:
            sides = [Side(experiment, self.workspace.gather(experiment)) for experiment in (classifier, chosen)]
            wanted = self.ladder.newcomers, self.ladder.newcomer_steps
            return asdict(compare(*sides, self.workspace.runs_dir, *wanted))

        return self._once(classifier, f"newcomer-{chosen.name}-{chosen.fingerprint()}.json", tried)

    def cpu_minutes(self, rows: list[Row]) -> float:
        """What training these rows took."""
        folders = [(self.workspace.runs_dir / seed.name, seed) for row in rows for seed in self.finished(row)]
        return sum((read_kept(folder / CPU, seed) or {"seconds": 0.0})["seconds"] for folder, seed in folders) / 60

    def looks(self) -> list[dict]:
        """Every look at the test set so far."""
        return read_log(self._looks)

    @property
    def _places(self) -> Places:
        return Places(self.workspace.data_dir, self.workspace.cache_dir)

    @property
    def _looks(self) -> Path:
        return self.workspace.runs_dir / f"{self.ladder.name}-{LOOKS}"

    def _ask(self, experiment: EncoderExperiment, encoder: Encoder, what: str) -> dict[str, float]:
        with self._looks.open("a") as looks:
            looks.write(json.dumps({"experiment": experiment.name, "model": what}) + "\n")
        return self._questions(experiment).ask(encoder)

    def within_trials(self, experiment: EncoderExperiment) -> Trials:
        """The random trials within an alphabet that every row was asked."""
        return self._questions(experiment).trials[WITHIN.key]

    def _questions(self, experiment: EncoderExperiment) -> Questions:
        any_seed = msgspec.structs.replace(experiment, name="any", seed=0)
        return questions(any_seed, self._places, self.ladder.trials)

    def _once(self, experiment: Experiment, name: str, find_out: Callable[[], dict[str, float]]) -> dict[str, float]:
        path = self.workspace.run_dir(experiment) / name
        if (kept := read_kept(path, experiment)) is None:
            kept = keep(path, experiment, find_out())
        return kept


@lru_cache(maxsize=1)
def questions(experiment: EncoderExperiment, places: Places, trials: int) -> Questions:
    """What every seed of an experiment is asked about the alphabets it never saw; drawn once for all of them."""
    drawings, runs = unseen(experiment, places)
    return Questions(drawings, runs, trials)


def cpu_seconds() -> float:
    """Of this process and of those it waited for."""
    return sum(os.times()[:4])


def read_kept(path: Path, experiment: Experiment) -> dict | None:
    """What was kept of this very experiment, or None."""
    if not path.is_file():
        return None
    kept = json.loads(path.read_text())
    return kept["values"] if kept["fingerprint"] == experiment.fingerprint() else None


def keep(path: Path, experiment: Experiment, values: dict) -> dict:
    """Write beside the run it is about, whole or not at all; answers what was written."""
    values = rounded(values)
    partial_file = path.with_suffix(".partial")
    partial_file.write_text(json.dumps({"fingerprint": experiment.fingerprint(), "values": values}, indent=2))
    partial_file.replace(path)
    return values
