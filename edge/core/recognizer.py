"""The door: frames in, events out; commands in, replies out. No clock, thread, network or topic is in it."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace

from edge.core.align import align
from edge.core.commands import (
    CancelEnrollment,
    Command,
    EnrollImages,
    FinishEnrollment,
    Progress,
    RebuildGallery,
    RecognizeImage,
    Reply,
    StartEnrollment,
    SwitchRecognition,
)
from edge.core.enrollment import SAMPLES_MAX, LiveEnrollment, samples_of
from edge.core.events import low_quality_event, normalized_box, verdict_event
from edge.core.gallery import Gallery
from edge.core.motion import MotionGate
from edge.core.people import People
from edge.core.ports import Detector, Embedder, GalleryStore, StageTimer, StrangerStore
from edge.core.quality import QualityRules
from edge.core.tracker import Track, Tracker, TrackRules
from edge.core.types import Event, Face, Frame, Sample
from edge.errors import RefusedError

RECOGNITION = "recognition"  # the setting that keeps it over restarts


@dataclass(frozen=True)
class RecognizerRules:
    """Everything that decides what the door says."""

    quality: QualityRules = field(default_factory=QualityRules)
    tracks: TrackRules = field(default_factory=TrackRules)
    motion_gate: bool = True


class Recognizer:
    """Who is at the door. Same frames and commands in, same events and replies out."""

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        gallery: Gallery,
        store: GalleryStore,
        rules: RecognizerRules,
        strangers: StrangerStore | None = None,
        timer: StageTimer = nullcontext,
    ) -> None:
        self._timer = timer
        self.detector, self.embedder, self.gallery, self.store, self.rules = detector, embedder, gallery, store, rules
        self.people = People(gallery, store, strangers)
        self.tracker = Tracker(rules.tracks)
        self.motion = MotionGate() if rules.motion_gate else None
        self.recognizing = True
        self.live: LiveEnrollment | None = None
        self._progress: list[Progress] = []
        self.reload()

    def process(self, frame: Frame) -> list[Event]:
        """Advance by one frame."""
        if not self.recognizing:
            return self.flush(frame)
        with self._timer("motion"):
            still = self.motion is not None and not self.motion.passes(frame.image, frame.at)
        if still and not self.tracker.tracks and self.live is None:
            return []
        with self._timer("detect"):
            faces = self.detector.detect(frame.image)
        self._enroll_live(frame, faces)
        present, gone = self.tracker.update(faces, frame.at)
        events = [event for track in gone for event in self._finish_track(track, frame, len(faces))]
        for track in present:
            if not track.wants_sample(frame.at):
                continue
            face = track.face.scaled(frame.zoom)
            crop = align(frame.best, face.landmarks)  # (112, 112, 3) uint8 RGB
            quality = self.rules.quality.assess(crop, face)
            if quality.problem is not None:
                track.refuse(quality.problem)
                continue
            with self._timer("embed"):
                probe = self.embedder.embed(crop)  # (128,) float32, unit length
            with self._timer("match"):
                match = self.gallery.identify(probe)
            first = track.verdict is None
            verdict = track.observe(match, quality, frame.at, Sample(crop, probe))
            if verdict is not None:
                self._match_stranger(track)
                events.append(verdict_event(track, verdict, "new" if first else "update", frame, len(faces)))
        return events

    def flush(self, frame: Frame) -> list[Event]:
        """Nothing comes after this frame: what is left to say of everybody who was there."""
        return [event for track in self.tracker.lose_all() for event in self._finish_track(track, frame, 0)]

    def _finish_track(self, track: Track, frame: Frame, faces_in_frame: int) -> list[Event]:
        """The verdict of a track that left before there was one, and its end; nothing for a flicker."""
        late = track.finish()
        if late is not None:
            self._match_stranger(track)
        events = [] if late is None else [verdict_event(track, late, "new", frame, faces_in_frame)]
        if track.verdict is not None:
            return [*events, verdict_event(track, track.verdict, "end", frame, faces_in_frame)]
        return [low_quality_event(track, frame, faces_in_frame)] if track.refusals else []

    def _match_stranger(self, track: Track) -> None:
        """Is it the stranger who came before?"""
        verdict, strangers = track.verdict, self.people.strangers
        track.stranger = None
        if strangers is None or verdict.identity is not None or verdict.shot is None:
            return
        if self.gallery.identify(verdict.shot.embedding).person is None:  # not of somebody who was named too rarely
            track.stranger = strangers.meet(verdict.shot)

    def handle(self, command: Command) -> Reply:
        """Do as asked, or say why not. What was answered with ok is on disk."""
        verbs = self.people.verbs | {
            EnrollImages: self._enroll,
            StartEnrollment: self._start,
            FinishEnrollment: self._finish,
            CancelEnrollment: self._cancel,
            RecognizeImage: self._recognize,
            RebuildGallery: self._rebuild,
            SwitchRecognition: self._switch,
        }
        try:
            reply = verbs[type(command)](command)
        except RefusedError as refusal:
            return Reply(code=refusal.code, error=str(refusal))
        self._forget_who_is_gone()
        return reply

    def _enroll(self, command: EnrollImages) -> Reply:
        name = self.people.free_name(command.name)
        shots = samples_of(name, command.images, self.detector, self.embedder, self.gallery, self.rules.quality)
        return self.people.keep(name, shots, command.expires)

    def progress(self) -> list[Progress]:
        """What is new of the live enrollment since this was last asked."""
        news, self._progress = self._progress, []
        return news

    def _enroll_live(self, frame: Frame, faces: list[Face]) -> None:
        if self.live is None or len(self.live.shots) >= self.live.wanted:
            return
        try:
            news = self.live.look(frame, faces, self.embedder, self.gallery, self.rules.quality)
        except RefusedError as refusal:
            news = Progress(0, self.live.wanted, refusal.code, Reply(code=refusal.code, error=str(refusal)))
            self.live = None
        self._progress += [] if news is None else [news]

    def _start(self, command: StartEnrollment) -> Reply:
        if self.live is not None:
            raise RefusedError("enrolling", f"{self.live.name} is being enrolled; enroll/cancel ends that")
        if not self.recognizing:
            raise RefusedError("recognition_off", "nobody is looked at: recognition is switched off")
        if not 1 <= command.shots <= SAMPLES_MAX:
            raise RefusedError("invalid", f"expected 1 to {SAMPLES_MAX} shots, got {command.shots}")
        name = self.people.free_name(command.name)
        self.live, self._progress = LiveEnrollment(name, command.shots, command.expires), []
        return Reply({"shots": 0, "of": command.shots})

    def _finish(self, _command: FinishEnrollment) -> Reply:
        live = self._ended()
        if not live.shots:
            raise RefusedError("timeout", f"no look at {live.name} was good enough in time")
        return self.people.keep(self.people.free_name(live.name), live.shots, live.expires)

    def _cancel(self, _command: CancelEnrollment) -> Reply:
        return Reply({"name": self._ended().name})

    def _ended(self) -> LiveEnrollment:
        live, self.live = self.live, None
        self._progress = []
        if live is None:
            raise RefusedError("not_enrolling", "nobody is being enrolled")
        return live

    def reload(self) -> None:
        """Know what the store knows."""
        self.people.reload()
        self.recognizing = self.store.setting(RECOGNITION) != "no"
        self._forget_who_is_gone()

    def _forget_who_is_gone(self) -> None:
        for track in self.tracker.tracks:
            track.know(self.gallery.people)

    def _recognize(self, command: RecognizeImage) -> Reply:
        faces = []
        for face in self.detector.detect(command.image):
            crop = align(command.image, face.landmarks)
            match = self.gallery.identify(self.embedder.embed(crop))
            faces.append(
                {
                    "name": None if match.person is None else match.person.name,
                    "distance": match.distance if match.nearest is not None else None,
                    "tau": match.tau,
                    "box": normalized_box(face.box, command.image.shape),
                    "score": face.score,
                    "problem": self.rules.quality.assess(crop, face).problem,
                }
            )
        return Reply({"faces": faces})

    def _rebuild(self, _command: RebuildGallery) -> Reply:
        """With another model, distances have another scale: a tau of one's own is nobody's any more."""
        if self.store.foreign():
            for person in self.gallery.people.values():
                self.store.update(replace(person, tau=None))
        embeddings = {template_id: self.embedder.embed(crop) for template_id, crop in self.store.crops()}
        self.store.rebuild(embeddings)
        self.reload()
        return Reply({"templates": len(embeddings), "without_picture": self.store.foreign()})

    def _switch(self, command: SwitchRecognition) -> Reply:
        if command.on is not None:
            self.store.set(RECOGNITION, "yes" if command.on else "no")
            self.reload()
        return Reply({"recognition": self.recognizing})
