"""A device that runs: what handlers may use of it beside its disk, and its health."""

import logging
import shutil
import time
from pathlib import Path

from edge.api.messages import Health, ReplicationHealth
from edge.api.verbs import Limits
from edge.capture.health import REMEDIES, FrameHealth
from edge.config import Config
from edge.core.codes import Code
from edge.core.events import Event
from edge.core.ports import FrameSource
from edge.core.types import Frame
from edge.errors import RefusedError
from edge.mqtt.device_link import DeviceLink
from edge.runtime.assembly import Device
from edge.runtime.context import DeviceContext
from edge.runtime.publisher import EventPublisher
from edge.runtime.replication import Replication
from edge.runtime.worker import PictureWorker
from edge.storage.outbox import Outbox
from edge.storage.words import count_of
from edge.system.metrics import Stopwatch, rss_mb, temp_c, throttled

log = logging.getLogger("limen")

CAMERA_SILENT_SECONDS = 10.0


class RunningDevice(DeviceContext):
    """The device of a frame loop; see DeviceContext.

    newest: the newest frame, None before the first and after the camera went silent; newest_at: on the monotonic clock
    gallery_unread: why the gallery that is at its path now could not be read, or None
    watch: times whole frames
    """

    running = True

    def __init__(
        self,
        config: Config,
        device: Device,
        link: DeviceLink,
        outbox: Outbox,
        publisher: EventPublisher,
        replication: Replication | None,
        worker: PictureWorker,
    ) -> None:
        super().__init__(config, device, Limits(config.mqtt.request_bytes_max, config.mqtt.image_pixels_max))
        self.link, self.outbox, self.publisher, self.replication = link, outbox, publisher, replication
        self.worker = worker
        self._key  # noqa: B018 -- read once, at the start
        self.source: FrameSource | None = None
        self.gallery_unread: str | None = None
        self.newest: Frame | None = None
        self.newest_at = float("-inf")
        self._started_at = time.monotonic()
        self.watch = Stopwatch()
        self._checked = config.camera.kind != "images"  # which are as somebody made them
        self._frame_health = FrameHealth()
        self._published_at, self._published_frames = time.monotonic(), 0

    def see(self, frame: Frame) -> None:
        """Note a frame as the newest."""
        self.newest, self.newest_at = frame, time.monotonic()
        before = self._frame_health.problem
        if self._checked and (problem := self._frame_health.update(frame)) != before:
            if problem is None:
                log.warning("the camera gives good frames again")
            else:
                log.warning("the camera gives %s frames: %s", problem.replace("_", " "), REMEDIES[problem])

    @property
    def answer_bytes_max(self) -> int | None:
        """See DeviceContext."""
        return self.link.packet_bytes_max

    @property
    def camera_silent(self) -> bool:
        """Whether the camera gave no frame lately."""
        return time.monotonic() - self.newest_at >= CAMERA_SILENT_SECONDS

    @property
    def camera_problem(self) -> str | None:
        """What is wrong with the camera: "silent", or a FrameProblem; None where nothing is."""
        return "silent" if self.camera_silent else self._frame_health.problem

    @property
    def gallery_problem(self) -> str | None:
        """What is wrong with the gallery, or None."""
        damaged = self.device.store.damaged.total()
        if self.gallery_unread is None and damaged:
            return f"{count_of(damaged, 'template')} damaged: see limen doctor"
        return self.gallery_unread

    def require_camera(self) -> None:
        """See DeviceContext. A camera may take its time to start."""
        problem = self._frame_health.problem
        if time.monotonic() - max(self.newest_at, self._started_at) >= CAMERA_SILENT_SECONDS:
            problem_text = f"the camera has given no frame for {CAMERA_SILENT_SECONDS:g} s"
        elif problem is not None:
            problem_text = f"the camera gives {problem.replace('_', ' ')} frames"
        else:
            return
        raise RefusedError(Code.NO_FRAME, f"{problem_text}: see the log of the device, or run limen doctor there")

    def event(self, event_id: str) -> Event:
        """See DeviceContext."""
        return self.publisher.event(event_id)

    def remove_visit(self, event_id: str) -> str:
        """See DeviceContext. Nor can its events be corrected any more."""
        removed = self.history.remove(event_id)
        self.publisher.drop_samples(removed)
        return removed[0]

    def frame(self) -> Frame:
        """See DeviceContext."""
        if not self.config.mqtt.snapshot:
            raise RefusedError(Code.SNAPSHOT_OFF, "no pictures are given away: mqtt.snapshot is not set")
        if not self.recognizer.recognizing:
            raise RefusedError(Code.RECOGNITION_OFF, "recognition is switched off")
        if self.newest is None:
            raise RefusedError(Code.NO_FRAME, "the camera gives no frames")
        return self.newest

    def health(self) -> Health:
        """See DeviceContext. fps is since health was last published."""
        fps = (self.watch.count - self._published_frames) / max(1e-6, time.monotonic() - self._published_at)
        watches = {"frame": self.watch} | {stage: self.device.times[stage] for stage in ("detect", "embed")}
        return Health(
            fps=round(fps, 1),
            ms={stage: watch.ms() for stage, watch in watches.items()},
            rss_mb=rss_mb(),
            temp_c=temp_c(),
            throttled=throttled(),
            camera_ok=self.camera_problem is None,
            camera_problem=self.camera_problem,
            clock_set=self.device.clock_set,
            disk_free_mb=free_mb(self.config.gallery.path.parent),
            dropped_frames=0 if self.source is None else self.source.dropped,
            gallery_problem=self.gallery_problem,
            outbox=self.outbox.depth,
            outbox_problem=self.outbox.unkept or self.outbox.problem,
            outboxes_set_aside=self.outbox.set_aside,
            dropped_events=self.outbox.dropped,
            dropped_answers=self.link.dropped,
            set_aside=self.link.set_aside,
            worker_mb=self.worker.memory_mb,
            workers_lost=self.worker.lost,
            refused_requests=self.link.refused,
            fleet=self._replication_health(),
            history_problem=self.history.problem,
        )

    def publish_health(self) -> None:
        """Publish health, and count frames from here on."""
        self.publisher.publish_health(self.health())
        self._published_at, self._published_frames = time.monotonic(), self.watch.count

    def _replication_health(self) -> ReplicationHealth | None:
        return None if self.replication is None else self.replication.health()


def free_mb(folder: Path) -> int | None:
    """How much room there is where a folder is; None where it cannot be asked, as when it was moved away."""
    try:
        return shutil.disk_usage(folder).free // 1_000_000
    except OSError:
        return None
