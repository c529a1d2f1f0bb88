"""How enrollment takes sets of pictures: of one person in LFW, and with one picture of somebody else among them.

    python -m tests.bench.sets [--data ../shared] [--model FILE]

Aligned crops, through the shipped embedder. Each person with enough pictures gives one set of each size; the foreign
picture is of another person, drawn at random. Intervals are exact, of 95 %.
"""

from pathlib import Path

import click
import numpy as np

from edge.core.selection import majority
from edge.core.thresholds import Thresholds
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from training.data.crops import groups_of
from training.data.lfw import read_lfw
from training.embedder.encoder import encode_on_device
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]
SIZES = (2, 3, 5)


def measure(
    embeddings: np.ndarray, people: np.ndarray, thresholds: Thresholds, size: int, seed: int = 0
) -> tuple[Share, Share, Share]:
    """Of the sets: refused; with a picture left out, of those taken; and the foreign picture found, of mixed sets."""
    rng = np.random.default_rng(seed)
    refused = spoilt = found = 0
    rows = [np.flatnonzero(people == person) for person in np.unique(people)]
    sets = [rng.choice(own, size, replace=False) for own in rows if len(own) >= size]
    for chosen in sets:
        members = majority(embeddings[chosen], thresholds)
        refused += not members.any()
        spoilt += members.any() and not members.all()
        foreign = rng.choice(np.flatnonzero(people != people[chosen[0]]))
        place = int(rng.integers(size))
        chosen[place] = foreign
        members = majority(embeddings[chosen], thresholds)
        found += not members[place]
    return Share(refused, len(sets)), Share(spoilt, len(sets)), Share(found, len(sets))


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=STANDARD, help="Another embedder.")
def main(data: Path, model: Path) -> None:
    embedder, lfw = Embedder(model), read_lfw(data, ROOT / ".cache")
    people = groups_of(lfw.pack.read().names)
    names, counts = np.unique(people, return_counts=True)
    several = np.isin(people, names[counts > 1])
    embeddings = encode_on_device(embedder, lfw.images[several], "pictures")
    thresholds = thresholds_of(model, embedder.card)
    for size in SIZES:
        refused, spoilt, found = measure(embeddings, people[several], thresholds, size)
        print(f"sets of {size}, {refused.trials} people: refused {refused}; one picture or more left out {spoilt}")
        print(f"    one of them foreign: it is found in {found}")


if __name__ == "__main__":
    main()
