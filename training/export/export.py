"""Export, the whole way: convert, quantize, measure what came out, and only then put it where it ships from."""

import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from edge.inference.model_card import Card, card_path
from training.engine.task import Data, Evaluation, Parity, Task
from training.engine.trainer import LOG, looks_of, read_log
from training.evaluate.rounding import rounded
from training.export.card import basics, write_card
from training.export.convert import pinned, to_float_tflite, to_int8_tflite
from training.export.output import output_into
from training.export.partitions import xnnpack_partitions


def export(task: Task, data: Data, runs_dir: Path, models_dir: Path | None) -> tuple[Card, Evaluation, Parity]:
    """Write the .tflite file and its card into the run's folder and, once measured, into models_dir if given.

    Raises ExperimentError where the run is not finished, DataError where nothing was held out to measure on.
    """
    network = task.trained(runs_dir)
    run_dir = runs_dir / task.experiment.name
    images = pinned(task.calibration_images(data))
    with TemporaryDirectory(dir=run_dir) as folder:
        float_model, model = Path(folder) / "float.tflite", Path(folder) / f"{task.model_name}.tflite"
        with output_into(run_dir / "export.log"):
            to_float_tflite(network, task.input_shape, float_model)
            to_int8_tflite(float_model, images, model)
        growth = looks_of(read_log(run_dir / LOG))
        card = task.card(basics(task, network, model, data.account, growth), model, data)
        write_card(card, model)
        evaluation = task.evaluate(model, data)
        cost = task.parity(network, evaluation, data)
        numbers = {"parity": rounded(asdict(cost)), "xnnpack": asdict(xnnpack_partitions(model))}
        card = msgspec.structs.replace(task.measured(card, evaluation), measured=evaluation.numbers() | numbers)
        write_card(card, model)
        for target in [run_dir] if models_dir is None else [run_dir, models_dir]:
            target.mkdir(parents=True, exist_ok=True)
            for file in (model, card_path(model)):
                shutil.copyfile(file, target / file.name)
    return card, evaluation, cost
