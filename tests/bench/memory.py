"""What `limen run` holds in memory while a film is played to it again and again.

    python -m tests.bench.memory [--source ../shared/data/clips/three_faces.mp4] [--minutes 10]

The device is a process of its own at a real mosquitto; it is asked for nothing, and says every minute what it holds.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from edge.runtime.device_name import host_name
from tests.household import Broker, Household

SHARED = Path("../shared/data/clips/three_faces.mp4")


@click.command()
@click.option("--source", type=click.Path(path_type=Path), default=SHARED, show_default=True)
@click.option("--minutes", type=click.IntRange(1), default=10, show_default=True)
def main(source: Path, minutes: int) -> None:
    """Print memory and pace, minute by minute."""
    with (
        TemporaryDirectory() as folder,
        Broker(Path(folder)) as broker,
        Household(broker.port, host_name()) as household,
    ):
        gallery, address = Path(folder) / "gallery.db", f"127.0.0.1:{broker.port}"
        program = [sys.executable, "-m", "edge", "--gallery", gallery, "run", "--loop"]
        device = subprocess.Popen([*program, "--source", source, "--broker", address], stderr=subprocess.DEVNULL)
        try:
            for minute in range(minutes + 1):
                while len(household.on("health")) <= minute:
                    if device.poll() is not None:
                        raise click.ClickException(f"limen run ended with status {device.returncode}")
                    time.sleep(0.5)
                health = json.loads(household.newest("health"))
                frame = health["ms"]["frame"]
                click.echo(
                    f"minute {minute}: {health['rss_mb']} MB, {health['fps']} frames/s, p50 {frame['p50']} ms, "
                    f"p95 {frame['p95']} ms, {health['dropped_frames']} dropped"
                )
        finally:
            device.terminate()
            device.wait()


if __name__ == "__main__":
    main()
