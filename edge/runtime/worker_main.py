"""The process that reads pictures: what others send is decoded here, apart from the frame loop, within limits.

A decoder that takes too long is ended by the processor's own timer, one that takes too much memory gets none, and one
that crashes takes nothing else down. See edge.runtime.worker, which starts it.
"""

import os
import resource
import signal
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import cv2
import msgspec
import numpy as np

from edge.core.codes import Code
from edge.errors import RefusedError
from edge.inference.detector import Detector
from edge.inference.embedder import Embedder
from edge.runtime.pictures import PictureTask, read_pictures
from edge.runtime.worker_messages import SETTINGS, TASKS, Begun, Ready, Refused, Settings, read, said_of, write

NICE = 7  # where the frame loop wants all of one core, it gets five sixths
OOM_SCORE = 500  # of 1000: where memory runs out, this process goes first
TASK_BYTES_MAX = 1 << 32  # the device has bounded it


def main() -> None:
    """Read tasks from the standard input until it ends, and answer on the standard output."""
    tasks, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # where libraries may write
    step_back()
    settings = read(tasks, SETTINGS, TASK_BYTES_MAX)
    cv2.setNumThreads(1)
    detector = Detector(Path(settings.detector), threads=settings.threads)
    embedder = Embedder(Path(settings.embedder), threads=settings.threads)
    warm_up()
    limit_memory(settings.memory_bytes)
    with suppress(EOFError, BrokenPipeError):  # the device has ended
        write(replies, Ready())
        while True:
            task = read(tasks, TASKS, TASK_BYTES_MAX)
            carry_out(task, detector, embedder, settings, replies)


def step_back() -> None:
    """Let the frame loop go first, for time and for memory; leave nothing of a picture behind."""
    with suppress(OSError):
        os.nice(NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def warm_up() -> None:
    """Have OpenBLAS, behind NumPy, take its buffer now: it ends the process where it gets none."""
    square = np.ones((128, 128), dtype=np.float32)
    np.matmul(square, square)


def limit_memory(more_bytes: int) -> None:
    """Allow so much memory beside what the process has now."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:")]
    limit = 1024 * int(line.split()[1]) + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def carry_out(task: PictureTask, detector: Detector, embedder: Embedder, settings: Settings, replies: BinaryIO) -> None:
    """Answer what is found in each picture of a task; the timer ends the process at one that takes too long."""
    found = read_pictures(task, detector, embedder, settings.rules)
    for number in range(1, len(task.images) + 1):
        write(replies, Begun(number))
        signal.setitimer(signal.ITIMER_PROF, settings.picture_seconds)
        try:
            said = said_of(next(found))
        except RefusedError as refusal:
            said = Refused(msgspec.convert(refusal.code, Code), str(refusal))
        except MemoryError:
            said = Refused(
                Code.IMAGE_TOO_COSTLY,
                f"{task.name_of(number)} takes more than {settings.memory_bytes // 1_000_000} MB of memory, which is "
                "the limit: make it smaller",
            )
        signal.setitimer(signal.ITIMER_PROF, 0)
        write(replies, said)
        if isinstance(said, Refused):
            return
