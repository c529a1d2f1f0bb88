"""The wheel and the sdist, as pip and pipx take them: built, checked, installed elsewhere and run."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import cv2
import pytest
from skimage.data import astronaut

import edge

ROOT = Path(__file__).parents[2]
PACKAGES = ("edge", "training")


def tracked():
    """What belongs to the project, with what is new and not yet committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def run(*command, cwd):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_package_is_built_with_all_that_it_needs_and_runs_elsewhere(tmp_path):
    source, files = tmp_path / "source", tracked()
    for name in files:
        if name.startswith((*PACKAGES, "pyproject.toml", "README.md", "LICENSE")):
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path, source, cwd=tmp_path)
    (wheel,), (sdist,) = tmp_path.glob("*.whl"), tmp_path.glob("*.tar.gz")  # the wheel is built from the sdist
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, cwd=tmp_path)

    for_readers = tuple(f"{package}/{name}" for package in PACKAGES for name in ("README.md", "reports/"))
    needed = {name for name in files if name.split("/")[0] in PACKAGES and not name.startswith(for_readers)}
    assert needed - set(ZipFile(wheel).namelist()) == set()

    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--quiet", "--python", python, "install", "--no-deps", wheel, cwd=tmp_path)
    (there,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    (there / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")  # what limen needs, from here
    limen = tmp_path / "venv" / "bin" / "limen"
    cv2.imwrite(str(tmp_path / "eileen.png"), astronaut()[..., ::-1])
    assert run(limen, "--version", cwd=tmp_path) == f"limen, version {edge.__version__}\n"
    assert run(limen, "--gallery", "g.db", "enroll", "Eileen", "eileen.png", cwd=tmp_path).startswith("Eileen: 1")
    where = "import edge.inference.detector as d; print(d.STANDARD)"
    assert run(python, "-c", where, cwd=tmp_path).startswith(str(there))
