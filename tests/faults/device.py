"""A `limen run` in a process of its own, watching somebody on the drawn porch."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cv2
import tomli_w

from edge.demo.scene import porch, with_person
from tests.household import Household, until, visit

VISITOR = 1  # who comes, in the sheet of people
AWAY_FRAMES = 30  # three seconds: longer than a track is held, so that each visit is one of its own


@cache
def footage() -> tuple[bytes, ...]:
    """JPEGs of a visit, and of the porch after it."""
    visitor = [with_person(porch(), VISITOR, pose) for pose in visit(0.0)]
    return tuple(
        cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes() for picture in [*visitor, *[porch()] * AWAY_FRAMES]
    )


def write_config(folder: Path, port: int, gallery: Path | None = None, **mqtt: object) -> Path:
    """A device called porch, its pictures and, if not said otherwise, its gallery in that folder.

    Returns its configuration.
    """
    pictures = folder / "pictures"
    pictures.mkdir()
    for number, picture in enumerate(footage()):
        (pictures / f"{number:03d}.jpg").write_bytes(picture)
    path = folder / "limen.toml"
    config = {
        "device": "porch",
        "camera": {"kind": "images", "location": str(pictures)},
        "gallery": {"path": str(gallery or folder / "gallery.db")},
        "mqtt": {"host": "127.0.0.1", "port": port, "health_every_seconds": 1.0, **mqtt},
    }
    path.write_text(tomli_w.dumps(config))
    return path


@contextmanager
def at_work(config: Path, household: Household) -> Iterator[subprocess.Popen]:
    """The process, once it is online; it ends with the block, if it did not before."""
    with (config.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "--config", str(config), "run", "--loop"], stdout=log, stderr=log
        )
        try:
            until(lambda: household.newest("status") == b"online")
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)
