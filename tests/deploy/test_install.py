"""The installer, as far as it goes without being root: deploy/rehearse installs, upgrades and goes back."""

import re
import subprocess
from pathlib import Path

import pytest

from edge.commands.config_file import load_config
from edge.config import Config

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.mark.parametrize("script", ["install", "rehearse", "demo", "locked.sh", "need.sh"])
def test_a_script_is_one_that_bash_reads(script):
    assert subprocess.run(["bash", "-n", DEPLOY / script], check=False).returncode == 0


def test_it_explains_itself_to_whoever_asks_for_something_else():
    done = subprocess.run([DEPLOY / "install", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for option in ("--unlocked", "--rollback", "--uninstall", "--purge"):
        assert f"sudo deploy/install {option}" in done.stdout


def test_where_nothing_is_installed_there_is_no_way_back():
    if Path("/opt/limen").exists():
        pytest.skip("limen is installed on this machine, which no test may touch")
    done = subprocess.run([DEPLOY / "install", "--rollback"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "limen: nothing is installed in /opt/limen\n")


def test_the_rehearsal_explains_itself_before_it_touches_anything():
    done = subprocess.run([DEPLOY / "rehearse"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "sudo deploy/rehearse FOLDER [trixie|bookworm]" in done.stdout


@pytest.mark.parametrize("script", ["rehearse", "lock"])
def test_a_script_that_is_asked_for_help_gives_it_and_does_nothing_else(script, tmp_path):
    done = subprocess.run([DEPLOY / script, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"deploy/{script} " in done.stdout
    assert "set -euo" not in done.stdout


def test_the_unit_runs_what_the_installer_installs():
    home = re.search(r"^home=(\S+)", (DEPLOY / "install").read_text(), flags=re.MULTILINE)[1]
    unit = (DEPLOY / "limen.service").read_text()
    assert f"ExecStart={home}/current/bin/limen --config /etc/limen/limen.toml run" in unit


def test_the_configuration_that_is_installed_holds_also_with_every_line_of_it(tmp_path):
    text = (DEPLOY / "limen.toml").read_text()
    (tmp_path / "limen.toml").write_text(text)
    assert load_config(tmp_path / "limen.toml") == Config()
    (tmp_path / "limen.toml").write_text(re.sub(r"^# (\w+ = |\[)", r"\1", text, flags=re.MULTILINE))
    config = load_config(tmp_path / "limen.toml")
    assert (config.mqtt.port, config.mqtt.username) == (8883, "door")
    assert (config.strangers.keep_days, config.mqtt.snapshot, len(config.camera.privacy_zones)) == (30, True, 1)
    assert config.fleet.key_file == Path("/etc/limen/household.key")
