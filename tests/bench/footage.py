"""What is seen and told of people in footage with known truth, by the width of the face, and what a frame costs.

    python -m tests.bench.footage [--data ../shared] [--clips 10] [--size 1280x720 --size 1920x1080]

Photographs of LFW are pasted into a noisy background, zoomed so that the face has the wanted width: people who stand
still from the first frame on, one who walks in, and three at once. Half of the people are enrolled, each from the very
photograph that is shown, so that what is measured is sight and not the embedder. Seen: any event of a track lies where
the person is. Told: the verdict is right, the name of somebody enrolled, unknown of a stranger. False: another name.
The photographs are such that the shipped detector finds one face in each, turned by at most 20 degrees. Intervals are
exact, of 95 %. Costs are means of one run, in turn, over frames of every size; look at the ratios.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import cv2
import numpy as np

from edge.config import Config, GalleryConfig
from edge.core.events import Event
from edge.core.geometry import box_iou
from edge.core.quality import yaw_deg
from edge.core.recognizer import Recognizer
from edge.core.types import Face, Frame
from edge.errors import RefusedError
from edge.inference.detector import Detector
from edge.runtime.assembly import Device
from training.data.lfw import read_lfw_photos
from training.evaluate.shares import Share

WIDTHS = (24, 32, 40, 48, 64, 96, 160, 200)
SIZES = ("1280x720", "1920x1080")
REFERENCE = "640x480"
PER_SECOND = 10
SECONDS = 6
YAW_DEG_MAX = 20.0
SAME_PLACE_IOU = 0.3
PEOPLE = 60
KINDS = {"still": 1, "moving": 1, "three": 3}


@dataclass(frozen=True)
class Somebody:
    """A photograph with one face. name: None of a stranger."""

    photo: np.ndarray
    face: Face
    name: str | None


@dataclass
class Actor:
    """Somebody in a clip: the pasted picture, its mask, and where its corner is in each frame, from `first` on."""

    who: Somebody
    picture: np.ndarray
    mask: np.ndarray
    corners: np.ndarray
    box: np.ndarray
    first: int

    def boxes(self) -> np.ndarray:
        """(F, 4): where the face is in each frame."""
        return np.asarray(self.box + np.tile(self.corners, 2))


@dataclass
class Count:
    """Of the people of one width."""

    people: int = 0
    seen: int = 0
    told: int = 0
    false_names: int = 0


def size_of(text: str) -> tuple[int, int]:
    """Width and height."""
    width, height = text.split("x")
    return int(width), int(height)


def cast(data: Path, recognizer: Recognizer, rng: np.random.Generator) -> list[Somebody]:
    """People with usable photographs, every other one enrolled."""
    photos, detector, people, seen = read_lfw_photos(data), Detector(), list[Somebody](), set[str]()
    for row in rng.permutation(len(photos.images)).tolist():
        image, name = photos.images[row], Path(photos.names[row]).parent.name
        faces = detector.detect(image)
        if name in seen or len(faces) != 1 or abs(yaw_deg(faces[0].landmarks)) > YAW_DEG_MAX:
            continue
        seen.add(name)
        enrolled = len(people) % 2 == 0
        if enrolled:
            try:
                recognizer.enroll(name, [image])
            except RefusedError:  # blurred, or like somebody else
                continue
        people.append(Somebody(image, faces[0], name if enrolled else None))
        if len(people) == PEOPLE:
            break
    return people


def backgrounds(size: tuple[int, int], rng: np.random.Generator) -> list[np.ndarray]:
    """Four pictures of one place, each with its own noise of the sensor."""
    width, height = size
    rough = rng.integers(50, 170, (height // 60 + 2, width // 60 + 2, 3)).astype(np.uint8)
    place = cv2.resize(rough, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return [np.clip(place + rng.normal(0, 3, place.shape), 0, 255).astype(np.uint8) for _ in range(4)]


def cut_out(who: Somebody, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The photograph with the face that wide, (S, S, 3) uint8, and what is shown of it, (S, S, 1) in [0, 1]."""
    zoom = width / who.face.width_px
    how = cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR
    picture = cv2.resize(who.photo, None, fx=zoom, fy=zoom, interpolation=how)
    side = picture.shape[0]
    mask = np.zeros((side, side, 1), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (round(side * 0.40), round(side * 0.46)), 0, 0, 360, 1.0, -1)
    return picture, cv2.GaussianBlur(mask, (0, 0), max(1.0, side / 40))[..., None]


def paste(image: np.ndarray, picture: np.ndarray, mask: np.ndarray, x: int, y: int) -> None:
    """Lay a picture over another one, with its upper left corner there."""
    place = image[y : y + picture.shape[0], x : x + picture.shape[1]]
    rows, columns = place.shape[:2]
    shown = mask[:rows, :columns]
    place[:] = (shown * picture[:rows, :columns] + (1 - shown) * place).astype(np.uint8)


def actor(
    who: Somebody, width: int, lane: tuple[int, int], height: int, walks: bool, rng: np.random.Generator
) -> Actor:
    """Somebody at a width between two columns of the picture, still or walking."""
    picture, mask = cut_out(who, width)
    side = picture.shape[0]
    frames = PER_SECOND * SECONDS
    left, right = lane
    start, top = rng.integers(left, max(left + 1, right - side)), rng.integers(0, max(1, height - side))
    pace = width / PER_SECOND * 0.8 * (1 if start < (left + right - side) / 2 else -1) if walks else 0.0
    x = np.clip(start + pace * np.arange(frames), left, max(left, right - side))
    corners = np.stack([x, np.full(frames, top)], axis=1).round().astype(int)
    return Actor(who, picture, mask, corners, who.face.box * width / who.face.width_px, PER_SECOND if walks else 0)


def film(actors: list[Actor], places: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of a clip."""
    for number in range(PER_SECOND * SECONDS):
        image = places[number % len(places)].copy()
        for one in actors:
            if number < one.first:
                continue
            x, y = one.corners[number]
            paste(image, one.picture, one.mask, x, y)
        yield image


def played(recognizer: Recognizer, frames: Iterator[np.ndarray]) -> list[Event]:
    """The events of a clip before a door that was just opened, the end of its tracks included."""
    events: list[Event] = []
    frame = None
    recognizer = Recognizer(
        recognizer.detector, recognizer.embedder, recognizer.gallery, recognizer.store, recognizer.rules
    )
    for number, image in enumerate(frames):
        frame = Frame(image, number / PER_SECOND)
        events += recognizer.process(frame)
    return events + (recognizer.flush(frame) if frame is not None else [])


def judge(count: Count, actors: list[Actor], events: list[Event], size: tuple[int, int]) -> None:
    """Add a clip."""
    for one in actors:
        count.people += 1
        near = [event for event in events if event.box is not None and lies_at(event.box, one.boxes(), size)]
        verdicts = {event.track: event for event in near if event.event_type in {"recognized", "unknown"}}
        count.seen += bool(near)
        right = [event for event in verdicts.values() if event.name == one.who.name]
        wrong = [event for event in verdicts.values() if event.name not in {None, one.who.name}]
        count.told += bool(right)
        count.false_names += len(wrong)


def lies_at(box: tuple[float, ...], boxes: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a box, in shares of the picture, lies on any of (F, 4)."""
    left, top, width, height = (side * whole for side, whole in zip(box, (*size, *size), strict=True))
    return bool(box_iou(np.array([[left, top, left + width, top + height]]), boxes).max() >= SAME_PLACE_IOU)


def seen_and_told(recognizer: Recognizer, people: list[Somebody], size: str, clips: int, seed: int) -> None:
    """Print the table of one size."""
    width, height = size_of(size)
    rng = np.random.default_rng(seed)
    for face in WIDTHS:
        count = Count()
        for kind, of in [entry for entry in KINDS.items() for _ in range(clips)]:
            chosen = rng.permutation(len(people))[:of]
            lanes = [(width * number // of, width * (number + 1) // of) for number in range(of)]
            walks = [kind == "moving" or (kind == "three" and number == 1) for number in range(of)]
            actors = [
                actor(people[row], face, lane, height, walk, rng)
                for row, lane, walk in zip(chosen, lanes, walks, strict=True)
            ]
            judge(count, actors, played(recognizer, film(actors, backgrounds((width, height), rng))), (width, height))
        seen, told = Share(count.seen, count.people), Share(count.told, count.people)
        counts = f"{count.people:4} people  seen {seen!s:24} told {told!s:24} {count.false_names} false names"
        print(f"{size:>10} {face:5} px {counts}", flush=True)


def costs(folder: Path, people: list[Somebody], sizes: list[str], seed: int) -> None:
    """Print what a frame costs where nobody is and where somebody walks."""
    frames, doors = {}, {}
    for size in (REFERENCE, *sizes):
        rng, (width, height) = np.random.default_rng(seed), size_of(size)
        places = backgrounds((width, height), rng)
        walker = actor(people[1], 64, (0, width), height, True, rng)
        walker.first = 0
        frames[size, "idle"], frames[size, "busy"] = list(film([], places)), list(film([walker], places))
    for number, key in enumerate(frames):
        doors[key] = Device.open(Config(gallery=GalleryConfig(folder / f"cost{number}.db"))).recognizer
    times: dict[tuple[str, str], list[float]] = {key: [] for key in frames}
    count = PER_SECOND * SECONDS
    for number in range(4 * count):
        for key, images in frames.items():
            turn = number % count if number // count % 2 == 0 else count - 1 - number % count  # there and back
            frame = Frame(images[turn], number / PER_SECOND)
            started = time.perf_counter()
            doors[key].process(frame)
            if number >= count:
                times[key].append(1000 * (time.perf_counter() - started))
    for (size, what), row in times.items():
        mean, ratio = np.mean(row), np.mean(row) / np.mean(times[REFERENCE, what])
        print(f"{size:>10} {what}: mean {mean:6.3f} ms, p50 {np.median(row):6.3f} ms, {ratio:5.2f} of {REFERENCE}")


@contextmanager
def door(folder: Path) -> Iterator[Recognizer]:
    """The door as it ships."""
    with Device.open(Config(gallery=GalleryConfig(folder / "gallery.db"))) as device:
        yield device.recognizer


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--clips", type=click.IntRange(0), default=10, show_default=True, help="Of each kind and width.")
@click.option("--size", "sizes", multiple=True, default=SIZES, show_default=True, help="WIDTHxHEIGHT of the footage.")
@click.option("--seed", default=0, show_default=True)
def main(data: Path, clips: int, sizes: tuple[str, ...], seed: int) -> None:
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder, door(Path(folder)) as recognizer:
        people = cast(data, recognizer, np.random.default_rng(seed))
        for size in sizes if clips else ():
            seen_and_told(recognizer, people, size, clips, seed)
        costs(Path(folder), people, list(sizes), seed)


if __name__ == "__main__":
    main()
