"""One experiment as one frozen value, read from a small TOML file in training/experiments/."""

import difflib
import hashlib
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import msgspec

from edge.errors import ExperimentError

EXPERIMENTS_DIR = Path(__file__).parent.parent / "experiments"


Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Blocks = Annotated[int, msgspec.Meta(ge=0)]
Weight = Annotated[float, msgspec.Meta(ge=0.0)]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]  # it names a folder and a file


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of an experiment: immutable, and without room for a misspelt key."""


class DataConfig(Value, kw_only=True):
    """What is learned from, and who is kept out of it."""

    source: Literal["packs", "folder", "generated", "omniglot", "drawn"]
    packs: tuple[str, ...] = ()
    teacher: str | None = None  # an ONNX model of the teachers folder; needed by the distillation losses
    held_out_fraction: Share = 0.0  # of the labelled people, measured on in place of learned from
    leak_cosine_max: float = 0.5  # nearer than this to anybody measured on: left out (teacher cosine)
    augmentation_strength: Share = 1.0
    generated_people: Count = 64  # for source = "generated"
    generated_looks: Count = 8
    held_out_alphabets: tuple[str, ...] = ()  # of "omniglot" and "drawn" characters, in place of a fraction
    aligned: bool = False  # drawings, to the middle and the size of their ink
    recast: bool = False  # every batch shows each alphabet turned, stretched and slanted anew, as one more alphabet
    turned_copies: bool = False  # a character turned by 90, 180 and 270 degrees is three more to learn
    held_out_every: dict[str, Count] = {}  # pack -> n: every n-th crop is measured on in place of learned from


class BackboneConfig(Value, kw_only=True):
    """The shape of an encoder; see training/models/backbones.py for why these."""

    stem: Count
    widths: tuple[
        Count, ...
    ]  # channels of each stage; the first runs at half the input size, each next at half of that
    blocks: tuple[Blocks, ...]  # residual blocks of each stage
    head: Count  # channels under the global depthwise convolution
    dimension: Count = 128
    input_px: Count = 112
    channels: Count = 3
    block: Literal["dense", "depthwise"] = "dense"
    pool: Literal["depthwise", "dense"] = "depthwise"  # how the last map becomes one place

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.blocks) or not self.widths:
            raise ValueError(f"widths {list(self.widths)} and blocks {list(self.blocks)} are not one of each per stage")
        if self.widths[0] != self.stem:
            raise ValueError(
                f"the first stage keeps the stem's {self.stem} channels; widths starts with {self.widths[0]}"
            )


TERMS = (
    "distill_cosine",
    "distill_relational",
    "distill_bank",
    "contrastive",
    "triplet",
    "margin_softmax",
    "softmax",
    "prototype",
)


class KochConfig(Value, kw_only=True):
    """The shape of Koch's Siamese network; see training/models/koch.py. The defaults are the published size."""

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
        """Side of the last map: no convolution is padded, and all but the last are followed by a pooling of two."""
        *pooled, last = self.kernels
        px = self.input_px
        for kernel in pooled:
            px = (px - kernel + 1) // 2
        return px - last + 1

    @property
    def dimension(self) -> int:
        """Numbers stored of a picture."""
        return self.units


class LossConfig(Value):
    """Weights of the terms of the loss; a term of weight 0 is not computed. Margins are in d, so in [0, 4]."""

    distill_cosine: Weight = 0.0
    distill_relational: Weight = 0.0
    distill_bank: Weight = 0.0
    contrastive: Weight = 0.0
    triplet: Weight = 0.0
    margin_softmax: Weight = 0.0
    softmax: Weight = 0.0
    prototype: Weight = 0.0
    bank_size: Count = 8192  # teacher embeddings drawn for each step
    bank_temperature: Annotated[float, msgspec.Meta(gt=0.0)] = 0.1
    contrastive_margin: float = 1.0
    triplet_margin: float = 0.3
    softmax_margin: float = 0.35
    softmax_scale: float = 32.0
    prototype_scale: float = 8.0  # of d; what a softmax of -d would otherwise tell apart too softly

    def __post_init__(self) -> None:
        if not any(getattr(self, term) for term in TERMS):
            raise ValueError("every term of the loss has weight 0: there is nothing to learn")


class SamplerConfig(Value):
    """How a batch is drawn: evenly over all crops, or P people with K crops each (labelled crops only)."""

    kind: Literal["uniform", "people"] = "uniform"
    batch_size: Count = 128
    crops_per_person: Count = 4
    groups: Count | None = None  # the P people are of this many alphabets, or of any

    def __post_init__(self) -> None:
        if self.kind == "people" and self.batch_size % self.crops_per_person:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of crops_per_person {self.crops_per_person}"
            )


class OptimizerConfig(Value, kw_only=True):
    """How the weights are moved; the length is in images seen, whatever the batch.

    cosine:       half a cosine from the peak down to zero at `images` (Loshchilov & Hutter 2017)
    inverse_sqrt: 1 / sqrt(1 + t / inverse_sqrt_images), which knows no end: a run that another one takes on
    """

    images: Count
    stop_at_images: Count | None = None  # ends there, the rate still high: for weights that another experiment takes on
    kind: Literal["adamw", "muon"] = "adamw"  # muon: for the convolutions; the rest is AdamW's all the same
    schedule: Literal["cosine", "inverse_sqrt"] = "cosine"
    inverse_sqrt_images: Count = 500_000
    peak_learning_rate: float = 2e-3  # of AdamW
    muon_learning_rate: float = 0.04
    warmup_images: Annotated[int, msgspec.Meta(ge=0)] = 20_000
    weight_decay: Weight = 0.05
    gradient_norm_max: float = 5.0


class CalibrationConfig(Value):
    """What the static int8 ranges are read from."""

    crops: Count = 400


class Experiment(Value, kw_only=True):
    """What every experiment has, whatever it learns. The same value and machine give the same model."""

    name: Name
    optimizer: OptimizerConfig
    seed: int = 2015
    checkpoint_every_steps: Count = 100
    validate_every_images: Count = 65_536

    def __post_init__(self) -> None:
        images, stop_at = self.optimizer.images, self.optimizer.stop_at_images
        if stop_at is not None and stop_at > images:
            raise ValueError(f"optimizer.stop_at_images {stop_at} is more than optimizer.images {images}")
        if not self.steps:
            what = "images" if stop_at is None else "stop_at_images"
            raise ValueError(f"optimizer.{what} {stop_at or images} is less than one batch of {self.batch_size}")

    @property
    def steps(self) -> int:
        """Optimizer steps, the last partial batch left away."""
        return (self.optimizer.stop_at_images or self.optimizer.images) // self.batch_size

    def fingerprint(self) -> str:
        """Twelve hex digits over every value that is not the default; a checkpoint of another experiment has others."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]


class EncoderExperiment(Experiment, kw_only=True):
    """Learn how alike two pictures are, whatever the network and the loss."""

    data: DataConfig
    backbone: BackboneConfig | KochConfig
    sampler: SamplerConfig = SamplerConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    start_from: str | None = None  # the name of a finished experiment whose weights this one starts with

    @property
    def batch_size(self) -> int:
        """Crops of one step."""
        return self.sampler.batch_size


class SizeStep(Value):
    """Until so many images were seen, they are shown at this size."""

    px: Count
    until_images: Count


class EmbedderExperiment(EncoderExperiment, kw_only=True):
    """Learn an encoding of aligned crops."""

    backbone: BackboneConfig
    loss: LossConfig
    sizes: tuple[SizeStep, ...] = ()  # small first, for more images at the same cost; then backbone.input_px
    from_weights: str | None = None  # a name in training/weights/, or the path of a .safetensors file, to start with

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = [step.until_images for step in self.sizes]
        if ends != sorted(set(ends)):
            raise ValueError(f"sizes end after {ends} images: each must end after the one before it")
        if self.start_from and self.from_weights:
            raise ValueError("start_from and from_weights both say what to start with: give one")

    def px_at(self, step: int) -> int:
        """Side of the pictures of a step, in pixels."""
        for size in self.sizes:
            if step * self.batch_size < size.until_images:
                return size.px
        return self.backbone.input_px


class SiameseExperiment(EncoderExperiment, kw_only=True):
    """Learn Koch's similarity of two pictures: his network, and one weight for every number that it stores."""

    backbone: KochConfig = KochConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampler.kind != "people" or self.sampler.crops_per_person != 2 or self.batch_size < 4:
            raise ValueError('pairs want sampler.kind = "people", crops_per_person = 2 and two people or more')


class ScenesConfig(Value, kw_only=True):
    """What a detector learns from; a teacher says where the faces are."""

    source: Literal["packs", "generated"]
    scenes: tuple[str, ...] = ()  # packs of pictures with faces in them
    negatives: tuple[str, ...] = ()  # packs of pictures without
    crops: tuple[str, ...] = ()  # packs of aligned crops, to be pasted
    crops_per_pack: Count = 3000
    teacher: str | None = None
    leak_teacher: str | None = None  # an embedding teacher: crops near somebody in LFW are not pasted
    leak_cosine_max: float = 0.5
    held_out_fraction: Share = 0.15  # of the source pictures, measured on in place of learned from
    generated_scenes: Count = 64  # for source = "generated"


class DetectorConfig(Value, kw_only=True):
    """The shape of a detector; see training/models/detector.py for why these."""

    stem: Count
    widths: tuple[Count, Count, Count, Count]  # at strides 4, 8, 16 and 32
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    neck: Count  # channels of the three levels that see faces
    head: Count
    width_px: Count = 320
    height_px: Count = 240


class DetectionLossConfig(Value):
    """Weights of the terms of the loss."""

    score: Weight = 1.0
    box: Weight = 2.0
    landmarks: Weight = 8.0


class DetectorExperiment(Experiment, kw_only=True):
    """Learn to find faces and their landmarks in scenes."""

    data: ScenesConfig
    network: DetectorConfig
    loss: DetectionLossConfig = DetectionLossConfig()
    start_from: str | None = None  # the name of a finished experiment whose trunk this one starts with
    batch_size: Count = 64
    calibration_images: Count = 300


TASKS: dict[str, type[Experiment]] = {
    "embedder": EmbedderExperiment,
    "siamese": SiameseExperiment,
    "detector": DetectorExperiment,
}


def load_experiment(name_or_path: str) -> Experiment:
    """The experiment of that file, or of that name in training/experiments/.

    Raises ExperimentError that names the file and the first key that does not hold, with the nearest known one.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = EXPERIMENTS_DIR / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in EXPERIMENTS_DIR.glob("*.toml")))
        raise ExperimentError(f"no experiment '{name_or_path}': there is no file {path}; shipped are: {known}")
    try:
        values = msgspec.toml.decode(path.read_bytes(), type=dict)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExperimentError(f"{path}: {error}") from error
    task = values.pop("task", "embedder")
    if task not in TASKS:
        raise ExperimentError(f"{path}: task '{task}' is unknown; known are {', '.join(TASKS)}")
    try:
        return msgspec.convert(values, TASKS[task])
    except msgspec.ValidationError as error:
        raise ExperimentError(f"{path}: {error}{_nearest_key(str(error), TASKS[task])}") from error


def starting_with(experiment: Experiment, weights: str) -> EmbedderExperiment:
    """The experiment, with these weights to start from. Raises ExperimentError where it learns no encoding."""
    if not isinstance(experiment, EmbedderExperiment):
        raise ExperimentError(f"experiment '{experiment.name}' is no embedder: it takes no weights to start from")
    return msgspec.structs.replace(experiment, start_from=None, from_weights=weights)


def _nearest_key(message: str, kind: type[Experiment]) -> str:
    """' (did you mean ...?)' where the message complains about an unknown field."""
    if "unknown field" not in message:
        return ""
    wrong = message.split("`")[1]
    parts = [kind, *(part for part in get_type_hints(kind).values() if isinstance(part, type))]
    known = {field for part in parts if issubclass(part, Value) for field in part.__struct_fields__} | {"task"}
    near = difflib.get_close_matches(wrong, sorted(known), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""
