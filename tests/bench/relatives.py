"""People who are near to one another, and templates of whom the model knows little.

    python -m tests.bench.relatives [--data ../shared] [--model FILE]

Visits of people of LFW as in tests.bench.visits, by the thresholds and the default decision.fpir that ship. Each of the
pairs whose templates are most alike is a household of two: own names and names of the other at the end, with the rule
for relatives and without it. Then everybody in a household of their own: own names, by how much stricter the thresholds
of the template are, as `limen people check` says it. Intervals are exact, of 95 %, of independent trials.
"""

from pathlib import Path

import click
import numpy as np

from edge.config import DecisionConfig
from edge.core.checkup import POOR
from edge.core.gallery import Gallery
from edge.core.thresholds import Thresholds
from edge.core.types import Person, Template
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from training.data.lfw import read_lfw
from training.embedder.visits import Visits, encoded_visits, told
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]
PAIRS = 300


def gallery_of(visits: Visits, thresholds: Thresholds, people: list[str], *, relatives: bool) -> Gallery:
    """A household of these people, rows of the visits by name."""
    gallery = Gallery("", thresholds, DecisionConfig().fpir, relatives=relatives)
    templates = [Template(who, who, visits.templates[int(who)], "") for who in people]
    gallery.fill([Person(who, who) for who in people], templates)
    return gallery


def most_alike(templates: np.ndarray) -> list[tuple[str, str]]:
    """The rows of the PAIRS of templates that are nearest to one another."""
    distances = 2 - 2 * templates @ templates.T
    distances[np.tril_indices(len(templates))] = np.inf
    nearest = np.argsort(distances, axis=None)[:PAIRS]
    return [
        (str(first), str(second)) for first, second in zip(*np.unravel_index(nearest, distances.shape), strict=True)
    ]


def told_last(visits: Visits, gallery: Gallery, who: str) -> str | None:
    """The name at the end of somebody's visit."""
    return told(visits.samples[int(who)], gallery)[-1][0]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=STANDARD, help="Another embedder.")
def main(data: Path, model: Path) -> None:
    embedder = Embedder(model)
    visits, thresholds = encoded_visits(embedder, read_lfw(data, ROOT / ".cache")), thresholds_of(model, embedder.card)
    pairs = most_alike(visits.templates)
    for relatives in (False, True):
        said = []
        for pair in pairs:
            gallery = gallery_of(visits, thresholds, list(pair), relatives=relatives)
            said += [(who, told_last(visits, gallery, who)) for who in pair]
        own = sum(name == who for who, name in said)
        other = sum(name not in (who, None) for who, name in said)
        print(
            f"{'with' if relatives else 'without'} the rule, {len(said)} visits to {PAIRS} pairs: own name {own}, ",
            end="",
        )
        print(f"the other's {Share(other, len(said))}")
    right: dict[bool, list[bool]] = {True: [], False: []}
    for person in range(len(visits)):
        gallery = gallery_of(visits, thresholds, [str(person)], relatives=True)
        poor = bool(gallery.strictness(visits.templates[person : person + 1])[0] >= POOR)
        right[poor].append(told_last(visits, gallery, str(person)) == str(person))
    for poor, named in right.items():
        what = f"stricter by {POOR:g} or more" if poor else "other templates"
        print(f"{what}: own name {Share(sum(named), len(named))} of {len(named)} visits")


if __name__ == "__main__":
    main()
