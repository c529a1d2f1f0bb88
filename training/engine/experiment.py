"""What every experiment has, as one frozen value; training.engine.experiment_files reads it from TOML.

A field that is not given is not part of the fingerprint, so a new field with a default changes no old fingerprint.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]
Several = Annotated[int, msgspec.Meta(ge=2)]  # batch normalisation needs two
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Blocks = Annotated[int, msgspec.Meta(ge=0)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
Cosine = Annotated[float, msgspec.Meta(ge=-1.0, le=1.0)]
Rate = Annotated[float, msgspec.Meta(gt=0.0, le=1.0)]  # of learning
Given = Annotated[str, msgspec.Meta(min_length=1)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]  # names a folder and a file


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an experiment: immutable; an unknown key is an error."""


class OptimizerConfig(Value, frozen=True, kw_only=True):
    """How the weights change. Lengths are in images, so that they do not depend on the batch size.

    cosine:       half a cosine from the peak down to zero at `images` (Loshchilov & Hutter 2017)
    inverse_sqrt: 1 / sqrt(1 + t / inverse_sqrt_images); it has no end, so a run can be extended
    """

    images: Count
    stop_at_images: Count | None = None  # end here, at a high rate: another experiment continues from these weights
    kind: Literal["adamw", "muon"] = "adamw"  # muon: for the convolutions; AdamW trains the rest
    schedule: Literal["cosine", "inverse_sqrt"] = "cosine"
    inverse_sqrt_images: Count = 500_000
    peak_learning_rate: Rate = 2e-3  # of AdamW
    muon_learning_rate: Rate = 0.04
    warmup_images: Annotated[int, msgspec.Meta(ge=0)] = 20_000
    weight_decay: Weight = 0.05
    gradient_norm_max: Annotated[float, msgspec.Meta(gt=0.0, le=1e6)] = 5.0


class Experiment(Value, frozen=True, kw_only=True):
    """What every experiment has, whatever it trains. The same value on the same machine gives the same model."""

    name: Name
    optimizer: OptimizerConfig
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 2015
    checkpoint_every_steps: Count = 100
    validate_every_images: Count = 65_536

    def __post_init__(self) -> None:
        images, stop_at = self.optimizer.images, self.optimizer.stop_at_images
        if stop_at is not None and stop_at > images:
            raise ValueError(f"optimizer.stop_at_images {stop_at} is more than optimizer.images {images}")
        if not self.steps:
            key = "images" if stop_at is None else "stop_at_images"
            raise ValueError(f"optimizer.{key} {stop_at or images} is less than one batch of {self.batch_size}")

    @property
    def batch_size(self) -> int:
        """Images of one step, over all processes."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """Number of optimizer steps; a last partial batch is dropped."""
        return (self.optimizer.stop_at_images or self.optimizer.images) // self.batch_size

    def fingerprint(self) -> str:
        """Twelve hex digits over every value that is given; a checkpoint stores them."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]
