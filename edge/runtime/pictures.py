"""What is read out of the pictures of a request, as plain values: another process can do it, or a command itself."""

from collections.abc import Iterator

import msgspec
import numpy as np

from edge.api.images import read_image
from edge.api.verbs import decode_base64
from edge.core.align import CROP_PX
from edge.core.enrollment import sample_or_reason
from edge.core.ports import Detector, Embedder
from edge.core.quality import QualityRules
from edge.core.selection import LeftOut
from edge.core.stills import encoded_faces
from edge.core.types import FoundFace, Sample


class SamplesTask(msgspec.Struct, frozen=True, tag=True):
    """Pictures of one person, of each of which a sample is wanted.

    images: base64; pixels_max: of all together, or of each where `together` is not set; largest: see sample_of
    """

    images: list[str]
    pixels_max: int
    together: bool
    largest: bool

    def name_of(self, number: int) -> str:
        """What the picture of that number, from 1, is called in messages."""
        return f"image {number}"


class FacesTask(msgspec.Struct, frozen=True, tag=True):
    """A picture of which every face is wanted; see SamplesTask."""

    images: list[str]
    pixels_max: int
    together: bool = True

    def name_of(self, _number: int) -> str:
        """See SamplesTask."""
        return "image"


class CropsTask(msgspec.Struct, frozen=True, tag=True):
    """Crops of the gallery, of each of which the encoding is wanted. images: (112, 112, 3) uint8 RGB, as bytes."""

    images: list[bytes]

    def name_of(self, number: int) -> str:
        """See SamplesTask."""
        return f"stored picture {number}"


PictureTask = SamplesTask | FacesTask | CropsTask
Found = Sample | LeftOut | list[FoundFace] | np.ndarray  # in one picture


def samples_in(found: list[Found]) -> list[Sample | LeftOut]:
    """What was found by a SamplesTask, picture by picture."""
    return [one for one in found if isinstance(one, Sample | LeftOut)]


def faces_in(found: list[Found]) -> list[FoundFace]:
    """What was found by a FacesTask."""
    return [face for faces in found if isinstance(faces, list) for face in faces]


def encodings_in(found: list[Found]) -> list[np.ndarray]:
    """What was found by a CropsTask: (D,) float32 of each picture."""
    return [one for one in found if isinstance(one, np.ndarray)]


def images_of(task: SamplesTask | FacesTask) -> Iterator[np.ndarray]:
    """Each picture, (H, W, 3) uint8 RGB, decoded when it is asked for.

    Raises RefusedError with not_base64, not_an_image, image_too_large or image_broken that names the picture.
    """
    left = task.pixels_max
    for number, text in enumerate(task.images, 1):
        what = task.name_of(number)
        image = read_image(decode_base64(text, what), what, left)
        left -= image.shape[0] * image.shape[1] if task.together else 0
        yield image


def read_pictures(task: PictureTask, detector: Detector, embedder: Embedder, rules: QualityRules) -> Iterator[Found]:
    """What is found in each picture, one after the other. Raises RefusedError as images_of does."""
    if isinstance(task, CropsTask):
        for crop in task.images:
            yield embedder.embed(np.frombuffer(crop, np.uint8).reshape(CROP_PX, CROP_PX, 3))
        return
    for number, image in enumerate(images_of(task), 1):
        if isinstance(task, SamplesTask):
            yield sample_or_reason(image, number, detector, embedder, rules, largest=task.largest)
        else:
            yield encoded_faces(image, detector, embedder, rules)
