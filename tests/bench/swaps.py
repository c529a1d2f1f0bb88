"""What is said where the tracker swapped two people: the first half of a track is of one, the rest of another.

    python -m tests.bench.swaps [--data ../shared]

Households of five people of LFW, each enrolled by one picture, as in tests.bench.visits: a member whose visit is named
rightly is followed, on the same track, by another member whose own visit is named rightly, or by a stranger, for 11 s.
Intervals are exact, of 95 %, of independent trials; people come to several households.
"""

from pathlib import Path

import click
import numpy as np

from edge.config import DecisionConfig
from edge.core.gallery import Gallery
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from training.data.lfw import read_lfw
from training.embedder.visits import Visits, encoded_visits, household, told
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]
PEOPLE, HOUSEHOLDS = 5, 40
BEFORE, AFTER = 6, 3  # samples of the first; times the whole visit of the second


def swapped(visits: Visits, gallery: Gallery, first: int, second: int) -> tuple[str | None, str | None]:
    """The verdict before the swap, and at the end."""
    samples = visits.samples[first][:BEFORE]
    before = told(samples, gallery)
    after = told(np.concatenate([samples, *[visits.samples[second]] * AFTER]), gallery)
    return before[-1][0], after[-1][0]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
def main(data: Path) -> None:
    embedder = Embedder(STANDARD)
    visits, rng = encoded_visits(embedder, read_lfw(data, ROOT / ".cache")), np.random.default_rng(0)
    members, strangers, kept = [], [], 0
    for _ in range(HOUSEHOLDS):
        order = rng.permutation(len(visits))
        gallery = household(visits, thresholds_of(STANDARD, embedder.card), order[:PEOPLE], DecisionConfig().fpir)
        for place, first in enumerate(order[:PEOPLE]):
            other, stranger = order[(place + 1) % PEOPLE], order[PEOPLE + place]
            right = told(visits.samples[other], gallery)[-1][0] == str(other)
            before, after = swapped(visits, gallery, first, other)
            if before == str(first) and right:
                members.append(after == str(other))
                kept += after == str(first)
            before, after = swapped(visits, gallery, first, stranger)
            if before == str(first):
                strangers.append(after is None)
                kept += after == str(first)
    print(f"a member after a member has the own name: {Share(sum(members), len(members))} of {len(members)}")
    print(f"a stranger after a member is unknown: {Share(sum(strangers), len(strangers))} of {len(strangers)}")
    tracks = len(members) + len(strangers)
    print(f"the name of the first is kept: {Share(kept, tracks)} of {tracks}")


if __name__ == "__main__":
    main()
