"""Train, choose and test the rows of a ladder. Every result is stored beside its run and is not computed again."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge.errors import ExperimentError
from edge.inference.embedder import Embedder
from training.embedder.encoder import Encoder, encode_on_device, squared_distance
from training.engine.encoder_experiment import EmbedderExperiment, EncoderExperiment
from training.engine.experiment_files import load_experiment
from training.engine.machine import Machine
from training.engine.run_log import Line, read_log
from training.engine.workspace import Workspace
from training.export.export import export
from training.omniglot.character_set import CharacterSet, EvaluationSet, read_evaluation_set
from training.omniglot.ladder import Ladder, Row, replicas
from training.omniglot.new_class_cost import Side, compare
from training.omniglot.one_shot import correct
from training.omniglot.protocols import WITHIN, OneShotTest
from training.omniglot.stored_results import read_result, store_result
from training.omniglot.task import character_task
from training.omniglot.trials import Trials, drawn_trials

VALIDATION, TEST, TEST_INT8, CPU = "validation.json", "test.json", "test-int8.json", "cpu_seconds.json"
TEST_EVALUATIONS = "test-evaluations.jsonl"


@dataclass(frozen=True)
class LadderRun:
    """A ladder with the folders and the machine to run it."""

    ladder: Ladder
    workspace: Workspace
    machine: Machine
    _one_shot_tests: dict[str, OneShotTest] = field(default_factory=dict, repr=False, compare=False)

    def fit(self, row: Row) -> None:
        """Train every seed of a row to its end, and measure each on the held-out alphabets."""
        for experiment in replicas(row):
            before = cpu_seconds()
            if self.workspace.train(character_task(experiment), self.machine) is None:
                continue  # of several processes only the first continues
            path = self.workspace.run_dir(experiment) / CPU
            spent = (read_result(path, experiment) or {"seconds": 0.0})["seconds"]
            store_result(path, experiment, {"seconds": spent + cpu_seconds() - before})
            self.validation(experiment)

    def finished(self, row: Row) -> list[EncoderExperiment]:
        """The seeds of the row that are trained, and measured on the held-out alphabets."""
        runs = self.workspace.runs_dir
        return [seed for seed in replicas(row) if read_result(runs / seed.name / VALIDATION, seed) is not None]

    def data(self, experiment: EncoderExperiment) -> CharacterSet:
        """The training and held-out alphabets."""
        return character_task(experiment).gather(self.workspace.places, measure_only=False)

    def validation(self, experiment: EncoderExperiment) -> float:
        """20-way one-shot accuracy within a held-out alphabet: the criterion of the choice."""

        def measure() -> dict[str, float]:
            drawings = self.data(experiment).held_out_drawings
            trials = drawn_trials(drawings, self.ladder.trials, ways=20)
            encoder = character_task(experiment).trained_encoder(self.workspace.runs_dir)
            return {"within": float(correct(encoder.encode(drawings.images), trials, encoder.distance).mean())}

        return float(self._once(experiment, VALIDATION, measure)["within"])

    def chosen(self, rows: list[Row]) -> Row:
        """The row with the best mean over its seeds on the held-out alphabets, among those that can ship.

        Raises ExperimentError where no such row is finished.
        """
        can_ship = [row for row in rows if self.finished(row) and isinstance(replicas(row)[0], EmbedderExperiment)]
        if not can_ship:
            raise ExperimentError(f"ladder '{self.ladder.name}': no row that can ship is finished")
        return max(can_ship, key=lambda row: float(np.mean([self.validation(seed) for seed in self.finished(row)])))

    def test(self, experiment: EncoderExperiment) -> dict[str, float]:
        """The accuracy of every protocol; the first call evaluates the test set, and is counted."""

        def evaluate() -> dict[str, float]:
            encoder = character_task(experiment).trained_encoder(self.workspace.runs_dir)
            return self._evaluate_test_set(experiment, encoder, "float")

        return self._once(experiment, TEST, evaluate)

    def test_int8(self, experiment: EmbedderExperiment) -> dict[str, float]:
        """The same with the int8 model, through the code of the device."""

        def evaluate() -> dict[str, float]:
            export(character_task(experiment), self.data(experiment), self.workspace.runs_dir, None)
            return self._evaluate_test_set(experiment, self.int8_encoder(experiment), "int8")

        return self._once(experiment, TEST_INT8, evaluate)

    def int8_encoder(self, experiment: EmbedderExperiment) -> Encoder:
        """The exported model, through the code of the device."""
        embedder = Embedder(self.workspace.exported_model(experiment))
        return Encoder(partial(encode_on_device, embedder, what=experiment.name), squared_distance)

    def evaluation_set(self, experiment: EncoderExperiment) -> EvaluationSet:
        """The test set, in the form that the experiment's network takes."""
        return read_evaluation_set(experiment, self.workspace.places)

    def new_class_cost(self, chosen: EmbedderExperiment) -> dict[str, float]:
        """The cost of a new class for the ladder's classifier and for the chosen encoding."""
        classifier = load_experiment(self.ladder.classifier)
        if not isinstance(classifier, EmbedderExperiment):
            raise ExperimentError(f"ladder '{self.ladder.name}': '{classifier.name}' is not a classifier")

        def measure() -> dict[str, float]:
            sides = [Side(experiment, self.data(experiment)) for experiment in (classifier, chosen)]
            count, steps = self.ladder.newcomers, self.ladder.newcomer_steps
            return asdict(compare(sides[0], sides[1], self.workspace.runs_dir, count, steps))

        return self._once(classifier, f"new-class-cost-{chosen.name}-{chosen.fingerprint()}.json", measure)

    def cpu_minutes(self, rows: list[Row]) -> float:
        """The processor time that these rows took to train."""
        results = [
            read_result(self.workspace.runs_dir / seed.name / CPU, seed) for row in rows for seed in self.finished(row)
        ]
        return sum(float(result["seconds"]) for result in results if result is not None) / 60

    def test_evaluations(self) -> list[Line]:
        """Every evaluation of the test set so far."""
        return read_log(self._test_evaluations)

    def within_trials(self, experiment: EncoderExperiment) -> Trials:
        """The random trials within an alphabet that every row got."""
        return self._one_shot_test(experiment).trials[WITHIN.key]

    @property
    def _test_evaluations(self) -> Path:
        return self.workspace.runs_dir / f"{self.ladder.name}-{TEST_EVALUATIONS}"

    def _evaluate_test_set(self, experiment: EncoderExperiment, encoder: Encoder, model: str) -> dict[str, float]:
        with self._test_evaluations.open("a") as file:
            file.write(json.dumps({"experiment": experiment.name, "model": model}) + "\n")
        return self._one_shot_test(experiment).evaluate(encoder)

    def _one_shot_test(self, experiment: EncoderExperiment) -> OneShotTest:
        any_seed = msgspec.structs.replace(experiment, name="any", seed=0).fingerprint()
        if any_seed not in self._one_shot_tests:
            self._one_shot_tests.clear()  # the rows come one after the other, and each test has every drawing
            drawings, runs = self.evaluation_set(experiment)
            self._one_shot_tests[any_seed] = OneShotTest(drawings, runs, self.ladder.trials)
        return self._one_shot_tests[any_seed]

    def _once(
        self, experiment: EncoderExperiment, name: str, measure: Callable[[], dict[str, float]]
    ) -> dict[str, Any]:
        path = self.workspace.run_dir(experiment) / name
        stored = read_result(path, experiment)
        return store_result(path, experiment, measure()) if stored is None else stored


def cpu_seconds() -> float:
    """Processor time of this process and of those it waited for."""
    return sum(os.times()[:4])
