"""Experiments that train an encoder: of faces or of handwritten characters, with our backbone or with Koch's."""

from typing import Annotated, Literal

import msgspec

from training.data.augment import NAMES
from training.engine.experiment import Blocks, Cosine, Count, Experiment, Given, Several, Share, Value, Weight

FROM_TEACHER = ("distill_cosine", "distill_relational", "distill_bank")  # terms that need no labels
FROM_LABELS = ("contrastive", "triplet", "margin_softmax", "softmax", "prototype")
TERMS = FROM_TEACHER + FROM_LABELS
Margin = Annotated[float, msgspec.Meta(ge=0.0, le=4.0)]
Scale = Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)]
OF_CHARACTERS = ("omniglot", "drawn")  # the sources of handwritten characters


class DataConfig(Value, frozen=True, kw_only=True):
    """The training data, and what is held out of it."""

    source: Literal["packs", "folder", "generated", "omniglot", "drawn"]
    packs: tuple[str, ...] = ()
    teacher: str | None = None  # an ONNX model of the teachers folder; the distillation losses need it
    held_out_fraction: Share = 0.0  # of the labelled people: for evaluation, never for training
    leak_cosine_max: Cosine = 0.5  # a training crop nearer than this to an evaluation crop is left out (teacher cosine)
    augmentation_strength: Share = 1.0
    # degradation -> the share of crops that get it, in place of its probability times augmentation_strength
    augmentation_shares: dict[str, Share] = msgspec.field(default_factory=dict)
    generated_people: Count = 64  # for source = "generated"
    generated_looks: Count = 8  # pictures of each
    held_out_alphabets: tuple[str, ...] = ()  # "omniglot" and "drawn" hold out alphabets, not a fraction
    aligned: bool = False  # move and scale a drawing by the moments of its ink
    recast: bool = False  # in every batch, turn, stretch and slant each alphabet as a whole: one more alphabet
    turned_copies: bool = False  # a character turned by 90, 180 and 270 degrees is three more characters
    # pack -> n: every n-th crop is for evaluation, never for training
    held_out_every: dict[str, Count] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.augmentation_shares) - set(NAMES))
        if unknown:
            raise ValueError(f"augmentation_shares names {', '.join(unknown)}: possible are {', '.join(NAMES)}")
        if self.augmentation_shares and self.source in OF_CHARACTERS:
            raise ValueError(f'augmentation_shares are of faces: leave them out with source = "{self.source}"')
        if self.source in OF_CHARACTERS and not self.held_out_alphabets:
            raise ValueError(f'source = "{self.source}" needs held_out_alphabets: characters are held out by alphabet')


class BackboneConfig(Value, frozen=True, kw_only=True):
    """The shape of an encoder; training.embedder.backbone gives the reasons."""

    stem: Count
    widths: tuple[Count, ...]  # channels of each stage; the first has half the input's size, each next half of that
    blocks: tuple[Blocks, ...]  # residual blocks of each stage
    head: Count  # channels under the global depthwise convolution
    dimension: Count = 128
    input_px: Count = 112
    channels: Count = 3
    block: Literal["dense", "depthwise"] = "dense"
    pool: Literal["depthwise", "dense"] = "depthwise"  # how the last map becomes one vector

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError(
                f"widths {list(self.widths)} and blocks {list(self.blocks)} must have one value for each stage"
            )
        if self.widths[0] != self.stem:
            raise ValueError(
                f"the first stage has the stem's {self.stem} channels, but widths starts with {self.widths[0]}"
            )


class KochConfig(Value, frozen=True, kw_only=True):
    """The shape of Koch's Siamese network, training.omniglot.koch. The defaults are the published size."""

    widths: tuple[Count, Count, Count, Count] = (64, 128, 128, 256)
    kernels: tuple[Count, Count, Count, Count] = (10, 7, 4, 4)
    units: Count = 4096
    input_px: Count = 105
    channels: Count = 1

    def __post_init__(self) -> None:
        if self.final_px < 1:
            raise ValueError(f"kernels {list(self.kernels)} leave nothing of {self.input_px} px")

    @property
    def final_px(self) -> int:
        """Side of the last map: no convolution is padded, and a pooling of two follows all but the last."""
        *pooled, last = self.kernels
        px = self.input_px
        for kernel in pooled:
            px = (px - kernel + 1) // 2
        return px - last + 1

    @property
    def dimension(self) -> int:
        """Length of an encoding."""
        return self.units


class LossConfig(Value, frozen=True):
    """Weights of the loss terms; a term of weight 0 is not computed. Margins are in d, so in [0, 4]."""

    distill_cosine: Weight = 0.0
    distill_relational: Weight = 0.0
    distill_bank: Weight = 0.0
    contrastive: Weight = 0.0
    triplet: Weight = 0.0
    margin_softmax: Weight = 0.0
    softmax: Weight = 0.0
    prototype: Weight = 0.0
    bank_size: Count = 8192  # teacher embeddings drawn for each step
    bank_temperature: Scale = 0.1
    contrastive_margin: Margin = 1.0
    triplet_margin: Margin = 0.3
    softmax_margin: Margin = 0.35
    softmax_scale: Scale = 32.0
    prototype_scale: Scale = 8.0  # factor on d; with 1 the softmax over -d is too flat

    def __post_init__(self) -> None:
        if not any(getattr(self, term) for term in TERMS):
            raise ValueError("every term of the loss has weight 0: give at least one a weight")


class SamplerConfig(Value, frozen=True):
    """How a batch is drawn: evenly over all crops, or P people with K crops each (labelled crops only)."""

    kind: Literal["uniform", "people"] = "uniform"
    batch_size: Several = 128
    crops_per_person: Count = 4
    groups: Count | None = None  # take the P people from this many alphabets; by default from any

    def __post_init__(self) -> None:
        if self.kind == "people" and self.batch_size % self.crops_per_person:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of crops_per_person {self.crops_per_person}"
            )


class CalibrationConfig(Value, frozen=True):
    """How many crops the static int8 ranges are measured on."""

    crops: Count = 400


class EncoderExperiment(Experiment, frozen=True, kw_only=True):
    """Train a similarity of two pictures, with any network and any loss."""

    data: DataConfig
    backbone: BackboneConfig | KochConfig
    sampler: SamplerConfig = SamplerConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    start_from: Given | None = None  # name of a finished experiment: start with its weights

    @property
    def batch_size(self) -> int:
        """Crops of one step."""
        return self.sampler.batch_size


class SizeStep(Value, frozen=True):
    """Show pictures at this size until this many images were seen."""

    px: Count
    until_images: Count


class EmbedderExperiment(EncoderExperiment, frozen=True, kw_only=True):
    """Train an encoding f(x) of aligned crops."""

    backbone: BackboneConfig
    loss: LossConfig
    sizes: tuple[SizeStep, ...] = ()  # small first: more images at the same cost; backbone.input_px follows
    from_weights: Given | None = None  # start with this: a name in training/weights/, or a .safetensors file

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = [step.until_images for step in self.sizes]
        if ends != sorted(set(ends)):
            raise ValueError(f"sizes end after {ends} images: each must end after the one before it")
        for step in self.sizes:
            if step.px > self.backbone.input_px:
                raise ValueError(f"sizes shows pictures at {step.px} px: at most backbone.input_px is possible")
        if self.sizes and self.backbone.pool != "depthwise":
            raise ValueError('sizes needs backbone.pool = "depthwise": no other pool takes a smaller picture')
        if self.start_from and self.from_weights:
            raise ValueError("start_from and from_weights both give weights to start with: give one")

    def px_at(self, step: int) -> int:
        """Side of the pictures of a step, in pixels."""
        for size in self.sizes:
            if step * self.batch_size < size.until_images:
                return size.px
        return self.backbone.input_px


class SiameseExperiment(EncoderExperiment, frozen=True, kw_only=True):
    """Train Koch's similarity of two pictures: his network, and one weight for every unit of its encoding."""

    backbone: KochConfig = KochConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler.kind != "people" or self.sampler.crops_per_person != 2 or self.batch_size < 4:
            raise ValueError('pairs need sampler.kind = "people", crops_per_person = 2 and two people or more')
