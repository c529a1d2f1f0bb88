"""From pictures or frames to samples that become templates, or a named refusal."""

from dataclasses import dataclass

import numpy as np

from edge.core.align import align
from edge.core.closer import look_closer
from edge.core.codes import Code
from edge.core.gallery import Gallery
from edge.core.ports import Detector, Embedder
from edge.core.quality import QualityRules
from edge.core.selection import SAME_FMR, LeftOut, Selection, apart, mean_of, select
from edge.core.stills import find_faces, least_px
from edge.core.thresholds import beyond
from edge.core.turning import is_upright
from edge.core.types import Face, Frame, Quality, Sample
from edge.errors import RefusedError

SAMPLES_MAX = 20
APART_MIN = 0.02  # d between two samples worth keeping both: neighbouring frames of one visit are 0.01 to 0.02 apart
FEWER = "one is enough, and a few in different light help"  # than SAMPLES_MAX pictures


def samples_of(
    name: str,
    images: list[np.ndarray],
    detector: Detector,
    embedder: Embedder,
    gallery: Gallery,
    rules: QualityRules,
    *,
    largest: bool = False,
    force: bool = False,
) -> Selection:
    """Samples of the images, each (H, W, 3) uint8 RGB: of the majority that is of one person.

    largest: of several faces the largest is the person's; force: see select
    Raises RefusedError with no_image; with no_face, multiple_faces or the quality's problem where no image gives a
    sample; with different_people where no majority is of one person; with different_person; with conflicts_with where
    another person of the gallery is within tau.
    """
    if not 1 <= len(images) <= SAMPLES_MAX:
        raise RefusedError(
            Code.NO_IMAGE, f"expected 1 to {SAMPLES_MAX} pictures of one person, got {len(images)}: {FEWER}"
        )
    found = [
        sample_or_reason(image, number, detector, embedder, rules, largest=largest)
        for number, image in enumerate(images, 1)
    ]
    return choose(name, found, gallery, force=force)


def choose(name: str, found: list[Sample | LeftOut], gallery: Gallery, *, force: bool = False) -> Selection:
    """Choose those that become templates of what was found in pictures, one of each. Raises as samples_of does."""
    samples = {number: one for number, one in enumerate(found, 1) if isinstance(one, Sample)}
    left_out = [one for one in found if isinstance(one, LeftOut)]
    if not samples:
        raise RefusedError(left_out[0].code, "; ".join(one.reason for one in left_out))
    selection = select(name, samples, gallery, force=force)
    for sample in selection.samples:
        refuse_conflict("the person on the pictures" if len(found) > 1 else "image 1", name, sample.embedding, gallery)
    return Selection(selection.samples, sorted([*left_out, *selection.left_out], key=lambda one: one.image))


def sample_or_reason(
    image: np.ndarray, number: int, detector: Detector, embedder: Embedder, rules: QualityRules, *, largest: bool
) -> Sample | LeftOut:
    """The sample of the image of that number, from 1, or why there is none. See sample_of."""
    try:
        return sample_of(image, f"image {number}", detector, embedder, rules, largest=largest)
    except RefusedError as refusal:
        return LeftOut(number, refusal.code, str(refusal))


def sample_of(
    image: np.ndarray, what: str, detector: Detector, embedder: Embedder, rules: QualityRules, *, largest: bool = False
) -> Sample:
    """The one face of an image, or the largest. Raises RefusedError where there is none, or one not good enough.

    Of several faces one is the person's where all others are too small to be recognized.
    """
    height, width = image.shape[:2]
    faces = sorted(find_faces(image, detector), key=lambda face: -face.size_px)
    if not faces:
        raise RefusedError(
            Code.NO_FACE,
            f"{what} shows no face: in {width}x{height} px one is found from about {least_px(width, height)} px on, "
            f"and {rules.face_px_min:g} px are needed",
        )
    near = [face.size_px for face in faces if face.size_px >= rules.face_px_min]
    if not largest and len(faces) > 1 and len(near) != 1:
        raise RefusedError(
            Code.MULTIPLE_FACES,
            f"{what} shows {len(faces)} faces, of {faces[-1].size_px:.0f} to {faces[0].size_px:.0f} px; expected one. "
            "Cut the picture, or take the largest (--face largest)",
        )
    face = look_closer(image, faces[0], detector)
    crop = align(image, face.landmarks)
    quality = rules.assess(crop, face)
    problem = problem_of(quality, image, face, detector)
    if problem is None:
        encoding = embedder.encode(crop)
        quality = rules.encoded(quality, encoding.clarity)
        if quality.problem is None:
            return Sample(crop, encoding.embedding, quality)
        problem = quality.problem
    raise RefusedError(
        problem, f"{what}: the face is {problem.replace('_', ' ')} ({quality.summary()}); {rules.needed(problem)}"
    )


def problem_of(quality: Quality, image: np.ndarray, face: Face, detector: Detector) -> str | None:
    """The code of the first problem of a face in a picture, (H, W, 3), whose quality was assessed; None for none."""
    if quality.problem is None and not is_upright(image, face, detector):
        return Code.NOT_UPRIGHT
    return quality.problem


def refuse_conflict(what: str, name: str, embedding: np.ndarray, gallery: Gallery) -> None:
    """Raise RefusedError with conflicts_with where an embedding, (D,), matches somebody of another name."""
    match = gallery.identify(embedding)
    if match.person is not None and match.person.name.casefold() != name.casefold():
        raise RefusedError(
            Code.CONFLICTS_WITH, f"{what} is {match.person.name}: d {match.distance:.2f}, tau {match.tau:.2f}"
        )


@dataclass(frozen=True)
class EnrollmentProgress:
    """How far a live enrollment has come.

    reason: the code why the last face gave no sample; None where it gave one
    refusal: why the enrollment ended without templates; None while it goes on
    """

    samples: int
    of: int
    reason: str | None = None
    refusal: RefusedError | None = None

    @property
    def done(self) -> bool:
        """Whether there are as many samples as were wanted."""
        return self.samples >= self.of


class LiveEnrollment:
    """Samples of the person before the camera, no two of them alike.

    A frame gives a sample or a reason why not: no_face, multiple_faces, the quality's problem, different_people,
    too_similar. Progress is reported only when that changes.
    """

    def __init__(self, name: str, wanted: int, expires: float | None = None, *, force: bool = False) -> None:
        self.name, self.wanted, self.expires, self.force = name, wanted, expires, force
        self.samples: list[Sample] = []
        self._reported: str | None = "nothing yet"

    @property
    def complete(self) -> bool:
        """Whether there are as many samples as were wanted."""
        return len(self.samples) >= self.wanted

    def process(
        self,
        frame: Frame,
        faces: list[Face],
        detector: Detector,
        embedder: Embedder,
        gallery: Gallery,
        rules: QualityRules,
    ) -> EnrollmentProgress | None:
        """Add a frame. Returns the progress where it changed; raises RefusedError with conflicts_with."""
        reason = self._take(frame, faces, detector, embedder, gallery, rules)
        if reason is not None and reason == self._reported:
            return None
        self._reported = reason
        return EnrollmentProgress(len(self.samples), self.wanted, reason)

    def _take(
        self,
        frame: Frame,
        faces: list[Face],
        detector: Detector,
        embedder: Embedder,
        gallery: Gallery,
        rules: QualityRules,
    ) -> str | None:
        if len(faces) != 1:
            return Code.MULTIPLE_FACES if faces else Code.NO_FACE
        face = look_closer(frame.best, faces[0], detector)
        crop = align(frame.best, face.landmarks)
        quality = rules.assess(crop, face)
        problem = problem_of(quality, frame.best, face, detector)
        if problem is not None:
            return problem
        encoding = embedder.encode(crop)
        quality = rules.encoded(quality, encoding.clarity)
        if quality.problem is not None:
            return quality.problem
        sample = Sample(crop, encoding.embedding, quality)
        refuse_conflict("the person before the camera", self.name, sample.embedding, gallery)
        if self.samples:
            kept = np.stack([sample.embedding for sample in self.samples])
            if beyond(mean_of(kept)[None], sample.embedding[None], gallery.thresholds, SAME_FMR)[0, 0] > 0:
                return Code.DIFFERENT_PEOPLE
            if min(apart(sample.embedding, embedding) for embedding in kept) < APART_MIN:
                return Code.TOO_SIMILAR
        self.samples.append(sample)
        return None
