"""What a ladder has to tell, as one JSON and one page with its figures."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from training.engine.experiment import EmbedderExperiment
from training.engine.trainer import LOG, read_log
from training.evaluate.report import write_page
from training.evaluate.rounding import rounded
from training.omniglot import figures
from training.omniglot.ladder_run import Climb, Row, replicas
from training.omniglot.protocols import LAKE, PROTOCOLS, SHOTS, UNSTRUCTURED_20, WITHIN, over_seeds, shot_key
from training.omniglot.published import PUBLISHED

LINES = ("people", "Koch's Siamese network")  # of what is published, drawn across the ladder


def tell(climb: Climb) -> Path:
    """Measure what is finished, then write `report.html`, its figures and `evaluation.json`; answer the page's path.

    The row that ships is chosen on the held-out alphabets before anything is asked about the others.
    Raises ExperimentError where no row that can ship is finished.
    """
    rows = [row for row in climb.ladder.rows if climb.finished(row)]
    chosen = climb.chosen(rows)
    told = rounded(what_is_told(climb, rows, chosen))
    folder = climb.workspace.runs_dir / f"{climb.ladder.name}-report"
    folder.mkdir(parents=True, exist_ok=True)
    return write_page("ladder.html", folder, pictures(climb, rows, chosen, told), told, told=told)


def what_is_told(climb: Climb, rows: list[Row], chosen: Row) -> dict[str, object]:
    """Every number of the page, by name; accuracies are fractions."""
    first: EmbedderExperiment = climb.finished(chosen)[0]
    scores = {row.experiment: _over_seeds([climb.unseen(seed) for seed in climb.finished(row)]) for row in rows}
    int8 = _over_seeds([climb.unseen_int8(seed) for seed in climb.finished(chosen)])
    unseen, account = climb.drawings(first).drawings, climb.workspace.gather(first).account
    classifier = next((row for row in rows if row.experiment == climb.ladder.classifier), None)
    return {
        "ladder": climb.ladder.name,
        "command": f"limen-train omniglot {climb.ladder.name}",
        "learned_from": {
            "alphabets": account["alphabets_to_learn_from"],
            "characters": account["characters_to_learn_from"],
            "held_out_alphabets": list(first.data.held_out_alphabets),
            "held_out_characters": account["held_out_people"],
        },
        "measured_on": {
            "characters": len(np.unique(unseen.characters)),
            "alphabets": len(np.unique(unseen.alphabets)),
            "trials": climb.ladder.trials,
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
                "seeds": len(climb.finished(row)),
                "drawings_seen": replicas(row)[0].steps * replicas(row)[0].batch_size,
                "validation": over_seeds([climb.validation(seed) for seed in climb.finished(row)]),
                "scores": scores[row.experiment],
            }
            for row in rows
        ],
        "not_run": [
            seed.name for row in climb.ladder.rows for seed in replicas(row) if seed not in climb.finished(row)
        ],
        "chosen": {"experiment": chosen.experiment, "label": chosen.label},
        "int8": {
            "seeds": len(climb.finished(chosen)),
            "scores": int8,
            "cost": {key: scores[chosen.experiment][key]["mean"] - int8[key]["mean"] for key in int8},
        },
        "newcomer": climb.newcomer(first) if classifier else None,
        "published": [line._asdict() for line in PUBLISHED] if first.data.source == "omniglot" else [],
        "looks": len(climb.looks()),
        "cpu_minutes": climb.cpu_minutes(rows),
    }


def pictures(climb: Climb, rows: list[Row], chosen: Row, told: dict) -> dict[str, bytes]:
    """Every figure by name. Two look at the unseen drawings themselves: at what was measured already, to show it."""
    first: EmbedderExperiment = climb.finished(chosen)[0]
    labels = [row["label"] for row in told["rows"]]
    scores = {row["label"]: row["scores"] for row in told["rows"]}
    lines = {line["who"]: line["accuracy"] for line in told["published"] if line["who"] in LINES}
    logs = {
        row.label: [read_log(climb.workspace.runs_dir / seed.name / LOG) for seed in climb.finished(row)]
        for row in rows
    }
    encoder, unseen = climb.shipped(first), climb.drawings(first).drawings
    alphabet = str(np.unique(unseen.alphabets)[0])
    return {
        "ladder": figures.rungs_figure(labels, [scores[label][LAKE.key] for label in labels], lines, LAKE.name),
        "learning": figures.pairs_figure(logs),
        "shots-within": figures.shots_figure(scores, WITHIN),
        "shots-unstructured": figures.shots_figure(scores, UNSTRUCTURED_20),
        "confusions": figures.confusions_figure(encoder, unseen, climb.within_trials(first)),
        "map": figures.map_figure(encoder, unseen, alphabet),
    }


def _over_seeds(answers: list[dict[str, float]]) -> dict[str, dict[str, object]]:
    return {key: over_seeds([answer[key] for answer in answers]) for key in answers[0]}
