"""Whatever signal ends `limen run`, it says `offline` before, and not by its Last Will."""

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.faults.device import at_work, write_config
from tests.household import until

ENDING = [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", ENDING, ids=lambda number: number.name)
def test_a_signal_ends_it_in_order(broker, household, tmp_path, number):
    with at_work(write_config(tmp_path, broker.port), household) as process:
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    until(lambda: household.newest("status") == b"offline")
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_one_that_is_ignored_stays_ignored(broker, household, tmp_path):
    config = write_config(tmp_path, broker.port)
    command = [sys.executable, "-m", "edge", "--config", str(config), "run", "--loop"]
    process = subprocess.Popen(["nohup", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: household.newest("status") == b"online")
        os.kill(process.pid, signal.SIGHUP)
        before = len(household.on("health"))
        until(lambda: len(household.on("health")) > before + 1)
        assert json.loads(household.newest("health"))["fps"] > 0
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0
