"""The model card, written from what was measured; edge.inference.card reads it."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msgspec

from edge.inference.card import EmbedderCard, Impostors, Input, card_path, sha256_of
from training.config import EmbedderExperiment, load_experiment
from training.data.terms import DRAWN, PACK_TERMS, RESEARCH_ONLY, TEACHER_TERMS, YOUR_OWN
from training.evaluate.evaluation import Evaluation, rounded
from training.export.parity import Parity
from training.export.partitions import xnnpack_partitions

TOOLCHAIN = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "numpy", "opencv-python-headless")


def unmeasured_card(
    experiment: EmbedderExperiment, model: Path, macs: int, parameters: int, account: dict, growth: list[dict]
) -> EmbedderCard:
    """The card of a model just quantized: enough for edge.inference to load it and have it measured."""
    px = experiment.backbone.input_px
    return EmbedderCard(
        schema=1,
        name=experiment.name,
        sha256=sha256_of(model),
        input=Input(px, px, "RGB", "int8", "pixel - 128; scale 1/128, zero point 0"),
        dimension=experiment.backbone.dimension,
        macs=macs,
        parameters=parameters,
        bytes=model.stat().st_size,
        learned_from=lineage(experiment) | {"account": account, "growth": growth},
        terms=terms(experiment),
        measured={},
        impostors=Impostors(0, 0, 0, None, {}),
        toolchain={"python": platform.python_version()} | {package: version(package) for package in TOOLCHAIN},
        command=f"limen-train fit {experiment.name} && limen-train export {experiment.name}",
    )


def lineage(experiment: EmbedderExperiment) -> dict[str, object]:
    """What the experiment learned from, and before it the one that it started from."""
    data = experiment.data
    return {
        "experiment": experiment.name,
        "fingerprint": experiment.fingerprint(),
        "images_seen": experiment.steps * experiment.sampler.batch_size,
        "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in data.packs} or data.source,
        "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
        "started_from": lineage(load_experiment(experiment.start_from)) if experiment.start_from else None,
    }


def terms(experiment: EmbedderExperiment) -> str:
    """What the card says of use: the strictest of all that it learned from, the runs it started from included."""
    while True:
        if experiment.data.source == "packs" or experiment.data.teacher is not None:
            return RESEARCH_ONLY
        if not experiment.start_from:
            return DRAWN if experiment.data.source == "generated" else YOUR_OWN
        experiment = load_experiment(experiment.start_from)


def measured_card(card: EmbedderCard, model: Path, evaluation: Evaluation, parity: Parity) -> EmbedderCard:
    """The same card with its numbers."""
    return msgspec.structs.replace(
        card,
        measured=evaluation.numbers()
        | {"parity": rounded(asdict(parity)), "xnnpack": asdict(xnnpack_partitions(model))},
        impostors=evaluation.impostors,
    )


def write_card(card: EmbedderCard, model: Path) -> Path:
    """Beside the model, readable; written whole or not at all."""
    path = card_path(model)
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    return partial.replace(path)
