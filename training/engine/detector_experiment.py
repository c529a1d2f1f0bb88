"""Experiments that train a face detector."""

from typing import Literal

from training.engine.experiment import Blocks, Cosine, Count, Experiment, Given, Several, Share, Value, Weight


class ScenesConfig(Value, frozen=True, kw_only=True):
    """The training pictures of a detector; a teacher labels the faces."""

    source: Literal["packs", "generated"]
    scenes: tuple[str, ...] = ()  # packs of pictures with faces
    negatives: tuple[str, ...] = ()  # packs of pictures without faces
    crops: tuple[str, ...] = ()  # packs of aligned crops to paste
    crops_per_pack: Count = 3000
    teacher: str | None = None
    leak_teacher: str | None = None  # an embedding teacher: crops near a person of LFW are not pasted
    leak_cosine_max: Cosine = 0.5
    held_out_fraction: Share = 0.15  # of the source pictures: for evaluation, never for training
    generated_scenes: Count = 64  # for source = "generated"


class DetectorConfig(Value, frozen=True, kw_only=True):
    """The shape of a detector; training.detector.network gives the reasons."""

    stem: Count
    widths: tuple[Count, Count, Count, Count]  # at strides 4, 8, 16 and 32
    blocks: tuple[Blocks, Blocks, Blocks, Blocks]
    neck: Count  # channels of the three levels that detect faces
    head: Count
    width_px: Count = 320
    height_px: Count = 240


class DetectionLossConfig(Value, frozen=True):
    """Weights of the loss terms."""

    score: Weight = 1.0
    box: Weight = 2.0
    landmarks: Weight = 8.0


class DetectorExperiment(Experiment, frozen=True, kw_only=True):
    """Train a network to find faces and their landmarks in scenes."""

    data: ScenesConfig
    network: DetectorConfig
    loss: DetectionLossConfig = DetectionLossConfig()
    start_from: Given | None = None  # a finished experiment: start with its trunk, and its heads if equally wide
    from_weights: Given | None = None  # start with this: a name in training/weights/, or a .safetensors file
    batch_size: Several = 64
    calibration_images: Count = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_from and self.from_weights:
            raise ValueError("start_from and from_weights both give weights to start with: give one")
