"""The protocols of the test, each with its name and its source."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from training.data.drawings import Drawings
from training.data.omniglot import LakeRun
from training.embedder.encoder import Encoder
from training.evaluate.pairs import drawn_pairs
from training.evaluate.verification import ten_fold_accuracy
from training.omniglot.one_shot import correct
from training.omniglot.trials import Trials, drawn_trials

PAIRS = 10_000
SHOTS = (1, 3, 5)


@dataclass(frozen=True)
class Protocol:
    """One protocol: its key in the report's JSON, its name, and its source."""

    key: str
    name: str
    source: str


VERIFICATION = Protocol(
    "verification",
    "verification",
    "after Koch et al. 2015: 10,000 pairs, half of them mated; the rest are any two characters of the 20 evaluation "
    "alphabets; threshold by ten folds (LFW)",
)
LAKE = Protocol(
    "lake",
    "Lake's 20 runs",
    "Lake et al. 2015, all_runs.zip: 20-way one-shot within an alphabet, two people's drawings, 400 trials",
)
WITHIN = Protocol(
    "within",
    "20-way within an alphabet",
    "as Lake's runs, drawn at random from all 20 evaluation alphabets",
)
UNSTRUCTURED_5 = Protocol(
    "unstructured_5",
    "5-way of all alphabets",
    "after Vinyals et al. 2016, but with upright characters of Lake's 20 evaluation alphabets; the split that "
    "prototypical networks report mixes all 50 alphabets, learns from 1,200 characters, and tests on the other 423 "
    "and on their turned copies",
)
UNSTRUCTURED_20 = Protocol("unstructured_20", "20-way of all alphabets", UNSTRUCTURED_5.source)
PROTOCOLS = (VERIFICATION, LAKE, WITHIN, UNSTRUCTURED_5, UNSTRUCTURED_20)


def shot_key(protocol: Protocol, shots: int) -> str:
    """The key of k shots in the report's JSON; one shot has the protocol's key."""
    return protocol.key if shots == 1 else f"{protocol.key}_{shots}shot"


class OneShotTest:
    """All pairs and trials of the test set, drawn once, so that every encoder gets the same.

    Raises DataError where there are too few characters or drawers.
    """

    def __init__(self, drawings: Drawings, runs: list[LakeRun], count: int) -> None:
        self.images = np.concatenate([drawings.images, *(part for run in runs for part in (run.training, run.test))])
        self.pairs = drawn_pairs(np.unique(drawings.characters, return_inverse=True)[1], PAIRS)
        self.trials: dict[str, Trials] = {
            LAKE.key: trials_of(runs, len(drawings)),
            UNSTRUCTURED_5.key: drawn_trials(drawings, count, ways=5, within_alphabet=False),
        }
        for shots in SHOTS:
            for protocol, within in ((WITHIN, True), (UNSTRUCTURED_20, False)):
                self.trials[shot_key(protocol, shots)] = drawn_trials(
                    drawings, count, ways=20, shots=shots, within_alphabet=within, seed=shots
                )

    def evaluate(self, encoder: Encoder) -> dict[str, float]:
        """Compute every accuracy by its key; fractions."""
        encodings = encoder.encode(self.images)
        distances = encoder.distance(encodings[self.pairs.first], encodings[self.pairs.second])
        return {VERIFICATION.key: ten_fold_accuracy(distances, self.pairs)[0]} | {
            key: float(correct(encodings, trials, encoder.distance).mean()) for key, trials in self.trials.items()
        }


def trials_of(runs: list[LakeRun], start: int) -> Trials:
    """Lake's runs as trials. Their drawings are expected run by run, first the 20 of training, then the 20 of test.

    start: the number of drawings before them
    """
    support, query = [], []
    for run in runs:
        count = len(run.training)
        for place, answer in enumerate(run.answers):
            support.append(start + np.r_[answer, np.delete(np.arange(count), answer)])  # the correct one first
            query.append(start + count + place)
        start += count + len(run.test)
    return Trials(np.array(support)[:, :, None], np.array(query))


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Mean, standard deviation and 95 % interval of the mean (Student's t) over independent trainings."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"mean": mean, "std": None, "interval_95": None, "values": values}
    std = float(np.std(values, ddof=1))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * std / len(values) ** 0.5
    return {"mean": mean, "std": std, "interval_95": [max(0.0, mean - reach), min(1.0, mean + reach)], "values": values}
