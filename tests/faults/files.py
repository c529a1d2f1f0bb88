"""Files are replaced and removed under a device, or damaged before it starts: it goes on, and says what is so.

    python -m tests.faults.files [--times 10]

replaced: an older copy takes the place of the gallery; removed: the gallery is away for a while; log: its log of writes
is removed; garbage, truncated, immutable: so the outbox is when the device starts. Whoever is enrolled meanwhile is
told the truth: what was answered `ok` is in the gallery when the device has ended.
"""

import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from tests.faults.device import at_work, write_config
from tests.faults.disk import Porch
from tests.household import Broker, Household, until

ENROLLMENTS = 5
PAGE_BYTES = 4096


@dataclass
class Count:
    """What happened. named: faults that the log or health named; answers to enrollments after the fault, by code

    worked: faults after which enrollments were answered ok and events came, without a restart
    gone: enrollments that were answered ok and are not in the gallery
    """

    faults: int = 0
    named: int = 0
    worked: int = 0
    answers: Counter = field(default_factory=Counter)
    acknowledged: int = 0
    gone: int = 0


def nothing(_gallery: Path) -> None:
    """As it is."""


@dataclass(frozen=True)
class Fault:
    """What is done to the files before the device starts, while it runs (and undone), and after it ended.

    says: what the log says of it
    """

    says: str
    before: Callable[[Path], object] = nothing
    during: Callable[[Path], object] = nothing
    undo: Callable[[Path], object] = nothing
    after: Callable[[Path], object] = nothing


def older(gallery: Path) -> Path:
    return gallery.with_name("older.db")


def outbox(gallery: Path) -> Path:
    return gallery.with_name("outbox.db")


def away(gallery: Path) -> Path:
    return gallery.with_name("away.db")


def make_immutable(path: Path, sign: str) -> None:
    subprocess.run(["chattr", f"{sign}i", path], check=True)


FAULTS = {
    "replaced": Fault(
        "was replaced by another file",
        before=lambda gallery: shutil.copy(gallery, older(gallery)),
        during=lambda gallery: older(gallery).replace(gallery),
    ),
    "removed": Fault(
        "there is no gallery",
        during=lambda gallery: gallery.rename(away(gallery)),
        undo=lambda gallery: away(gallery).rename(gallery),
    ),
    "log": Fault(
        "was replaced by another file", during=lambda gallery: gallery.with_name(f"{gallery.name}-wal").unlink()
    ),
    "garbage": Fault("it was set aside", before=lambda gallery: outbox(gallery).write_bytes(b"garbage " * 1000)),
    "truncated": Fault("it was set aside", before=lambda gallery: os.truncate(outbox(gallery), PAGE_BYTES + 100)),
    "immutable": Fault(
        "events are in memory alone",
        before=lambda gallery: make_immutable(outbox(gallery), "+"),
        after=lambda gallery: make_immutable(outbox(gallery), "-"),
    ),
}


def run(folder: Path, fault: Fault, times: int) -> Count:
    """Do it that often. Raises AssertionError where the device does not start or ends, or the gallery is damaged."""
    count, gallery, expected = Count(), folder / "gallery.db", set[str]()
    with Broker(folder) as broker, Household(broker.port) as household:
        config, porch = write_config(folder, broker.port), Porch(household)
        with at_work(config, household):
            until(household.events)
        for _ in tqdm(range(times), desc="files", unit="fault"):
            household.heard.clear()
            said = (folder / "log").stat().st_size
            fault.before(gallery)
            try:
                with at_work(config, household) as device:
                    earlier = acknowledged(porch, count) if fault.before is nothing else set()
                    fault.during(gallery)
                    count.faults += 1
                    later = acknowledged(porch, count)
                    fault.undo(gallery)
                    later |= acknowledged(porch, count)
                    before = len(household.events())
                    count.worked += bool(later) and bool(until(lambda before=before: len(household.events()) > before))
                    assert device.poll() is None
            finally:
                fault.after(gallery)
            count.named += fault.says.encode() in (folder / "log").read_bytes()[said:]
            expected |= earlier | later
    with closing(sqlite3.connect(gallery)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {transaction for (transaction,) in raw.execute("SELECT request FROM answer")}
        templates = raw.execute("SELECT count(*) FROM template").fetchone()[0]
    count.acknowledged = len(expected)
    count.gone = len(expected - kept) + max(0, len(expected) - templates)
    return count


def acknowledged(porch: Porch, count: Count) -> set[str]:
    """Enroll a few times; which of them were answered ok, as the gallery keeps it."""
    before = set(porch.acknowledged)
    for _ in range(ENROLLMENTS):
        count.answers[porch.enroll() or "ok"] += 1
        time.sleep(0.1)
    return porch.acknowledged - before


@click.command()
@click.option("--times", default=10, show_default=True)
def main(times: int) -> None:
    """Print what happened; status 1 where an enrollment is gone, a fault was not named, or the device was silent."""
    failed = 0
    for name, fault in FAULTS.items():
        if name == "immutable" and os.geteuid() != 0:
            continue
        with TemporaryDirectory() as folder:
            count = run(Path(folder), fault, times)
        click.echo(f"{name}: {count}")
        failed += count.gone + 2 * count.faults - count.named - count.worked
    if failed:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
