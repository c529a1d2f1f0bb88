"""The device's side of the process that reads pictures: started at need, kept a while, ended at its limits.

Everything is for one thread, the owner's. A thread of its own carries each task to the process and waits for it.
"""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from edge.config import HOUSEHOLD_KEY_VARIABLE, PASSWORD_VARIABLE, SIGNING_KEY_VARIABLE, Config
from edge.core.codes import Code
from edge.errors import RefusedError
from edge.runtime.assembly import Device, model_path
from edge.runtime.pictures import Found, PictureTask
from edge.runtime.worker_messages import (
    SAID_BYTES_MAX,
    SAYINGS,
    Begun,
    FoundEncoding,
    FoundFaces,
    FoundNone,
    FoundSample,
    Ready,
    Refused,
    Said,
    Settings,
    found_of,
    read,
    write,
)
from edge.system.metrics import peak_mb

log = logging.getLogger("limen")

PICTURE_SECONDS = 10.0  # of processor time: the largest that are admitted take one on x86, some ten on a Zero 2 W
REQUEST_SECONDS = 15.0  # until all pictures of a request are read, from when its turn comes: limen's commands wait 20
IDLE_SECONDS = 30.0
BYTES_OF_PIXEL = 14  # a progressive JPEG of four components: 8 of coefficients, 4 decoded, 1 or 2 of rows
LOGGED_EVERY_SECONDS = 60.0
STOP_SECONDS = 2.0
SECRETS = (PASSWORD_VARIABLE, SIGNING_KEY_VARIABLE, HOUSEHOLD_KEY_VARIABLE, "NOTIFY_SOCKET")
# The path as it is here, so that the same limen is found, however this one was started.
BOOT = "import sys; sys.path[:] = sys.argv[1:]; from edge.runtime.worker_main import main; main()"


def settings_of(config: Config, device: Device) -> Settings:
    """What the process of a device is told."""
    return Settings(
        detector=str(model_path("detector", config.models.detector)),
        embedder=str(model_path("embedder", config.models.embedder)),
        threads=1,
        dimension=device.embedder.card.dimension,
        rules=config.decision.quality,
        picture_seconds=PICTURE_SECONDS,
        memory_bytes=BYTES_OF_PIXEL * config.mqtt.image_pixels_max,
    )


class WorkerProcess:
    """One process. Raises OSError where it cannot be started.

    picture: the number of the picture that it reads, or read last; 0 before the first of a task
    """

    def __init__(self, settings: Settings) -> None:
        self._dimension, self.picture, self.ready = settings.dimension, 0, False
        environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
        self._popen = subprocess.Popen(  # noqa: S603 -- limen itself
            [sys.executable, "-c", BOOT, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the device, which ends it
        )
        assert self._popen.stdin is not None  # noqa: S101 -- both are pipes
        assert self._popen.stdout is not None  # noqa: S101
        self._tasks, self._said = self._popen.stdin, self._popen.stdout
        with suppress(BrokenPipeError):  # what became of it is read
            write(self._tasks, settings)

    @property
    def pid(self) -> int:
        """Its id."""
        return self._popen.pid

    def read(self, task: PictureTask) -> list[Found] | RefusedError:
        """What is found in the pictures.

        Raises EOFError or OSError where the process ended, ValueError where it says what it should not.
        """
        self.picture = 0
        if not self.ready and not isinstance(self._next(), Ready):
            raise ValueError("it is not ready")
        self.ready = True
        write(self._tasks, task)
        found = list[Found]()
        while len(found) < len(task.images):
            match said := self._next():
                case Begun():
                    self.picture = len(found) + 1
                case FoundSample() | FoundNone() | FoundFaces() | FoundEncoding():
                    found.append(found_of(said, task, self._dimension))
                case Refused():
                    return RefusedError(said.code, said.reason)
                case Ready():
                    raise ValueError("it is ready again")
        return found

    def kill(self) -> None:
        """End it at once."""
        self._popen.kill()

    def end(self) -> int:
        """Wait for its end, which was asked for or has come. Returns its status."""
        with suppress(OSError):  # what it did not take
            self._tasks.close()
        status = self._popen.wait()
        self._said.close()
        return status

    def _next(self) -> Said:
        return read(self._said, SAYINGS, SAID_BYTES_MAX)


@dataclass
class Job:
    """A task under way. outcome: None until it is done."""

    task: PictureTask
    outcome: list[Found] | RefusedError | None = None
    overdue: bool = False


class PictureWorker:
    """Reads the pictures of one request at a time in a process of its own.

    request_seconds: until a request is refused; idle_seconds: how long the process is kept for the next one

    lost: how many processes were ended over a limit, or ended by themselves
    """

    def __init__(
        self,
        settings: Settings,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        start: Callable[[Settings], WorkerProcess] = WorkerProcess,
    ) -> None:
        self._settings, self._request_seconds, self._idle_seconds = settings, request_seconds, idle_seconds
        self._start, self.lost = start, 0
        self._process: WorkerProcess | None = None
        self._job: Job | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        self._deciding = threading.Lock()  # whether a task was done before its deadline
        self._idle_from, self._logged_at = 0.0, float("-inf")

    @property
    def memory_mb(self) -> float | None:
        """The most memory that the process has had; None where none runs."""
        process = self._process
        return None if process is None else peak_mb(process.pid)

    def start(self, task: PictureTask) -> None:
        """Begin to read the pictures of a request."""
        self._job = Job(task)
        self._thread = threading.Thread(target=self._carry_out, args=(self._job,), name="pictures", daemon=True)
        self._thread.start()

    def poll(self) -> list[Found] | RefusedError | None:
        """What was found in each picture, or why the request is refused; None where that is not known yet."""
        if self._job is None:
            if self._process is not None and time.monotonic() - self._idle_from > self._idle_seconds:
                self._end_process()
            return None
        outcome = self._job.outcome
        if outcome is not None:
            self._job, self._idle_from = None, time.monotonic()
        return outcome

    def close(self) -> None:
        """End the process, whatever it does."""
        self._closed = True
        self._end_process()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.end()

    def _carry_out(self, job: Job) -> None:
        """Have a task carried out, for its thread; by a second process where the first ended before it began."""
        outcome: list[Found] | RefusedError | None = None
        deadline = threading.Timer(self._request_seconds, self._expire, [job])
        try:
            deadline.start()
            outcome = self._attempt(job)
            if outcome is None and not job.overdue and not self._closed:
                outcome = self._attempt(job)
        finally:
            deadline.cancel()
            failed = "the process that reads pictures failed before it began: see the log of the device"
            with self._deciding:
                job.outcome = outcome or RefusedError(Code.WORKER_FAILED, failed)

    def _attempt(self, job: Job) -> list[Found] | RefusedError | None:
        """What one process makes of a task; None where it ended before it began with the first picture."""
        try:
            process = self._process = self._process or self._start(self._settings)
            if self._closed or job.overdue:
                process.kill()
            return process.read(job.task)
        except (OSError, EOFError, ValueError) as error:
            return self._lose(job, error)

    def _expire(self, job: Job) -> None:
        """End the process at the deadline of a task; not where the task is done by now, and the process has another."""
        with self._deciding:
            if job is not self._job or job.outcome is not None:
                return
            job.overdue = True
            process = self._process
            if process is not None:
                process.kill()

    def _lose(self, job: Job, error: Exception) -> RefusedError | None:
        """Note that the process is lost. Returns what that means for the request, where a picture was begun."""
        process, self._process = self._process, None
        self.lost += 1
        if process is None:
            self._complain(f"cannot be started: {error}")
            return None
        process.kill()
        status = process.end()
        number = process.picture
        if isinstance(error, ValueError):
            self._complain(f"said what it should not: {error}")
            return RefusedError(Code.WORKER_FAILED, "the process that reads pictures failed: see the log of the device")
        self._complain(f"ended with status {status}" + (f" at picture {number}" if number else ""))
        return refusal_of(job, number, status, self._settings.picture_seconds, self._request_seconds)

    def _complain(self, what: str) -> None:
        if not self._closed and time.monotonic() - self._logged_at > LOGGED_EVERY_SECONDS:
            self._logged_at = time.monotonic()
            log.warning("the process that reads pictures %s; health counts those that are lost", what)


def refusal_of(
    job: Job, number: int, status: int, picture_seconds: float, request_seconds: float
) -> RefusedError | None:
    """What it means for a request that the process ended; None where that has nothing to do with it.

    number: of the picture that was being read, 0 before the first
    """
    name = job.task.name_of(max(number, 1))
    smaller = "make it smaller, or save it again as a plain JPEG"
    if job.overdue:
        return RefusedError(
            Code.IMAGE_TOO_COSTLY,
            f"{name} was not read by then: the pictures of one request may take {request_seconds:g} s. Send fewer, or "
            "smaller ones",
        )
    if not number:
        return None
    if status == -signal.SIGPROF:
        return RefusedError(
            Code.IMAGE_TOO_COSTLY,
            f"{name} takes more than {picture_seconds:g} s of processor time, which is the limit: {smaller}",
        )
    if status == -signal.SIGKILL:
        return RefusedError(Code.IMAGE_TOO_COSTLY, f"{name} took the last of the device's memory: {smaller}")
    if status == -signal.SIGTERM:
        return RefusedError(Code.STOPPED, "the process that reads pictures was stopped: ask again")
    return RefusedError(
        Code.IMAGE_BROKEN, f"{name} ended the process that decodes pictures (status {status}): save it again"
    )
