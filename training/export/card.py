"""The model card, written from what was measured; edge.inference.card reads it."""

import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msgspec

from edge.inference.card import EmbedderCard, Impostors, Input, card_path, sha256_of
from training.config import Experiment
from training.data.terms import PACK_TERMS, TEACHER_TERMS, terms
from training.evaluate.evaluation import Evaluation, rounded
from training.export.parity import Parity
from training.export.partitions import xnnpack_partitions

TOOLCHAIN = ("torch", "litert-torch", "ai-edge-quantizer", "ai-edge-litert", "numpy", "opencv-python-headless")


def unmeasured_card(
    experiment: Experiment, model: Path, macs: int, parameters: int, account: dict, growth: list[dict]
) -> EmbedderCard:
    """The card of a model just quantized: enough for edge.inference to load it and have it measured."""
    data = experiment.data
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
        learned_from={
            "experiment": experiment.name,
            "fingerprint": experiment.fingerprint(),
            "images_seen": experiment.steps * experiment.sampler.batch_size,
            "packs": {pack: PACK_TERMS.get(pack, "not stated") for pack in data.packs} or data.source,
            "teacher": {data.teacher: TEACHER_TERMS[data.teacher]} if data.teacher else None,
            "account": account,
            "growth": growth,
        },
        terms=terms(data.source, data.teacher),
        measured={},
        impostors=Impostors(0, 0, 0, {}),
        toolchain={"python": platform.python_version()} | {package: version(package) for package in TOOLCHAIN},
        command=f"limen-train run {experiment.name}",
    )


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
