"""What templates that are learned at the door are worth: people of LFW, each enrolled by one picture.

    python -m tests.bench.learning [--data ../shared] [--model FILE]

Everybody with five pictures or more, in households of five, each person in one. Every other picture is one visit of six
samples, three seconds apart, degraded as at a door. The first half of somebody's pictures are visits from which may be
learned, among visits of strangers, from whom nothing should be. Then the rest come, and other strangers, to a gallery
of one picture each, to that with what was learned, and to one in which somebody said of one visit of each whose it is
(event/correct), so that one more picture was given. Intervals are exact, of 95 %, of independent trials; a person makes
several visits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from edge.config import DecisionConfig
from edge.core.gallery import Gallery
from edge.core.learning import LEARNED_MAX, candidate
from edge.core.origin import LEARNED
from edge.core.track import Track, TrackRules
from edge.core.types import Sample, Template
from edge.inference.cohort import thresholds_of
from edge.inference.embedder import STANDARD, Embedder
from training.data.augment import door_camera
from training.data.crops import groups_of
from training.data.lfw import LfwPairs, read_lfw
from training.embedder.encoder import encode_on_device
from training.embedder.visits import CLEAR, NO_CROP, NO_FACE, STRENGTH, Visits, household
from training.evaluate.shares import Share

ROOT = Path(__file__).parents[2]
PEOPLE, PICTURES_MIN, PICTURES_MAX = 5, 5, 9
SAMPLES, EVERY_SECONDS = 6, 3.0
WAYS = "one picture", "with what was learned", "with one more that was given"
STRANGERS = 60  # to each household, of each half


@dataclass(frozen=True)
class Life:
    """template: (D,), of one picture; before, after: (V, SAMPLES, D), the visits of either half."""

    template: np.ndarray
    before: np.ndarray
    after: np.ndarray


def lives(embedder: Embedder, lfw: LfwPairs) -> list[Life]:
    """Everybody with enough pictures."""
    people = groups_of(lfw.pack.read().names)
    rng = np.random.default_rng(0)
    several = [own for person in np.unique(people) if len(own := np.flatnonzero(people == person)) >= PICTURES_MIN]

    def crops() -> Iterator[np.ndarray]:
        for own in several:
            yield lfw.images[own[0]]
            for row in own[1:PICTURES_MAX]:
                yield from (door_camera(lfw.images[row], rng, STRENGTH) for _ in range(SAMPLES))

    encoded = encode_on_device(embedder, np.stack(list(crops())), "visits")
    found, start = [], 0
    for own in several:
        visits = len(own[1:PICTURES_MAX])
        end = start + 1 + visits * SAMPLES
        rows = encoded[start + 1 : end].reshape(visits, SAMPLES, -1)
        found.append(Life(encoded[start], rows[: visits // 2], rows[visits // 2 :]))
        start = end
    return found


def visit(samples: np.ndarray, gallery: Gallery) -> Track:
    """(SAMPLES, D) -> the track, which has ended."""
    track = Track(0, NO_FACE, 0.0, TrackRules())
    for number, embedding in enumerate(samples):
        track.add(Sample(NO_CROP, embedding, CLEAR), CLEAR, number * EVERY_SECONDS, gallery.identify)
    track.finish()
    return track


def who(samples: np.ndarray, gallery: Gallery) -> str | None:
    """The verdict at the end."""
    verdict = visit(samples, gallery).verdict
    return None if verdict is None else verdict.identity


def learn(samples: np.ndarray, gallery: Gallery, number: int) -> str | None:
    """Learn from a visit as the device does, in memory. Returns of whom."""
    track = visit(samples, gallery)
    sample = candidate(track, gallery)
    if sample is None or track.verdict is None or track.verdict.identity is None:
        return None
    person_id = track.verdict.identity
    before = gallery.template_count(person_id) - gallery.given_count(person_id)
    put(gallery, person_id, f"{LEARNED}{number:06}_", sample.embedding, without=max(0, before + 1 - LEARNED_MAX))
    return person_id


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--model", type=click.Path(path_type=Path), default=STANDARD, help="Another embedder.")
def main(data: Path, model: Path) -> None:
    embedder = Embedder(model)
    everybody, rng = lives(embedder, read_lfw(data, ROOT / ".cache")), np.random.default_rng(0)
    templates = Visits(np.stack([one.template for one in everybody]), np.zeros((len(everybody), 0, 0), np.float32))
    order, thresholds = rng.permutation(len(everybody)), thresholds_of(model, embedder.card)
    learned, of_strangers = list[bool](), list[bool]()
    own, strangers = list[tuple[bool, ...]](), list[tuple[bool, ...]]()
    for start in range(0, len(order) - PEOPLE + 1, PEOPLE):
        members, others = order[start : start + PEOPLE], np.delete(order, np.s_[start : start + PEOPLE])
        galleries = [household(templates, thresholds, members, DecisionConfig().fpir) for _ in WAYS]
        _, learning, given = galleries
        come = [(str(one), row) for one in members for row in everybody[one].before]
        come += [("", rng.choice(everybody[one].before)) for one in rng.choice(others, STRANGERS, replace=False)]
        for number, place in enumerate(rng.permutation(len(come))):
            name, samples = come[place]
            taken = learn(samples, learning, number)
            of_strangers += [taken is not None] if not name else []
            assert taken in {None, name} or not name, "one member was taken for another"
        learned += [learning.given_count(str(one)) < learning.template_count(str(one)) for one in members]
        for one in members:
            put(given, str(one), f"{one} given", everybody[one].before[0, 0])
            own += [tuple(who(row, gallery) == str(one) for gallery in galleries) for row in everybody[one].after]
        for one in rng.choice(others, STRANGERS, replace=False):
            samples = rng.choice(everybody[one].after)
            strangers.append(tuple(who(samples, gallery) is not None for gallery in galleries))
    print(f"{len(learned)} people; something was learned of {shown(learned)}")
    print(f"learned from a stranger's visit: {shown(of_strangers)}")
    for what, trials in (("visits of members with the own name", own), ("strangers' visits with a name", strangers)):
        for way, said in zip(WAYS, zip(*trials, strict=True), strict=True):
            more = sum(now > before[0] for now, before in zip(said, trials, strict=True))
            fewer = sum(now < before[0] for now, before in zip(said, trials, strict=True))
            print(f"{what}, {way}: {shown(said)}; {more} more, {fewer} fewer")


def put(gallery: Gallery, person_id: str, template_id: str, embedding: np.ndarray, without: int = 0) -> None:
    """Add a template to somebody's, without so many of the oldest that were learned."""
    own = [one for one in gallery.templates if one.is_of(person_id)]
    gone = [one for one in own if one.template_id.startswith(LEARNED)][:without]
    kept = [one for one in own if one not in gone]
    gallery.put(gallery.people[person_id], [*kept, Template(template_id, person_id, embedding, "")])


def shown(trials: list[bool] | tuple[bool, ...]) -> str:
    return f"{sum(trials)} of {len(trials)}, {Share(sum(trials), len(trials))}"


if __name__ == "__main__":
    main()
