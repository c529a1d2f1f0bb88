"""A disk that is full, and one that the kernel makes read-only: the device goes on, reports it, and loses nobody.

    python -m tests.faults.disk [--times 10]

The disks are real mounts, which only root can make. Full is a small tmpfs, filled to the last byte and emptied again
while the device runs. Read-only is ext4 in a file, after an error such as a worn SD card causes: the kernel refuses
every write until it is mounted again, and the device is started again then.
"""

import base64
import json
import os
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import click
from tqdm import tqdm

from edge.demo.story import portrait
from edge.storage.idempotency import hashed
from tests.faults.device import VISITOR, at_work, write_config
from tests.household import Broker, Household, until

FAULT_SECONDS = 5.0
BYTES = 8_000_000


class FullDisk:
    """A small tmpfs; use it in `with`."""

    mends_at_work = True

    def __init__(self, folder: Path) -> None:
        self.place, self.filler = folder / "disk", folder / "disk" / "filler"
        self.place.mkdir()

    def __enter__(self) -> Self:
        call("mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", self.place)
        return self

    def __exit__(self, *_: object) -> None:
        call("umount", self.place)

    def spoil(self) -> None:
        """Fill it to the last byte."""
        with self.filler.open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(bytes(1024))

    def mend(self) -> None:
        """Free it again."""
        self.filler.unlink()


class ReadOnlyDisk:
    """A small ext4 in a file; use it in `with`."""

    mends_at_work = False

    def __init__(self, folder: Path) -> None:
        self.place, self.image = folder / "disk", folder / "card"
        self.place.mkdir()
        self.image.write_bytes(bytes(BYTES))
        call("mkfs.ext4", "-q", "-O", "^has_journal", self.image)

    def __enter__(self) -> Self:
        call("mount", "-o", "loop,errors=remount-ro", self.image, self.place)
        return self

    def __exit__(self, *_: object) -> None:
        call("umount", self.place)

    def spoil(self) -> None:
        """Have the kernel find an error."""
        number = self.place.stat().st_dev
        block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
        Path("/sys/fs/ext4", block, "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Check it, and mount it again."""
        self.__exit__()
        subprocess.run(["fsck.ext4", "-p", self.image], stdout=subprocess.DEVNULL, check=False)  # 1: it had errors
        self.__enter__()


DISKS = {"full": FullDisk, "read-only": ReadOnlyDisk}


def call(*words: object) -> None:
    """Run a command that must succeed."""
    subprocess.run([str(word) for word in words], check=True)


def can_mount() -> bool:
    """Whether this process can mount disks: only root can, and not in every container."""
    if os.geteuid() != 0:
        return False
    with TemporaryDirectory() as folder:
        try:
            with FullDisk(Path(folder)):
                return Path("/sys/fs/ext4").is_dir()
        except (OSError, subprocess.CalledProcessError):
            return False


@dataclass
class Count:
    """What happened. While the disk could not be written: refused, enrollments by code; events, how many arrived.

    reported, recovered: faults that health named, and that it reported as over without a restart
    lost: events that did not arrive; gone: enrollments that were acknowledged and are not on the disk
    """

    faults: int = 0
    refused: Counter = field(default_factory=Counter)
    events: int = 0
    reported: int = 0
    recovered: int = 0
    acknowledged: int = 0
    lost: int = 0
    gone: int = 0


def run(folder: Path, disk: FullDisk | ReadOnlyDisk, times: int) -> Count:
    """Spoil it that often. Raises AssertionError where the device ends, or the gallery does not open clean."""
    count, acknowledged = Count(), set()
    with disk, Broker(folder) as broker, Household(broker.port) as household:
        config = write_config(folder, broker.port, gallery=disk.place / "gallery.db")
        porch = Porch(household)
        for _ in tqdm(range(times), desc="disk spoilt", unit="fault"):
            household.heard.clear()
            with at_work(config, household) as device:
                until(household.events)
                assert porch.enroll() is None
                disk.spoil()
                count.faults += 1
                before, give_up_at = len(household.events()), time.monotonic() + FAULT_SECONDS
                while time.monotonic() < give_up_at:
                    count.refused[porch.enroll()] += 1
                count.reported += until(porch.problem) is not None
                until(lambda before=before: len(household.events()) > before)
                count.events += len(household.events()) - before
                if disk.mends_at_work:
                    disk.mend()
                    until(lambda: porch.problem() is None)
                    assert porch.enroll() is None
                    count.recovered += 1
                assert device.poll() is None
            until(lambda: household.newest("status") == b"offline")
            if not disk.mends_at_work:
                disk.mend()
            numbers = {event["seq"] for event in household.events()}
            count.lost += max(numbers) - min(numbers) + 1 - len(numbers)
        acknowledged = porch.acknowledged
        with sqlite3.connect(disk.place / "gallery.db") as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            kept = {transaction for (transaction,) in raw.execute("SELECT request FROM answer")}
            templates = raw.execute("SELECT count(*) FROM template").fetchone()[0]
        raw.close()
    count.acknowledged = len(acknowledged)
    count.gone = len(acknowledged - kept) + abs(templates - len(kept))
    return count


class Porch:
    """A client that enrolls another picture of somebody again and again, and reads the health of the device."""

    def __init__(self, household: Household) -> None:
        self.household, self.asked = household, 0
        self.acknowledged: set[str] = set()

    def enroll(self) -> str | None:
        """Enroll once. Returns the code of the refusal; None where it is on the disk."""
        self.asked += 1
        picture = base64.b64encode(portrait(VISITOR, look=2 + self.asked / 1000)).decode()
        request = {"transaction": f"t{self.asked}", "name": "Anna", "images": [picture]}
        answer = self.household.ask("enroll/image", request)
        if answer["status"] == "ok":
            self.acknowledged.add(hashed(answer["transaction"]))
        return answer["code"]

    def problem(self) -> str | None:
        """Why events are not written, by the next health."""
        before = len(self.household.on("health"))
        until(lambda: len(self.household.on("health")) > before)
        return json.loads(self.household.newest("health"))["outbox_problem"]


@click.command()
@click.option("--times", default=10, show_default=True)
def main(times: int) -> None:
    """Print what happened; status 1 where an event did not arrive, or an enrollment is gone."""
    if not can_mount():
        raise click.ClickException("a disk cannot be mounted here: this is for root")
    failed = 0
    for name, disk in DISKS.items():
        with TemporaryDirectory() as folder:
            count = run(Path(folder), disk(Path(folder)), times)
        click.echo(f"{name}: {count}")
        failed += count.lost + count.gone + count.faults - count.reported
    if failed:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
