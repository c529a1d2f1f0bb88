"""The log of a run: one JSON object a line, of the loss of a batch or of a validation."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

LOG = "log.jsonl"
Line = dict[str, Any]  # "step", "images", and numbers by name; a line of the loss has "total"


class RunLog:
    """Appends lines. A resumed run first drops the lines of the steps that it repeats."""

    def __init__(self, path: Path, start_step: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_log(path) if line.get("step", start_step + 1) <= start_step]
        partial = path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in kept))
        partial.replace(path)
        self._file = path.open("a", buffering=1)

    def write(self, **values: float | None) -> None:
        """Append one line."""
        self._file.write(json.dumps(values) + "\n")


def read_log(path: Path) -> list[Line]:
    """All whole lines of a log that are objects; one that a kill cut off is dropped."""
    lines = []
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                values = json.loads(line)
                if isinstance(values, dict):
                    lines.append(values)
    return lines


def validations(log: list[Line]) -> list[Line]:
    """The lines of the validations, without those of the loss."""
    return [line for line in log if "total" not in line]
