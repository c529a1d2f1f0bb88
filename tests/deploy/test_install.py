"""The installer, below a folder that stands for the root, with programs that note what they are asked for.

deploy/rehearse installs, upgrades and goes back on a Debian of its own.
"""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from edge.commands.config_file import load_config
from edge.config import Config
from tests.household import until

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
    home = re.search(r"^home=\$root(\S+)", (DEPLOY / "install").read_text(), flags=re.MULTILINE)[1]
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


NOTE = 'echo "${0##*/} $*" >> "$LIMEN_ROOT/log"\n'
PROGRAMS = {
    "apt-cache": "exit 1\n",
    "apt-get": "",
    "chown": "",
    "date": 'echo x >> "$LIMEN_ROOT/dates"\nprintf "20260101T%06d\\n" "$(wc -l < "$LIMEN_ROOT/dates")"\n',
    "findmnt": "echo ext4\n",
    "getent": '[ ! -e "$LIMEN_ROOT/no-$2" ]\n',
    "id": 'if [ "$1" = -u ]; then echo 0; fi\n',
    "install": "words=()\n"
    'while [ $# -gt 0 ]; do case $1 in -o | -g) shift 2 ;; *) words+=("$1"); shift ;; esac; done\n'
    'exec /usr/bin/install "${words[@]}"\n',
    "runuser": NOTE + '[ ! -e "$LIMEN_ROOT/no-rebuild" ]\n',
    "systemctl": NOTE,
    "useradd": NOTE,
    "userdel": NOTE,
    "usermod": NOTE,
    "python3": 'if [ "$1 $2" = "-m venv" ]; then\n'
    '    mkdir -p "${!#}/bin"\n'
    '    cp "$LIMEN_ROOT/python" "${!#}/bin/python"\n'
    "else\n"
    "    exit 1\n"
    "fi\n",
}
HANG = 'if [ "${HANG:-}" = %s ]; then touch "$LIMEN_ROOT/hangs"; sleep 60; fi\n'
# Of a release: pip makes its program; a file `broken` in the release has its Python know no module that models needs.
PYTHON = f"""#!/bin/bash
release=$(dirname "$(dirname "$0")")
case "$*" in
    "-m pip "*) {HANG % "pip"} cp "$LIMEN_ROOT/limen" "$release/bin/limen" ;;
    *models\\ --after*)
        echo "python $*" >> "$LIMEN_ROOT/log"
        [ ! -e "$release/broken" ] || exit 1
        {HANG % "after"} ;;
esac
exit 0
"""
LIMEN = f"""#!/bin/bash
case $1 in
    --version) basename "$(dirname "$(dirname "$(readlink -f "$0")")")" ;;
    bench) {HANG % "bench"} ;;
esac
exit 0
"""


class Machine:
    """A checkout, and a root to install it below."""

    def __init__(self, folder):
        self.root, self.source, programs = folder / "root", folder / "checkout", folder / "bin"
        for path in ("opt", "etc/systemd/system", "var/lib", "run/systemd/system", "proc"):
            (self.root / path).mkdir(parents=True)
        for name in ("edge", "training", "deploy"):
            (self.source / name).mkdir(parents=True)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            (self.source / name).touch()
        for name in ("install", "locked.sh", "models", "limen.toml", "limen.service"):
            shutil.copy(DEPLOY / name, self.source / "deploy" / name)
        programs.mkdir()
        texts = {programs / name: f"#!/bin/bash\n{text}" for name, text in PROGRAMS.items()}
        texts |= {self.root / "python": PYTHON, self.root / "limen": LIMEN}
        for path, text in texts.items():
            path.write_text(text)
            path.chmod(0o755)
        self.home = self.root / "opt" / "limen"
        self.environment = {"PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin", "LIMEN_ROOT": str(self.root)}

    def begin(self, *words, **environment):
        return subprocess.Popen(
            [self.source / "deploy" / "install", *words],
            env=self.environment | environment, text=True, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words, code=0, **environment):
        """What it said, on both."""
        started = self.begin(*words, **environment)
        said = "".join(started.communicate(timeout=60))
        assert started.returncode == code, said
        return said

    def end(self, number, *words, at):
        """Begin and end it there, as a terminal does: with all that it started."""
        started = self.begin(*words, HANG=at)
        until((self.root / "hangs").exists)
        os.killpg(started.pid, number)
        started.communicate(timeout=20)
        assert started.returncode == (-number if number == signal.SIGKILL else 128 + number)
        (self.root / "hangs").unlink()

    def install(self):
        """Install the next release."""
        self.run()
        return self.current()

    def current(self):
        return (self.home / "current").readlink()

    def releases(self):
        return sorted((self.home / "releases").iterdir())

    def log(self, program):
        lines = (self.root / "log").read_text().splitlines()
        return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_a_release_is_switched_to_and_limen_started(machine):
    said = machine.run()
    release = machine.current()
    assert machine.releases() == [release]
    assert (machine.root / "etc/limen/limen.toml").read_text() == (DEPLOY / "limen.toml").read_text()
    assert (machine.root / "etc/systemd/system/limen.service").is_file()
    assert machine.log("systemctl") == ["daemon-reload", "enable limen", "stop limen", "restart limen"]
    assert "done." in said


@pytest.mark.parametrize("at", ["pip", "bench"])
def test_the_way_back_leads_to_a_release_that_was_in_use(machine, at):
    first = machine.install()
    machine.end(signal.SIGKILL, at=at)  # as where the power is cut
    assert len(machine.releases()) == 2
    assert "there is no release before this one" in machine.run("--rollback", code=1)
    assert machine.current() == first
    second = machine.install()
    assert machine.releases() == [first, second]  # the half-built one went
    machine.end(signal.SIGKILL, at=at)
    assert f"back at {first.name}" in machine.run("--rollback")
    assert machine.current() == first
    machine.run("--rollback")
    assert machine.current() == second
    machine.run("--rollback")
    third = machine.install()
    assert machine.releases() == [first, third]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_is_ended_before_it_was_tried_leaves_nothing(machine, number):
    first = machine.install()
    machine.end(number, at="bench")
    assert (machine.current(), machine.releases()) == (first, [first])
    assert machine.log("systemctl")[-1] == "restart limen"  # it was not stopped again


def test_from_an_older_installers_releases_it_goes_back_to_one_that_works(machine):
    first, second = machine.install(), machine.install()
    half_built = machine.home / "releases" / "20260101T000001x"
    (half_built / "bin").mkdir(parents=True)
    for release in (first, second):
        (release / ".used").unlink()
        shutil.rmtree(release / "deploy")
    machine.run("--rollback")
    assert machine.current() == first
    machine.run("--rollback")
    assert machine.current() == second
    shutil.rmtree(first)
    assert "there is no release before this one" in machine.run("--rollback", code=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_limen_is_not_left_stopped(machine, number):
    first = machine.install()
    machine.end(number, at="after")
    second = machine.current()
    assert second != first
    assert second.is_dir()
    assert machine.log("systemctl")[-2:] == ["stop limen", "start --no-block limen"]
    assert machine.log("runuser") == []
    machine.end(number, "--rollback", at="after")
    assert machine.current() == first
    assert machine.log("systemctl")[-2:] == ["stop limen", "start --no-block limen"]
    machine.run("--rollback")
    assert machine.log("systemctl")[-2:] == ["stop limen", "restart limen"]


def test_the_user_limen_can_enter_a_release_whatever_mask_root_has(machine):
    before = os.umask(0o077)
    try:
        release = machine.install()
    finally:
        os.umask(before)
    for path in (machine.home, release.parent, release, release / "bin", release / "bin" / "limen"):
        assert path.stat().st_mode & 0o005 == 0o005, path
    machine.home.chmod(0o700)  # as an older installer left it
    machine.install()
    assert machine.home.stat().st_mode & 0o005 == 0o005


def test_the_user_limen_may_open_the_camera(machine):
    (machine.root / "no-video").touch()
    machine.install()
    assert machine.log("usermod") == []
    (machine.root / "no-video").unlink()
    machine.install()
    assert machine.log("usermod") == ["-aG video limen"]


def test_templates_are_rebuilt_by_the_script_of_the_release_that_is_switched_to(machine):
    first = machine.install()
    script = machine.home / "current" / "deploy" / "models"
    assert machine.log("python") == [f"{script} --after"]
    assert (first / "deploy" / "models").read_bytes() == (DEPLOY / "models").read_bytes()
    second = machine.install()
    machine.run("--rollback")
    assert machine.log("python")[1:] == [f"{script} --after {first}", f"{script} --after {second}"]
    assert "runuser" not in (machine.root / "log").read_text()


def test_a_release_whose_script_does_not_run_rebuilds_all_the_same(machine):
    first, second = machine.install(), machine.install()
    shutil.rmtree(first / "deploy")  # of an older installer
    (first / "broken").touch()
    said = machine.run("--rollback")
    assert machine.log("python")[-1] == f"deploy/models --after {second}"
    limen = machine.home / "current" / "bin" / "limen"
    config = machine.root / "etc" / "limen" / "limen.toml"
    assert machine.log("runuser") == [f"-u limen -- {limen} --config {config} rebuild"]
    assert "doctor" not in said
    machine.run("--rollback")
    (machine.root / "no-rebuild").touch()
    assert f"sudo -u limen {limen} doctor says more" in machine.run("--rollback")
    assert machine.log("systemctl")[-1] == "restart limen"


def test_what_is_taken_away_comes_back_with_its_models(machine):
    machine.install()
    kept = machine.home / "models" / "0123456789ab" / "ours.tflite"
    kept.parent.mkdir(parents=True)
    kept.touch()
    people = machine.root / "var" / "lib" / "limen" / "gallery.db"
    people.touch()
    machine.run("--uninstall")
    assert [path.name for path in machine.home.iterdir()] == ["models"]
    assert kept.is_file()
    assert people.is_file()
    assert not (machine.root / "etc/systemd/system/limen.service").exists()
    machine.install()
    assert machine.log("python")[-1].endswith("deploy/models --after")  # an older embedder may have made the templates
    machine.run("--purge")
    for path in (machine.home, people.parent, machine.root / "etc" / "limen"):
        assert not path.exists()


def test_where_nothing_of_ones_own_is_there_the_folder_goes_too(machine):
    machine.install()
    machine.run("--uninstall")
    assert not machine.home.exists()
    machine.run("--uninstall")


@pytest.mark.parametrize("words", [(), ("--rollback",), ("--uninstall",)])
def test_nothing_is_changed_below_an_overlay_of_memory(machine, words):
    first = machine.install()
    (machine.root / "proc" / "cmdline").write_text("overlayroot=tmpfs:recurse=0 console=tty1\n")
    said = machine.run(*words, code=1)
    (section,) = re.findall("'(.*)'", said)
    assert f"\n## {section}\n" in (DEPLOY / "OPERATIONS.md").read_text()
    assert (machine.current(), machine.releases()) == (first, [first])
