"""What deploy/install takes: by version and hash where deploy/locks has it for the machine, and said where not."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCKS = {path.name: path.read_text() for path in (ROOT / "deploy" / "locks").glob("*.txt")}
FILE = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD = FILE["project"], FILE["build-system"]["requires"]
EXTRAS = PROJECT["optional-dependencies"]


def pinned(text):
    """name -> the versions, each of which has at least one hash."""
    found = {}
    for line in text.replace(" \\\n", " ").splitlines():
        if not line.startswith("#"):
            name, number = re.match(r"([a-z0-9-]+)==([\w.]+) ", line).groups()
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line
            found.setdefault(name, set()).add(number)
    return found


def needs_of(texts):
    """The requirements of a 64-bit machine."""
    needs = map(Requirement, texts)
    return [need for need in needs if need.marker is None or need.marker.evaluate({"platform_machine": "aarch64"})]


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("numpy2.txt", PROJECT["dependencies"] + BUILD),
        ("numpy1.txt", PROJECT["dependencies"] + BUILD),
        ("fleet.txt", EXTRAS["fleet"]),
        ("console.txt", EXTRAS["console"]),
    ],
)
def test_a_lock_holds_what_pyproject_asks_for(name, texts):
    """Where this fails, deploy/lock writes them anew."""
    found = pinned(LOCKS[name])
    for need in needs_of(texts):
        assert found[need.name], need
        assert all(need.specifier.contains(number) for number in found[need.name]), need
    if name.startswith("numpy"):
        assert {number[0] for number in found["numpy"]} == {name[5]}


def test_every_python_that_is_admitted_has_a_lock():
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    for name in ("numpy2.txt", "fleet.txt"):
        targets = [f"{python}-{machine}" for python in pythons for machine in ("aarch64", "x86_64")]
        assert LOCKS[name].splitlines()[1] == f"# For {' '.join(targets)}"
    assert PROJECT["requires-python"] == f">={pythons[0]},<3.{int(pythons[-1][2:]) + 1}"


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_every_dependency_is_bounded_by_what_was_tested(extra):
    for need in map(Requirement, EXTRAS[extra] if extra else PROJECT["dependencies"]):
        if need.name == "limen":
            continue
        bounds = {spec.operator: spec.version for spec in need.specifier}
        assert "<" in bounds or bounds["=="].endswith(".*"), need
        if need.marker is None and extra != "training":  # what these tests run with
            assert need.specifier.contains(version(need.name)), need


def interpreter(tmp_path, python, machine, *, fails=False):
    """A program that says of itself to be that Python, and writes the arguments of every call of pip into `calls`."""
    fake = tmp_path / "python"
    fake.write_text(
        f"""#!/bin/sh
case "$1" in
    -c) echo "{python}-{machine}" ;;
    -V) echo "Python {python}.1" ;;
    *) echo "$*" >> {tmp_path}/calls; exit {int(fails)} ;;
esac
"""
    )
    fake.chmod(0o755)
    return fake


def locked_sh(call, *arguments):
    """What a call of a function of deploy/locked.sh comes to."""
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; . deploy/locked.sh; {call}", "bash", *arguments],
        cwd=ROOT,
        env=os.environ | {"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


def installed(tmp_path, python, machine="aarch64", *, numpy=2, extra="", unlocked="no", fails=False):
    """What install_limen says, and the arguments of every call of pip."""
    fake = interpreter(tmp_path, python, machine, fails=fails)
    done = locked_sh('install_limen "$@"', fake, "SOURCES", str(numpy), extra, unlocked)
    return done.returncode, done.stdout + done.stderr, (tmp_path / "calls").read_text().splitlines()


def test_a_machine_that_has_a_lock_gets_what_it_names_and_nothing_else(tmp_path):
    code, said, calls = installed(tmp_path, "3.13", extra="fleet")
    assert (code, said) == (0, "")
    assert "--require-hashes" in calls[0]
    assert "deploy/locks/numpy2.txt --requirement deploy/locks/fleet.txt" in calls[0]
    assert {"--no-index", "--no-deps", "--no-build-isolation", "SOURCES"} <= set(calls[1].split())


def test_a_system_with_numpy_1_keeps_it(tmp_path):
    _, said, calls = installed(tmp_path, "3.11", numpy=1)
    assert said == ""
    assert "deploy/locks/numpy1.txt" in calls[0]
    assert "fleet" not in calls[0]


@pytest.mark.parametrize(
    ("python", "machine", "numpy"), [("3.11", "armv7l", 1), ("3.13", "aarch64", 1), ("3.1", "aarch64", 2)]
)
def test_a_machine_without_a_lock_is_said_so(tmp_path, python, machine, numpy):
    code, said, calls = installed(tmp_path, python, machine, numpy=numpy, extra="fleet")
    assert code == 0
    assert f"deploy/locks has nothing for Python {python}.1" in said
    assert "no hashes are compared" in said
    assert calls == [f"-m pip install --quiet SOURCES[fleet] numpy{'<2' if numpy == 1 else '>=1'}"]


@pytest.mark.parametrize(
    ("python", "code", "lock", "said"),
    [
        ("3.13", 0, "deploy/locks/console.txt\n", ""),
        ("3.12", 1, "", "limen: deploy/locks/console.txt is for 3.13-aarch64 3.13-x86_64, and not for Python 3.12.1"),
    ],
)
def test_a_lock_that_is_not_for_this_python_ends_the_build_of_the_container(tmp_path, python, code, lock, said):
    done = locked_sh('lock=$(locked_or_fail "$1" console); echo "$lock"', interpreter(tmp_path, python, "aarch64"))
    assert (done.returncode, done.stdout) == (code, lock)
    assert done.stderr.startswith(said)
    assert bool(done.stderr) == bool(code)


def test_who_asks_for_no_lock_gets_none(tmp_path):
    code, said, calls = installed(tmp_path, "3.13", unlocked="yes")
    assert (code, said) == (0, "limen: pip chooses versions within pyproject.toml, and no hashes are compared\n")
    assert calls == ["-m pip install --quiet SOURCES numpy>=1"]


def test_another_hash_is_a_failure_and_never_a_reason_to_compare_none(tmp_path):
    code, said, calls = installed(tmp_path, "3.13", fails=True)
    assert code == 1
    assert "sudo deploy/install --unlocked" in said
    assert len(calls) == 1
