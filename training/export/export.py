"""The whole export: convert, quantize, measure the result, and only then copy it to where it ships from."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from edge.inference.model_card import card_path, cohort_path
from training.engine.run_log import LOG, read_log, validations
from training.engine.task import Parity, Task
from training.evaluate.rounding import rounded
from training.export.card import basics, write_card
from training.export.convert import describe, pinned, to_float_tflite, to_int8_tflite
from training.export.output import output_into
from training.export.partitions import xnnpack_partitions


def export(task: Task, data: Any, runs_dir: Path, models_dir: Path | None) -> tuple[Any, Any, Parity]:
    """Write the .tflite file and its card into the run's folder and, if given, into models_dir.

    Returns the card, the evaluation and the parity.
    Raises ExperimentError where the run is not finished, DataError where nothing is held out.
    """
    network = task.trained(runs_dir)
    run_dir = runs_dir / task.experiment.name
    images = pinned(task.calibration_images(data))
    targets = [run_dir] if models_dir is None else [run_dir, models_dir]
    with ExitStack() as stack:
        # In the targets from the beginning: one that cannot be written is known before the work.
        folder, *_ = folders = [stack.enter_context(folder_in(target)) for target in targets]
        float_model, model = folder / "float.tflite", folder / f"{task.model_name}.tflite"
        with output_into(run_dir / "export.log"):
            to_float_tflite(task.ready_for_int8(network, images), task.input_shape, float_model)
            to_int8_tflite(float_model, images, model)
            if description := task.description(data):
                describe(model, description)
        history = validations(read_log(run_dir / LOG))
        card = task.card(basics(task, network, model, data.split_stats, history), model, data)
        write_card(card, model)
        evaluation = task.evaluate(model, data)
        parity = task.parity(network, evaluation, data)
        numbers = {"parity": rounded(asdict(parity)), "xnnpack": asdict(xnnpack_partitions(model))}
        card = msgspec.structs.replace(task.complete_card(card, evaluation), measured=evaluation.numbers() | numbers)
        write_card(card, model)
        made = [file for file in (model, card_path(model), cohort_path(model)) if file.is_file()]
        for other in folders[1:]:
            for file in made:
                shutil.copyfile(file, other / file.name)
        for target, ready in zip(targets, folders, strict=True):  # all are complete: what was there before is replaced
            for file in made:
                (ready / file.name).replace(target / file.name)
    return card, evaluation, parity


@contextmanager
def folder_in(target: Path) -> Iterator[Path]:
    """A temporary folder in a folder, which is created where it does not exist."""
    target.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target, prefix=".export-") as folder:
        yield Path(folder)
