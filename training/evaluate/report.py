"""The base of every report: one self-contained HTML file, with its figures as PNG and its numbers as JSON beside it."""

import base64
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from edge.inference.model_card import Card

BASE = Path(__file__).parent / "base.html"
NAMES_IN_OLD_CARDS = {"account": "split_stats", "growth": "history"}  # cards before the second design


def write_page(
    page: Path, run_dir: Path, pictures: dict[str, bytes], numbers: dict[str, Any], **values: object
) -> Path:
    """Write `report.html` with its figures inside, the figures as PNG, and `evaluation.json`; return the HTML's path.

    page: the template, which extends base.html
    """
    for name, data in pictures.items():
        (run_dir / f"{name}.png").write_bytes(data)
    loader = FileSystemLoader([page.parent, BASE.parent])
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    figures = [(name, base64.b64encode(data).decode()) for name, data in pictures.items()]
    (run_dir / "evaluation.json").write_text(json.dumps(numbers, indent=2))
    path = run_dir / "report.html"
    path.write_text(environment.get_template(page.name).render(figures=figures, **values), encoding="utf-8")
    return path


def training_of(card: Card) -> dict[str, Any]:
    """What the card tells of the training: its lineage, split_stats and history; the names of old cards are mapped."""
    return {NAMES_IN_OLD_CARDS.get(key, key): value for key, value in card.learned_from.items()}
