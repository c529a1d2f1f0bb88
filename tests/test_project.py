"""The one check command: `pytest` also runs the linter, the formatter, the layer contracts and the type checker."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["lint-imports"], ["mypy"]], ids=" ".join
)
def test_the_sources_hold_to_their_rules(command):
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_the_readmes_test_command_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line and not line.startswith("#")]
    block = (ROOT / "README.md").read_text().split("```sh\n")[2].split("```")[0]
    assert lines == ["set -euo pipefail", 'cd "$(dirname "$0")/.."', *block.strip().splitlines()]


def test_nothing_large_and_nothing_shared_is_committed():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert files
    for name in files:
        bytes_max = 4_000_000 if name.startswith("training/weights/") else 2 * 1024 * 1024
        assert (ROOT / name).stat().st_size <= bytes_max, name
        assert not name.endswith((".onnx", ".npz", ".zip", ".pt")), name


def test_every_error_is_in_the_tree_that_the_module_draws():
    import edge.errors

    drawn = edge.errors.__doc__
    for name in dir(edge.errors):
        if name.endswith("Error"):
            assert issubclass(getattr(edge.errors, name), edge.errors.LimenError)
            assert name in drawn
