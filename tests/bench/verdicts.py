"""What is said of whole tracks: the clips of five people, each enrolled by one still of one of their clips.

    python -m tests.bench.verdicts [--data ../shared] [--fpir 1e-3] [--json]

All five are enrolled, and every clip is played, but for those that the stills came from; then each person's clips are
played while only the other four are enrolled. Intervals are exact, of 95 %. Tracks of one clip are not independent.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np

from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig
from edge.core.events import Event
from edge.core.types import Frame
from edge.inference.detector import Detector
from edge.runtime.assembly import Device
from training.evaluate.shares import Share


@dataclass
class Track:
    """What was said of one track, in order, and when. first_at: its first event, in seconds of the clip."""

    said: list[str] = field(default_factory=list)
    first_at: float = 0.0


@dataclass(frozen=True)
class Told:
    """Counts over tracks with a verdict. known: of people who are enrolled; strangers: of others."""

    known: int
    right_at_first: int
    right_at_last: int
    unknown_at_any_time: int
    changed: int
    named_wrongly: int
    strangers: int
    strangers_named: int
    median_seconds_to_verdict: float

    def lines(self) -> list[str]:
        """For people."""
        counts = {
            "right at first": (self.right_at_first, self.known),
            "right at last": (self.right_at_last, self.known),
            "unknown said of somebody known": (self.unknown_at_any_time, self.known),
            "verdict changed": (self.changed, self.known),
            "named wrongly": (self.named_wrongly, self.known),
            "strangers named": (self.strangers_named, self.strangers),
        }
        lines = [
            f"{what:32} {passed:4} of {trials:4}  {Share(passed, trials)}" for what, (passed, trials) in counts.items()
        ]
        return [*lines, f"median time to the first verdict: {self.median_seconds_to_verdict:.2f} s"]


def frames(clip: Path) -> Iterator[Frame]:
    """Every frame of a clip."""
    source = open_source(CameraConfig("video", str(clip), fps_max=30.0), fast=True)
    try:
        while (frame := source.read(1.0)) is not None:
            yield frame
    finally:
        source.close()


def best_still(clip: Path) -> np.ndarray:
    """The frame with the best single face."""
    detector, best = Detector(), (0.0, np.zeros(0))
    for frame in frames(clip):
        faces = detector.detect(frame.image)
        if len(faces) == 1 and faces[0].score > best[0]:
            best = faces[0].score, frame.image
    return best[1]


def play(config: Config, stills: dict[str, np.ndarray], clips: list[Path]) -> dict[Path, list[Track]]:
    """The tracks of each clip, by a device that knows these people by one still each."""
    told = {}
    with Device.open(config) as device:
        for name, still in stills.items():
            device.recognizer.enroll(name, [still])
        for clip in clips:
            tracks: dict[str, Track] = {}
            last = None
            for frame in frames(clip):
                last = frame
                note(tracks, device.recognizer.process(frame))
            if last is not None:
                note(tracks, device.recognizer.flush(last))
            told[clip] = list(tracks.values())
    return told


def note(tracks: dict[str, Track], events: list[Event]) -> None:
    """Add the verdicts among the events to their tracks."""
    for event in events:
        if event.phase == "end" or event.track is None or event.event_type == "low_quality":
            continue
        track = tracks.setdefault(event.track, Track(first_at=event.at))
        track.said.append(event.name or "unknown")


def measure(data: Path, fpir: float | None) -> Told:
    """Play everything."""
    folder = data / "data" / "clips"
    with (folder / "people.csv").open() as table:
        truth = {folder / row["clip"]: row["person"] for row in csv.DictReader(table)}
    sources = {
        person: next(clip for clip, of in truth.items() if of == person) for person in sorted(set(truth.values()))
    }
    stills = {person: best_still(clip) for person, clip in sources.items()}
    counts: Counter[str] = Counter()
    seconds = []
    with TemporaryDirectory() as place:
        for number, left_out in enumerate([None, *stills]):
            config = Config(device="bench", gallery=GalleryConfig(Path(place) / f"{number}.db"))
            if fpir is not None:
                config = replace(config, decision=replace(config.decision, fpir=fpir))
            known = {person: still for person, still in stills.items() if person != left_out}
            clips = [clip for clip, of in truth.items() if of == left_out or (left_out is None and clip != sources[of])]
            for clip, tracks in play(config, known, clips).items():
                for track in tracks:
                    count(counts, track.said, truth[clip] if left_out is None else None)
                    if left_out is None:
                        seconds.append(track.first_at)
    return Told(
        **{name: counts[name] for name in Told.__annotations__ if name != "median_seconds_to_verdict"},
        median_seconds_to_verdict=round(float(np.median(seconds)), 3),
    )


def count(counts: Counter[str], said: list[str], name: str | None) -> None:
    """Count what was said of a track; name: who it was, or None for a stranger."""
    if name is None:
        counts["strangers"] += 1
        counts["strangers_named"] += set(said) != {"unknown"}
        return
    counts["known"] += 1
    counts["right_at_first"] += said[0] == name
    counts["right_at_last"] += said[-1] == name
    counts["unknown_at_any_time"] += "unknown" in said
    counts["changed"] += len(said) > 1
    counts["named_wrongly"] += bool(set(said) - {name, "unknown"})


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("../shared"), show_default=True)
@click.option("--fpir", type=float, help="How often a stranger may be named  [default: as it ships]")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
def main(data: Path, fpir: float | None, as_json: bool) -> None:
    told = measure(data, fpir)
    print(json.dumps(vars(told)) if as_json else "\n".join(told.lines()))


if __name__ == "__main__":
    main()
