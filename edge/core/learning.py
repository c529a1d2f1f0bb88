"""Which sample of a track becomes a template by itself: of somebody recognized beyond doubt, who looks different now.

Whatever is asked here is asked of the templates that people gave. A learned one is no reason to learn another, so no
chain of samples, each a little farther off, leads away from the person; what was learned lies within tau of a template
that somebody vouches for.
"""

import numpy as np

from edge.core.checkup import POOR
from edge.core.evidence import MatchedSample
from edge.core.gallery import Gallery
from edge.core.track import CLEARLY, Track
from edge.core.types import Person, Sample

SAMPLES_MIN = 4  # of the track: some seven seconds before the camera
AGREEMENT = 0.75  # of their weight, each alone, that names the person; the rest names nobody
QUALITY_MIN = 0.7  # of the sample
SURELY = 0.35  # d within tau of all samples together, which are nearer to everybody than one; of one sample CLEARLY
DIFFERENT = 0.5  # of tau: so far the sample is from every template of the person, or it would say nothing new
LEARNED_MAX = 3  # of one person: with a further one the oldest goes; those that people gave stay
LEARN_EVERY_SECONDS = 86_400.0  # at most, of one person


def candidate(track: Track, gallery: Gallery) -> Sample | None:
    """The clearest sample of a track that ended which may become a template of who it is of; None where none may."""
    identity = None if track.verdict is None else track.verdict.identity
    person = None if identity is None else gallery.people.get(identity)
    if person is None or track.disputed or not _may_learn(person, gallery):
        return None
    evidence = track.evidence
    others = {sample.identity for sample in evidence.samples} - {None, person.person_id}
    if len(evidence.samples) < SAMPLES_MIN or others or evidence.share(person.person_id) < AGREEMENT:
        return None
    if not beyond_doubt(person, evidence.pooled(), gallery, SURELY):
        return None
    chosen = [one for one in evidence.samples if _says_something_new(one, person, gallery)]
    return max(chosen, key=lambda one: one.quality.score).sample if chosen else None


def beyond_doubt(person: Person, probe: np.ndarray, gallery: Gallery, margin: float = CLEARLY) -> bool:
    """Whether (D,) is that much within tau of a template that people gave of somebody, and clearly nobody else's."""
    return anchored(person, probe, gallery, margin) and gallery.beyond_others(person.person_id, probe) >= CLEARLY


def anchored(person: Person, probe: np.ndarray, gallery: Gallery, margin: float = 0.0) -> bool:
    """Whether (D,) is that much nearer than tau to a template that people gave, and no correction speaks against it."""
    given, denials = gallery.given_of(person.person_id), gallery.denials_of(person.person_id)
    if not len(given):
        return False
    beyond = float(gallery.beyond(probe[None], given).min())
    if len(denials) and gallery.beyond(probe[None], denials).min() <= beyond:
        return False
    if person.tau is not None:
        beyond = max(beyond, float((2 - 2 * given @ probe).min()) - person.tau)
    return beyond <= -margin


def _may_learn(person: Person, gallery: Gallery) -> bool:
    """Not a guest, who will be gone, nor somebody with a near relative, whom a sample of theirs could be of."""
    return person.expires is None and gallery.relative_of(person.person_id) is None


def _says_something_new(one: MatchedSample, person: Person, gallery: Gallery) -> bool:
    embedding = one.sample.embedding
    if one.quality.score < QUALITY_MIN or one.identity != person.person_id:
        return False
    apart = 2 - 2 * gallery.embeddings_of(person.person_id) @ embedding  # (L, D) @ (D,) -> (L,)
    if apart.min() < DIFFERENT * gallery.tau or gallery.strictness(embedding[None])[0] > POOR:
        return False
    return beyond_doubt(person, embedding, gallery)
