"""The table of training/README.md is that of the committed report, and the report is of the committed ladder."""

import json
from pathlib import Path

import pytest

from training.evaluate.rounding import rounded
from training.omniglot.ladder import load_ladder, replicas
from training.omniglot.protocols import LAKE, PROTOCOLS, UNSTRUCTURED_5, UNSTRUCTURED_20, VERIFICATION, WITHIN
from training.omniglot.published import PUBLISHED

ROOT = Path(__file__).parents[3]
REPORT = ROOT / "training" / "reports" / "omniglot"
README = (ROOT / "training" / "README.md").read_text()
COLUMNS = (LAKE, WITHIN, UNSTRUCTURED_5, UNSTRUCTURED_20, VERIFICATION)


@pytest.fixture(scope="module")
def results():
    return json.loads((REPORT / "evaluation.json").read_text())


def cell(score):
    spread = "" if score["std"] is None else f" ± {100 * score['std']:.1f}"
    return f"{100 * score['mean']:.1f} %{spread}"


def readme_rows(results):
    """The rows of the README's table, from the report's numbers."""
    for row in results["rows"]:
        seen, seeds = f"{row['drawings_seen']:,}", str(row["seeds"])
        yield [row["label"], seen, seeds, *(cell(row["scores"][column.key]) for column in COLUMNS)]
    int8 = results["int8"]["scores"]
    yield [
        f"{results['chosen']['label']}, int8",
        "",
        str(results["int8"]["seeds"]),
        *(cell(int8[column.key]) for column in COLUMNS),
    ]
    for line in PUBLISHED:
        if line.protocol == LAKE.key and line.who in {"people", "Koch's Siamese network"}:
            yield [f"{line.who}, published", "", "", f"{100 * line.accuracy:.1f} %", "", "", "", ""]


def test_the_table_of_the_readme_is_that_of_the_report(results):
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in README.splitlines() if line.startswith("|")]
    for row in readme_rows(results):
        assert row in lines


def test_the_other_numbers_of_the_readme_are_those_of_the_report(results):
    words = " ".join(README.split())
    assert f"evaluated {results['test_evaluations']} times" in words
    if results["not_run"]:
        assert f"{len(results['not_run'])} more are not run yet" in words
    cost = results["new_class_cost"]
    assert f"{100 * cost['classifier_new_accuracy']:.0f} % of its other drawings" in words
    assert f"{100 * cost['similarity_new_accuracy']:.0f} % with one vector stored" in words


def test_the_report_is_of_the_committed_ladder(results):
    rows = {row["experiment"]: row for row in results["rows"]}
    for row in load_ladder("omniglot").rows:
        seeds = replicas(row)
        run = [seed for seed in seeds if seed.name not in results["not_run"]]
        assert (row.experiment in rows) == bool(run)
        if run:
            assert rows[row.experiment]["seeds"] == len(run) == len(rows[row.experiment]["validation"]["values"])
            assert rows[row.experiment]["drawings_seen"] == seeds[0].steps * seeds[0].batch_size
    assert results["published"] == rounded([line._asdict() for line in PUBLISHED])
    assert [protocol["key"] for protocol in results["protocols"]] == [protocol.key for protocol in PROTOCOLS]


def test_the_means_are_those_of_the_seeds(results):
    for row in results["rows"]:
        for score in row["scores"].values():
            assert score["mean"] == pytest.approx(sum(score["values"]) / len(score["values"]), abs=1e-5)


def test_the_committed_figures_are_small():
    figures = sorted(REPORT.glob("*.png"))
    assert {figure.stem for figure in figures} == {
        "confusions",
        "ladder",
        "learning",
        "map",
        "shots-unstructured",
        "shots-within",
    }
    assert sum(figure.stat().st_size for figure in figures) < 600_000
