"""A household of one: each of the five people of the clips is known by one picture, the other four are strangers."""

import csv
from dataclasses import dataclass

import pytest

from edge.capture import open_source
from edge.config import CameraConfig, Config, GalleryConfig
from edge.core.types import EnrollImages
from edge.device import Device


@dataclass(frozen=True)
class Told:
    """One track: whose it was, and what was said of it."""

    clip: str
    truth: str
    said: str
    why: str
    distance: float
    tau: float


def clips(shared):
    with (shared / "data" / "clips" / "people.csv").open() as table:
        return {row["clip"]: row["person"] for row in csv.DictReader(table)}


def frames_of(path):
    source = open_source(CameraConfig("video", str(path), fps_max=30.0), fast=True)
    while (frame := source.read(1.0)) is not None:
        yield frame
    source.close()


def best_still(device, path):
    """The frame of a clip with the best single face in it: what a household would send."""
    best = None
    for frame in frames_of(path):
        faces = device.detector.detect(frame.image)
        if len(faces) == 1 and (best is None or faces[0].score > best[0]):
            best = faces[0].score, frame.image
    return best[1]


def replay(device, path, truth):
    """What is said of every track of a clip; the last word counts."""
    last, frame = {}, None
    for frame in frames_of(path):
        for event in device.door.see(frame):
            last[event.track] = event
    for event in device.door.close(frame):
        last[event.track] = event
    return [
        Told(
            path.name,
            truth,
            event.person.name if event.person else event.kind,
            event.why,
            event.match.distance if event.match else float("nan"),
            event.match.tau if event.match else float("nan"),
        )
        for event in last.values()
    ]


@pytest.mark.parametrize("person", ["A", "B", "C", "D", "E"])
def test_one_picture_is_enough_and_nobody_else_is_named(shared, tmp_path, person, capsys):
    who = clips(shared)
    folder = shared / "data" / "clips"
    device = Device.of(Config(gallery=GalleryConfig(tmp_path / "gallery.db")))
    enrolled_from = next(clip for clip, truth in who.items() if truth == person)
    reply = device.door.handle(EnrollImages(person, [best_still(device, folder / enrolled_from)]))
    assert reply.ok, reply.error
    told = [line for clip, truth in who.items() for line in replay(device, folder / clip, truth)]
    right = [line for line in told if line.said == (person if line.truth == person else "unknown")]
    named = [line for line in told if line.truth != person and line.said == person]
    with capsys.disabled():
        print(f"\n{person}, enrolled from {enrolled_from}:", end=" ")
        print(f"{len(right)} of {len(told)} tracks right, {len(named)} strangers named")
        for line in told:
            mark = " " if line in right else "*"
            said = f"was {line.truth}, said {line.said}"
            print(f" {mark} {line.clip:14} {said:22} d {line.distance:.2f}, tau {line.tau:.2f}: {line.why}")
    assert named == []
    assert len(right) >= 0.9 * len(told)
