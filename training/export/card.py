"""The model card, written from measurements; edge.inference.model_card reads it."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from edge.inference.model_card import Card, Input, card_path, sha256_of
from training.engine.run_log import Line
from training.engine.task import Task
from training.export.counts import count_macs, count_parameters

TOOLCHAIN = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "numpy", "opencv-python-headless")


def basics(
    task: Task, network: nn.Module, model: Path, split_stats: dict[str, object], history: list[Line]
) -> dict[str, Any]:
    """The fields that the card of every kind of model has.

    history: the validations of the run
    """
    height, width, channels = task.input_shape
    colours = "grey" if channels == 1 else "RGB"
    return {
        "schema": 1,
        "name": task.model_name,
        "sha256": sha256_of(model),
        "input": Input(width, height, colours, "int8", "pixel - 128; scale 1/128, zero point 0"),
        "macs": count_macs(network, task.input_shape),
        "parameters": count_parameters(network),
        "bytes": model.stat().st_size,
        "learned_from": task.lineage() | {"split_stats": split_stats, "history": history},
        "terms": task.terms(),
        "measured": {},
        "toolchain": {"python": platform.python_version()} | {package: version(package) for package in TOOLCHAIN},
        "command": " && ".join(["limen-train fit " + name for name in task.stages()] + [task.export_command()]),
    }


def write_card(card: Card, model: Path) -> Path:
    """Write the card beside the model as indented JSON; a kill half way leaves the old card."""
    path = card_path(model)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    return partial.replace(path)
