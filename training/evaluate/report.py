"""One self-contained HTML file for people, with its figures beside it as PNG."""

import base64
import json
from dataclasses import asdict
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from edge.inference.model_card import EmbedderCard
from training.embedder.evaluation import Evaluation
from training.engine.trainer import LOG, read_log
from training.evaluate import figures

TEMPLATES = Path(__file__).parent / "templates"
LOOKED_AT = {"lfw_accuracy": "LFW, as trained", "held_out_accuracy": "held-out people, as trained"} | {
    "held_out_one_shot": "20-way one-shot, as trained"
}


def write_report(card: EmbedderCard, evaluation: Evaluation, run_dir: Path) -> Path:
    """Write `report.html`, its PNG figures and `evaluation.json` into the run's folder; answer the HTML's path."""
    log = read_log(run_dir / LOG)
    pictures = {"strangers": figures.impostor_figure(evaluation.impostor_distances, card.impostors.distance_at_fmr)}
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
    if log:
        pictures["learning"] = figures.growth_figure(log, LOOKED_AT, "accuracy")
    return write_page(
        "embedder.html",
        run_dir,
        pictures,
        evaluation.numbers(),
        card=card,
        results=results,
        parity=card.measured["parity"],
        growth=card.learned_from["growth"],
    )


def write_page(
    template: str, run_dir: Path, pictures: dict[str, bytes], numbers: dict[str, object], **values: object
) -> Path:
    """Write `report.html` with its figures inside, the same as PNG, and `evaluation.json`; answer the HTML's path."""
    for name, data in pictures.items():
        (run_dir / f"{name}.png").write_bytes(data)
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    figures = [(name, base64.b64encode(data).decode()) for name, data in pictures.items()]
    (run_dir / "evaluation.json").write_text(json.dumps(numbers, indent=2))
    path = run_dir / "report.html"
    path.write_text(environment.get_template(template).render(figures=figures, **values), encoding="utf-8")
    return path
