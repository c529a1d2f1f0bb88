"""Export, the whole way: convert, quantize, measure what came out, and only then put it where it ships from."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.inference.card import EmbedderCard, card_path
from edge.inference.embedder import Embedder
from training.config import EmbedderExperiment
from training.data.training_set import TrainingSet
from training.embedding import trained_backbone
from training.evaluate.evaluation import Evaluation, evaluate
from training.export.card import measured_card, unmeasured_card, write_card
from training.export.convert import calibration_images, to_float_tflite, to_int8_tflite
from training.export.output import output_into
from training.export.parity import Parity, parity
from training.models.backbones import count_macs, count_parameters
from training.trainer import LOG, looks_of, read_log


def export_embedder(
    experiment: EmbedderExperiment, training_set: TrainingSet, runs_dir: Path, models_dir: Path | None
) -> tuple[EmbedderCard, Evaluation, Parity]:
    """Write `<experiment>.tflite` and its card into the run's folder and, once measured, into models_dir if given.

    Raises ExperimentError where the run is not finished, DataError where nobody was held out to measure on.
    """
    backbone = trained_backbone(experiment, runs_dir)
    run_dir = runs_dir / experiment.name
    config = experiment.backbone
    calibration = calibration_images(training_set.train, experiment.calibration.crops, experiment.seed)
    with TemporaryDirectory(dir=run_dir) as folder:
        float_model, model = Path(folder) / "float.tflite", Path(folder) / f"{experiment.name}.tflite"
        with output_into(run_dir / "export.log"):
            to_float_tflite(backbone, (config.input_px, config.input_px, config.channels), float_model)
            to_int8_tflite(float_model, calibration, model)
        card = unmeasured_card(
            experiment,
            model,
            count_macs(backbone, config),
            count_parameters(backbone),
            training_set.account,
            growth=looks_of(read_log(run_dir / LOG)),
        )
        write_card(card, model)
        evaluation = evaluate(Embedder(model), training_set)
        cost = parity(backbone, evaluation, training_set)
        card = measured_card(card, model, evaluation, cost)
        write_card(card, model)
        for target in [run_dir] if models_dir is None else [run_dir, models_dir]:
            target.mkdir(parents=True, exist_ok=True)
            for file in (model, card_path(model)):
                shutil.copyfile(file, target / file.name)
    return card, evaluation, cost
