"""The report of an embedder."""

from dataclasses import asdict
from pathlib import Path

from edge.inference.model_card import EmbedderCard
from training.data.listed_twice import ONE_NAME
from training.embedder import figures
from training.embedder.evaluation import Evaluation
from training.engine.run_log import LOG, read_log
from training.evaluate.figures import learning_figure
from training.evaluate.report import training_of, write_page

PAGE = Path(__file__).parent / "report.html"
LOGGED_METRICS = {
    "lfw_accuracy": "LFW, as trained",
    "held_out_accuracy": "held-out people, as trained",
    "held_out_one_shot": "20-way one-shot, as trained",
}

TEACHER_METRICS = {
    "teacher_cosine_learned": "crops that were learned from",
    "teacher_cosine_held_out": "crops of held-out people",
}


def write_report(card: EmbedderCard, evaluation: Evaluation, run_dir: Path) -> Path:
    """Write `report.html`, its PNG figures and `evaluation.json` into the run's folder; return the HTML's path."""
    log = read_log(run_dir / LOG)
    pictures = {"impostors": figures.impostor_figure(evaluation.tail, card.impostors.distance_at_fmr)}
    results = []
    for key, label, comparisons in (
        ("lfw", "LFW", evaluation.lfw),
        ("held-out", "held-out people", evaluation.held_out),
    ):
        if comparisons is None:
            continue
        results.append((label, asdict(comparisons.result)))
        pictures[f"{key}-roc"] = figures.roc_figure(comparisons, label)
        pictures[f"{key}-det"] = figures.det_figure(comparisons, label)
        pictures[f"{key}-distances"] = figures.histogram_figure(comparisons, label)
    if evaluation.conditions:
        pictures["conditions"] = figures.conditions_figure(evaluation.conditions)
        pictures["discard"] = figures.discard_figure(evaluation.discarded)
    if evaluation.leads:
        pictures["tracks-det"] = figures.tracks_figure(evaluation.leads)
    if evaluation.nearest:
        pictures["nearest"] = figures.nearest_figure(evaluation.nearest)
    if log:
        pictures["learning"] = learning_figure(log, LOGGED_METRICS, "accuracy")
        if any("teacher_cosine_held_out" in line for line in log):
            pictures["memorised"] = learning_figure(log, TEACHER_METRICS, "cosine to the teacher")
    return write_page(
        PAGE,
        run_dir,
        pictures,
        evaluation.numbers(),
        card=card,
        results=results,
        evaluation=evaluation,
        listed_twice=ONE_NAME,
        parity=card.measured["parity"],
        training=training_of(card),
    )
