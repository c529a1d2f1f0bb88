"""What whole visits come to: people of LFW, each enrolled by one picture, seen in their others as at a door.

    python -m tests.bench.visits [--data ../shared] [--fpir 1e-4] [--model FILE]

For households of 1, 5, 20 and 100 people, drawn at random; others are strangers. By the thresholds that ship, and by
one tau for all. Intervals are exact, of 95 %, of independent trials; people come to several households.
"""

from pathlib import Path

import click

from edge.config import DecisionConfig
from edge.core.thresholds import OneThreshold
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from training.data.lfw import read_lfw
from training.embedder.visits import HOUSEHOLDS, encoded_visits, visit_rates
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--fpir", type=float, multiple=True, help="How often a stranger may be named  [default: as it ships]")
@click.option("--model", type=click.Path(path_type=Path), default=STANDARD, help="Another embedder.")
def main(data: Path, fpir: tuple[float, ...], model: Path) -> None:
    embedder = Embedder(model)
    visits = encoded_visits(embedder, read_lfw(data, ROOT / ".cache"))
    print(f"{len(visits)} people")
    print(f"{'thresholds':12}{'fpir':>8}{'people':>8}   strangers named; members right, wrong, unknown")
    ways = {"as shipped": thresholds_of(model, embedder.card), "one tau": OneThreshold(embedder.card.tau_within)}
    for way, thresholds in ways.items():
        for rate in fpir or (DecisionConfig().fpir,):
            for people in HOUSEHOLDS:
                found = visit_rates(visits, thresholds, people, rate)
                named = f"{100 * found.strangers_named.value:.3f} % of {found.strangers}"
                members = [Share(count, found.members) for count in (found.right_last, found.wrong, found.unknown)]
                print(f"{way:12}{rate:8g}{people:8}   {named}; " + "; ".join(map(str, members)), flush=True)


if __name__ == "__main__":
    main()
