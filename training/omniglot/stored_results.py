"""Results of an experiment, stored beside its run, so that nothing is measured twice."""

import json
from pathlib import Path
from typing import Any

from training.engine.experiment import Experiment
from training.evaluate.rounding import rounded


def read_result(path: Path, experiment: Experiment) -> dict[str, Any] | None:
    """The stored values, or None where there are none of this very experiment."""
    if not path.is_file():
        return None
    stored = json.loads(path.read_text())
    values: dict[str, Any] = stored["values"]
    return values if stored["fingerprint"] == experiment.fingerprint() else None


def store_result(path: Path, experiment: Experiment, values: dict[str, Any]) -> dict[str, Any]:
    """Store the values, rounded, and return them; a kill half way leaves the old file."""
    values = rounded(values)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"fingerprint": experiment.fingerprint(), "values": values}, indent=2))
    partial.replace(path)
    return values
