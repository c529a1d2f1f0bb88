"""How many tracks a person becomes in footage with known truth: one is right.

    python -m tests.bench.tracks [--data ../shared] [--clips 20]

The people and the place are those of `footage`, at 1280x720. away: the face is hidden for two seconds and comes back
near by. post: somebody walks behind a post that hides them for two seconds. nearer: from 48 to 192 px in six seconds.
crossing: two people walk past each other. replaced: somebody else stands where a person was two seconds ago; there two
tracks are right. Half of the people are enrolled. Wrong: a person with another number of tracks, or a wrong name.
Intervals are exact, of 95 %.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from edge.core.events import Event
from edge.core.recognizer import Recognizer
from edge.core.track import TrackRules
from tests.bench.footage import (
    PER_SECOND,
    SECONDS,
    Somebody,
    backgrounds,
    cast,
    cut_out,
    door,
    lies_at,
    paste,
    played,
)
from training.evaluate.shares import Share

SIZE = 1280, 720
FRAMES = PER_SECOND * SECONDS
GREY = 90


@dataclass(frozen=True)
class Part:
    """Where one person is in each frame, in which width, and whether they can be seen.

    middles: (F, 2), the middle of the photograph; widths: (F,), of the face; shown: (F,) bool
    """

    who: Somebody
    middles: np.ndarray
    widths: np.ndarray
    shown: np.ndarray

    def boxes(self) -> np.ndarray:
        """(F, 4): where the face is."""
        zoom = self.widths / self.who.face.width_px
        middle = np.tile(np.array(self.who.photo.shape[1::-1]) / 2, 2)
        return np.asarray(np.tile(self.middles, 2) + (self.who.face.box - middle) * zoom[:, None])


def still(who: Somebody, middle: tuple[float, float], hidden: slice, moved: float = 0.0) -> Part:
    """Somebody who is hidden for a while and moved so far meanwhile."""
    shown = np.ones(FRAMES, dtype=bool)
    shown[hidden] = False
    middles = np.tile(np.array(middle), (FRAMES, 1))
    middles[hidden.start :, 0] += moved
    return Part(who, middles, np.full(FRAMES, 64), shown)


def away(people: list[Somebody], rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform((200, 200), (1000, 500))
    return [still(people[0], (x, y), slice(20, 40), moved=float(rng.uniform(-60, 60)))]


def post(people: list[Somebody], rng: np.random.Generator) -> list[Part]:
    y, shown = float(rng.uniform(200, 500)), np.ones(FRAMES, dtype=bool)
    shown[20:40] = False
    middles = np.stack([250 + 12.0 * np.arange(FRAMES), np.full(FRAMES, y)], axis=1)
    return [Part(people[0], middles, np.full(FRAMES, 64), shown)]


def nearer(people: list[Somebody], rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform((400, 330), (800, 390))
    widths = np.geomspace(48, 192, FRAMES).round()
    return [Part(people[0], np.tile(np.array([x, y]), (FRAMES, 1)), widths, np.ones(FRAMES, dtype=bool))]


def crossing(people: list[Somebody], rng: np.random.Generator) -> list[Part]:
    y, pace = float(rng.uniform(250, 450)), 12.0 * np.arange(FRAMES)
    rows = np.full(FRAMES, y)
    everywhere = np.ones(FRAMES, dtype=bool)
    return [
        Part(who, np.stack([x, rows + shift], axis=1), np.full(FRAMES, 64), everywhere)
        for who, x, shift in ((people[0], 250 + pace, 0), (people[1], 1000 - pace, 20))
    ]


def replaced(people: list[Somebody], rng: np.random.Generator) -> list[Part]:
    x, y = rng.uniform((200, 200), (1000, 500))
    return [still(people[0], (x, y), slice(20, FRAMES)), still(people[1], (x, y), slice(0, 40))]


SCENES: dict[str, Callable[[list[Somebody], np.random.Generator], list[Part]]] = {
    scene.__name__: scene for scene in (away, post, nearer, crossing, replaced)
}


def film(parts: list[Part], places: list[np.ndarray]) -> list[np.ndarray]:
    """The frames of a clip; who comes later in the list stands before the others."""
    frames = []
    for number in range(FRAMES):
        image = places[number % len(places)].copy()
        for part in parts:
            if part.shown[number]:
                picture, mask = cut_out(part.who, int(part.widths[number]))
                x, y = (part.middles[number] - np.array(picture.shape[1::-1]) / 2).round().astype(int)
                top, left = max(0, -y), max(0, -x)
                paste(image, picture[top:, left:], mask[top:, left:], max(0, x), max(0, y))
        frames.append(image)
    return frames


def right(parts: list[Part], events: list[Event]) -> bool:
    """Whether every person has one track of their own, and no wrong name."""
    tracks: dict[int, set[str | None]] = defaultdict(set)
    for event in events:
        if event.box is None or event.phase == "end":
            continue
        number = min(round(event.at * PER_SECOND), FRAMES - 1)
        if not event.in_frame and number < FRAMES - 1:  # told once the face was gone for so long
            number -= round(TrackRules().hold_seconds * PER_SECOND)
        for index, part in enumerate(parts):
            if part.shown[number] and lies_at(event.box, part.boxes()[number : number + 1], SIZE):
                tracks[index].add(event.track)
                if event.name not in {None, part.who.name}:
                    return False
    named = {event.track: event.name for event in events}
    names = {part.who.name for part in parts}
    one_each = all(len(tracks[index]) == 1 for index in range(len(parts)))
    return (
        one_each
        and len({track for each in tracks.values() for track in each})
        == len(parts)
        == len({event.track for event in events})
        and set(named.values()) <= names | {None}
    )


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--clips", type=click.IntRange(1), default=20, show_default=True, help="Of each scene.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, clips: int, seed: int) -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder, door(Path(folder)) as recognizer:
        people = cast(data, recognizer, rng)
        for name, scene in SCENES.items():
            passed = sum(once(recognizer, people, scene, rng) for _ in range(clips))
            print(f"{name:>10}: {passed} of {clips} right, {Share(passed, clips)}", flush=True)


def once(
    recognizer: Recognizer,
    people: list[Somebody],
    scene: Callable[[list[Somebody], np.random.Generator], list[Part]],
    rng: np.random.Generator,
) -> bool:
    """Whether one clip is told rightly."""
    chosen = [people[row] for row in rng.permutation(len(people))[:2]]
    parts = scene(chosen, rng)
    return right(parts, played(recognizer, iter(film(parts, backgrounds(SIZE, rng)))))


if __name__ == "__main__":
    main()
