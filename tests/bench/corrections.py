"""What a correction is worth: strangers of LFW who were taken for somebody, and come again.

    python -m tests.bench.corrections [--data ../shared] [--fpir 1e-3]

The people and the visits are those of tests.bench.learning. Of every two people one is enrolled alone, by one picture;
where a visit of the other is told as them, it is corrected: its first sample speaks against the person from then on.
Then the stranger's other visits come, and the person's own, with the correction and without it; and with one that also
makes the person's tau as strict as the distance of that sample, as that of two near relatives is.
Intervals are exact, of 95 %, of independent trials; a person is in several pairs.
"""

from pathlib import Path

import click
import numpy as np

from edge.core.gallery import Gallery
from edge.core.rates import fmr_of
from edge.core.relatives import STRICTEST
from edge.core.selection import mean_of
from edge.core.thresholds import beyond
from edge.core.types import Person, Template
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from tests.bench.learning import Life, lives, shown, who
from training.data.lfw import read_lfw

ROOT = Path(__file__).parents[2]
WAYS = "no correction", "the correction", "and a stricter tau"


class Stricter(Gallery):
    """One in which everybody's tau is at most so much, as where a relative is as near."""

    tau_max = 4.0

    def tau_of(self, person: Person, tau: float) -> float:
        return min(super().tau_of(person, tau), max(STRICTEST, self.tau_max))


def mistaken(everybody: list[Life], galleries: list[Gallery], fpir: float) -> list[tuple[int, int, int]]:
    """Who was told as whom, and in which of their visits."""
    templates = np.stack([one.template for one in everybody])
    found = []
    for other, life in enumerate(everybody):
        visits = np.concatenate([life.before, life.after])  # (V, S, D)
        pooled = np.stack([mean_of(visit) for visit in visits])
        near = beyond(pooled, templates, galleries[0].thresholds, fmr_of(fpir, 1)) <= 0.1  # (V, P)
        for visit, person in zip(*np.nonzero(near), strict=True):
            if person != other and who(visits[visit], galleries[person]) is not None:
                found.append((int(person), other, int(visit)))
    return found


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--fpir", default=1e-3, show_default=True, help="How often a stranger may be named.")
def main(data: Path, fpir: float) -> None:
    embedder = Embedder(STANDARD)
    everybody, thresholds = lives(embedder, read_lfw(data, ROOT / ".cache")), thresholds_of(STANDARD, embedder.card)

    def alone(person: int, *denials: np.ndarray, tau_max: float = 4.0) -> Gallery:
        gallery = Stricter("", thresholds, fpir)
        gallery.tau_max = tau_max
        own = Template("own", "p", everybody[person].template, "")
        gallery.put(Person("p", "p"), [own, *(Template("denial", "p", row, "", negative=True) for row in denials)])
        return gallery

    plain = [alone(person) for person in range(len(everybody))]
    mistakes = mistaken(everybody, plain, fpir)
    first = {(person, other): visit for person, other, visit in reversed(mistakes)}
    again, own = list[list[bool]](), list[list[bool]]()
    for (person, other), mistake in first.items():
        visits = np.concatenate([everybody[other].before, everybody[other].after])
        sample = visits[mistake][0]
        distance = float(2 - 2 * sample @ everybody[person].template)
        galleries = [plain[person], alone(person, sample), alone(person, sample, tau_max=distance)]
        again += [[who(row, one) is not None for one in galleries] for row in np.delete(visits, mistake, axis=0)]
        mine = np.concatenate([everybody[person].before, everybody[person].after])
        own += [[who(row, one) is not None for one in galleries] for row in mine]
    print(f"{len(first)} pairs with a mistake")
    for way, strangers, members in zip(WAYS, zip(*again, strict=True), zip(*own, strict=True), strict=True):
        print(
            f"{way}: other visits of the stranger with that name {shown(strangers)}; own visits named {shown(members)}"
        )


if __name__ == "__main__":
    main()
