"""The systemd unit, as systemd itself judges it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.markdown import Page

UNIT = Path(__file__).parents[2] / "deploy" / "limen.service"
EXPOSURE_MAX = 1.5


@pytest.fixture
def unit(tmp_path):
    """A copy whose program is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    copy = tmp_path / UNIT.name
    text, changed = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    assert changed == 1
    copy.write_text(text)
    return copy


def test_systemd_has_nothing_to_say_against_it(unit):
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_drop_in_of_the_operations_page_is_one_that_systemd_takes(unit):
    (drop_in,) = Page("deploy/OPERATIONS.md").blocks_of("systemd")
    folder = unit.with_name(f"{unit.name}.d")
    folder.mkdir()
    (folder / "network.conf").write_text(drop_in)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_it_exposes_little(unit):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for limen\.service: (\d+\.\d+)", done.stdout)
    assert exposure, done.stdout + done.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX
