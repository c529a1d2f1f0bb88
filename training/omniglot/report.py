"""The report of a ladder: one page with its figures, and its numbers as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import ExperimentError
from training.engine.encoder_experiment import EmbedderExperiment
from training.engine.run_log import LOG, read_log
from training.evaluate.report import write_page
from training.evaluate.rounding import rounded
from training.omniglot import figures
from training.omniglot.ladder import Row, replicas
from training.omniglot.ladder_run import LadderRun
from training.omniglot.protocols import LAKE, PROTOCOLS, SHOTS, UNSTRUCTURED_20, WITHIN, over_seeds, shot_key
from training.omniglot.published import PUBLISHED

PAGE = Path(__file__).parent / "report.html"
LINES = ("people", "Koch's Siamese network")  # the published results that the figure shows


def write_report(run: LadderRun) -> Path:
    """Test what is finished, write `report.html`, its figures and `evaluation.json`, and return the page's path.

    The row that ships is chosen on the held-out alphabets, before the test set is evaluated.
    Raises ExperimentError where no row that can ship is finished.
    """
    rows = [row for row in run.ladder.rows if run.finished(row)]
    chosen = run.chosen(rows)
    results = rounded(results_of(run, rows, chosen))
    folder = run.workspace.runs_dir / f"{run.ladder.name}-report"
    folder.mkdir(parents=True, exist_ok=True)
    return write_page(PAGE, folder, pictures(run, rows, chosen, results), results, results=results)


def embedders(run: LadderRun, row: Row) -> list[EmbedderExperiment]:
    """The finished seeds of a row that can ship."""
    return [seed for seed in run.finished(row) if isinstance(seed, EmbedderExperiment)]


def results_of(run: LadderRun, rows: list[Row], chosen: Row) -> dict[str, Any]:
    """Every number of the page, by name; accuracies are fractions."""
    if not (ships := embedders(run, chosen)):
        raise ExperimentError(f"ladder '{run.ladder.name}': row '{chosen.experiment}' cannot ship")
    first = ships[0]
    scores = {row.experiment: _over_seeds([run.test(seed) for seed in run.finished(row)]) for row in rows}
    int8 = _over_seeds([run.test_int8(seed) for seed in ships])
    drawings, stats = run.evaluation_set(first).drawings, run.data(first).split_stats
    classifier = next((row for row in rows if row.experiment == run.ladder.classifier), None)
    return {
        "ladder": run.ladder.name,
        "command": f"limen-train omniglot {run.ladder.name}",
        "learned_from": {
            "alphabets": stats["alphabets_to_learn_from"],
            "characters": stats["characters_to_learn_from"],
            "held_out_alphabets": list(first.data.held_out_alphabets),
            "held_out_characters": stats["held_out_people"],
        },
        "measured_on": {
            "characters": len(np.unique(drawings.characters)),
            "alphabets": len(np.unique(drawings.alphabets)),
            "trials": run.ladder.trials,
        },
        "protocols": [asdict(protocol) for protocol in PROTOCOLS],
        "shot_columns": [
            {"key": shot_key(protocol, shots), "name": protocol.name, "shots": shots}
            for protocol in (WITHIN, UNSTRUCTURED_20)
            for shots in SHOTS
        ],
        "rows": [
            {
                "experiment": row.experiment,
                "label": row.label,
                "seeds": len(run.finished(row)),
                "drawings_seen": replicas(row)[0].steps * replicas(row)[0].batch_size,
                "validation": over_seeds([run.validation(seed) for seed in run.finished(row)]),
                "scores": scores[row.experiment],
            }
            for row in rows
        ],
        "not_run": [seed.name for row in run.ladder.rows for seed in replicas(row) if seed not in run.finished(row)],
        "chosen": {"experiment": chosen.experiment, "label": chosen.label},
        "int8": {
            "seeds": len(ships),
            "scores": int8,
            "cost": {key: scores[chosen.experiment][key]["mean"] - int8[key]["mean"] for key in int8},
        },
        "new_class_cost": run.new_class_cost(first) if classifier else None,
        "published": [line._asdict() for line in PUBLISHED] if first.data.source == "omniglot" else [],
        "test_evaluations": len(run.test_evaluations()),
        "cpu_minutes": run.cpu_minutes(rows),
    }


def pictures(run: LadderRun, rows: list[Row], chosen: Row, results: dict[str, Any]) -> dict[str, bytes]:
    """Every figure by name. Two show drawings of the test set, which is evaluated before."""
    first = embedders(run, chosen)[0]
    labels = [row["label"] for row in results["rows"]]
    scores = {row["label"]: row["scores"] for row in results["rows"]}
    lines = {line["who"]: line["accuracy"] for line in results["published"] if line["who"] in LINES}
    logs = {
        row.label: [read_log(run.workspace.runs_dir / seed.name / LOG) for seed in run.finished(row)] for row in rows
    }
    encoder, drawings = run.int8_encoder(first), run.evaluation_set(first).drawings
    alphabet = str(np.unique(drawings.alphabets)[0])
    return {
        "ladder": figures.rows_figure(labels, [scores[label][LAKE.key] for label in labels], lines, LAKE.name),
        "learning": figures.validations_figure(logs),
        "shots-within": figures.shots_figure(scores, WITHIN),
        "shots-unstructured": figures.shots_figure(scores, UNSTRUCTURED_20),
        "confusions": figures.confusions_figure(encoder, drawings, run.within_trials(first)),
        "map": figures.map_figure(encoder, drawings, alphabet),
    }


def _over_seeds(results: list[dict[str, float]]) -> dict[str, dict[str, Any]]:
    return {key: over_seeds([result[key] for result in results]) for key in results[0]}
