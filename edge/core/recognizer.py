"""The recognizer: frames in, events out. It has no clock, thread, network or topic."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from edge.core.align import align
from edge.core.attention import Attention, AttentionRules
from edge.core.closer import look_closer
from edge.core.codes import Code
from edge.core.enrollment import SAMPLES_MAX, EnrollmentProgress, LiveEnrollment, samples_of
from edge.core.events import Event, low_quality_event, verdict_event
from edge.core.gallery import Gallery
from edge.core.learning import candidate
from edge.core.names import clean_name
from edge.core.people import People
from edge.core.ports import Detector, Embedder, GalleryStore, StageTimer, StrangerStore
from edge.core.quality import QualityRules
from edge.core.selection import Selection, mean_of, refuse_another
from edge.core.track import Track, TrackRules
from edge.core.tracker import Tracker
from edge.core.turning import is_upright
from edge.core.types import Enrolled, Face, FoundFace, Frame, Quality, RecognizedFace, Sample
from edge.errors import RefusedError

RECOGNITION = "recognition"  # the setting that outlasts restarts


@dataclass(frozen=True)
class RecognizerRules:
    """Everything that decides which events there are. learn: whether a sample of a track may become a template."""

    quality: QualityRules = field(default_factory=QualityRules)
    tracks: TrackRules = field(default_factory=TrackRules)
    motion_gate: bool = True
    attention: AttentionRules = field(default_factory=AttentionRules)
    learn: bool = False


def untimed(_stage: str, /) -> AbstractContextManager[object]:
    """A StageTimer that times nothing."""
    return nullcontext()


class Recognizer:
    """Who is before the camera. The same frames and calls give the same events and results."""

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        gallery: Gallery,
        store: GalleryStore,
        rules: RecognizerRules,
        strangers: StrangerStore | None = None,
        timer: StageTimer = untimed,
    ) -> None:
        self.detector, self.embedder, self.gallery, self.store, self.rules = detector, embedder, gallery, store, rules
        self.people = People(gallery, store, strangers)
        self.tracker = Tracker(rules.tracks)
        self.attention = Attention(rules.attention, gate=rules.motion_gate)
        self.recognizing = True
        self.live: LiveEnrollment | None = None
        self._progress: list[EnrollmentProgress] = []
        self._timer = timer
        self.reload()

    def process(self, frame: Frame) -> list[Event]:
        """Advance by one frame."""
        if not self.recognizing:
            return self.flush(frame)
        with self._timer("motion"):
            tracked = [track.face for track in self.tracker.recent(frame.at)]
            windows = self.attention.windows(frame, tracked, everywhere=self.live is not None)
        if not windows and not self.tracker.tracks:
            return []
        start_score = self.detector.score_min
        with self._timer("detect"):
            score_min = min(self.rules.tracks.continue_score, start_score)
            found = self.attention.find(frame, windows, self.detector, score_min)
        self._enroll_live(frame, [face for face in found if face.score >= start_score])
        present, lost = self.tracker.update(found, frame.at, start_score)
        self.attention.follow(self.tracker.unclaimed)
        faces = self.tracker.in_sight(frame.at)
        events = [event for track in lost for event in self._finish_track(track, frame, faces)]
        for track in present:
            if not track.wants_sample(frame.at) or (sampled := self._sample(frame, track)) is None:
                continue
            sample, quality = sampled
            track = self.tracker.resume(track, sample.embedding, self.gallery.tau, frame.at)  # noqa: PLW2901
            first = track.verdict is None
            with self._timer("match"):
                verdict = track.add(sample, quality, frame.at, self.gallery.identify)
            if verdict is not None:
                self._match_stranger(track)
                events.append(verdict_event(track, verdict, "new" if first else "update", frame, faces))
        return events

    def flush(self, frame: Frame) -> list[Event]:
        """End every track: no frame comes after this one."""
        return [event for track in self.tracker.lose_all() for event in self._finish_track(track, frame, 0)]

    def _sample(self, frame: Frame, track: Track) -> tuple[Sample, Quality] | None:
        """The track's face in this frame; None, and counted, where it is not good enough."""
        crop = align(frame.best, track.face.landmarks)  # (112, 112, 3) uint8 RGB
        quality = self.rules.quality.assess(crop, track.face)
        if quality.problem is not None:
            track.refuse(quality)
            return None
        if track.face.score < self.detector.score_min:  # enough to continue the track, not to recognize
            return None
        if not track.upright:  # asked until it is: the detector twice, 3 ms, of one frame of most tracks
            with self._timer("detect"):
                track.upright = is_upright(frame.best, track.face, self.detector)
            if not track.upright:
                track.refuse(replace(quality, problem=Code.NOT_UPRIGHT), frame.at)
                return None
        with self._timer("embed"):
            face = look_closer(frame.best, track.face, self.detector)
            crop = align(frame.best, face.landmarks)
            quality = self.rules.quality.assess(crop, face)
            if quality.problem is None:
                encoding = self.embedder.encode(crop)
                quality = self.rules.quality.encoded(quality, encoding.clarity)
                if quality.problem is None:
                    return Sample(crop, encoding.embedding, quality), quality
        track.refuse(quality, frame.at)
        return None

    def _finish_track(self, track: Track, frame: Frame, faces_in_frame: int) -> list[Event]:
        """The verdict of a track that ended before there was one, and its end; nothing for a flicker."""
        late = track.finish()
        events = []
        if late is not None:
            self._match_stranger(track)
            events.append(replace(verdict_event(track, late, "new", frame, faces_in_frame), in_frame=False))
        if track.verdict is not None:
            end = verdict_event(track, track.verdict, "end", frame, faces_in_frame)
            return [*events, replace(end, candidate=candidate(track, self.gallery)) if self.rules.learn else end]
        return [low_quality_event(track, frame, faces_in_frame)] if track.refusals else []

    def _match_stranger(self, track: Track) -> None:
        """Match an unknown track with the strangers of earlier visits."""
        verdict, strangers = track.verdict, self.people.strangers
        track.stranger = None
        if strangers is None or verdict is None or verdict.identity is not None or verdict.sample is None:
            return
        if self.gallery.identify(verdict.sample.embedding).person is None:  # not somebody who was named too rarely
            track.stranger = strangers.match(verdict.sample)

    def samples(self, name: str, images: list[np.ndarray], *, largest: bool = False, force: bool = False) -> Selection:
        """Samples to enroll of pictures, each (H, W, 3) uint8 RGB with one face, or the largest; writes nothing.

        Raises RefusedError as samples_of does, and with invalid.
        """
        name, rules = clean_name(name), self.rules.quality
        return samples_of(name, images, self.detector, self.embedder, self.gallery, rules, largest=largest, force=force)

    def enroll(self, name: str, images: list[np.ndarray], expires: float | None = None) -> Enrolled:
        """Make templates of pictures. expires: seconds since 1970, of a guest. Raises RefusedError as samples does."""
        enrolled = self.people.add(name, self.samples(name, images).samples, expires)
        self.update_tracks()
        return enrolled

    def start_enrollment(
        self, name: str, wanted: int, expires: float | None = None, *, force: bool = False
    ) -> EnrollmentProgress:
        """Take that many samples of the person before the camera from now on. force: see select.

        Raises RefusedError with enrolling, recognition_off or invalid.
        """
        if self.live is not None:
            raise RefusedError(Code.ENROLLING, f"{self.live.name} is being enrolled; enroll/cancel ends that")
        if not self.recognizing:
            raise RefusedError(Code.RECOGNITION_OFF, "recognition is switched off")
        if not 1 <= wanted <= SAMPLES_MAX:
            raise RefusedError(Code.INVALID, f"expected 1 to {SAMPLES_MAX} samples, got {wanted}")
        self.live, self._progress = LiveEnrollment(clean_name(name), wanted, expires, force=force), []
        return EnrollmentProgress(0, wanted)

    def finish_enrollment(self) -> Enrolled:
        """Make templates of the samples taken so far. Raises RefusedError with timeout or different_person."""
        live = self._end_enrollment()
        if not live.samples:
            raise RefusedError(Code.TIMEOUT, f"no sample of {live.name} was good enough in time")
        if not live.force:
            refuse_another(live.name, mean_of(np.stack([sample.embedding for sample in live.samples])), self.gallery)
        enrolled = self.people.add(live.name, live.samples, live.expires)
        self.update_tracks()
        return enrolled

    def cancel_enrollment(self) -> str:
        """Keep nothing of the live enrollment. Returns its name. Raises RefusedError with not_enrolling."""
        return self._end_enrollment().name

    def progress(self) -> list[EnrollmentProgress]:
        """The progress of the live enrollment since this was last called."""
        progress, self._progress = self._progress, []
        return progress

    def _enroll_live(self, frame: Frame, faces: list[Face]) -> None:
        if self.live is None or self.live.complete:
            return
        try:
            progress = self.live.process(frame, faces, self.detector, self.embedder, self.gallery, self.rules.quality)
        except RefusedError as refusal:
            progress = EnrollmentProgress(0, self.live.wanted, refusal.code, refusal)
            self.live = None
        self._progress += [] if progress is None else [progress]

    def _end_enrollment(self) -> LiveEnrollment:
        live, self.live = self.live, None
        self._progress = []
        if live is None:
            raise RefusedError(Code.NOT_ENROLLING, "no enrollment is in progress")
        return live

    def recognize(self, found: list[FoundFace]) -> list[RecognizedFace]:
        """Every face that was found in a picture, with the nearest person."""
        faces = []
        for face in found:
            match = self.gallery.identify(face.embedding)
            turned = match.person is not None and not face.upright
            person = None if turned or face.problem == Code.UNCLEAR else match.person
            faces.append(
                RecognizedFace(
                    name=None if person is None else person.name,
                    distance=match.distance if match.nearest is not None else None,
                    tau=match.tau,
                    box=face.box,
                    score=face.score,
                    problem=Code.NOT_UPRIGHT if turned else face.problem,
                )
            )
        return faces

    def rebuild(self, embeddings: dict[str, np.ndarray]) -> tuple[int, int]:
        """Replace the embeddings of all crops, (D,) float32 by template id, by those of the present model.

        Returns how many, without those that are no more, and how many templates have no crop. Distances of another
        model have another scale, so a person's own tau is dropped where the model changed.
        """
        if self.store.foreign():
            for person in self.gallery.people.values():
                self.store.update(replace(person, tau=None))
        made = self.store.rebuild(embeddings)
        self.reload()
        return made, self.store.foreign()

    def switch(self, *, on: bool) -> None:
        """Turn recognition on or off; it outlasts restarts."""
        self.store.set(RECOGNITION, "yes" if on else "no")
        self.recognizing = on

    def reload(self, *, rolled_back: bool = False) -> None:
        """Read the store again, after it was changed elsewhere, or after a transaction of this process failed."""
        self.people.reload(rolled_back=rolled_back)
        self.recognizing = self.store.setting(RECOGNITION) != "no"
        self.update_tracks()

    def update_tracks(self) -> None:
        """Use people as they are now in every track: somebody who was removed is named no more."""
        for track in self.tracker.tracks:
            track.update_people(self.gallery.people)
