"""What libraries in C write to the standard error: a line of the log at level DEBUG of each kind, however often."""

import fcntl
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import UnsupportedOperation
from typing import TextIO

log = logging.getLogger("limen")

STDERR = 2
KINDS_MAX = 50
LINE_MAX = 300  # characters; the rest is cut off
PIPE_BYTES = 1 << 20
END_SECONDS = 1.0  # a child that is left over may hold the pipe open
NUMBERS = re.compile(r"0x[0-9a-f]+|\d+", re.IGNORECASE)


class ForeignLines:
    """Logs each kind of line once: lines that differ in their numbers alone are of one kind.

    repeated: how many lines were of a known kind, or of one too many
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._kinds: set[str] = set()

    def hear(self, line: str) -> None:
        """Log a line, or count it."""
        line = line.strip()[:LINE_MAX]
        kind = NUMBERS.sub("#", line)
        if not line:
            return
        if kind in self._kinds or len(self._kinds) >= KINDS_MAX:
            self.repeated += 1
            return
        self._kinds.add(kind)
        log.debug("a library says, and is heard once: %s", line)

    def read(self, pipe: int) -> None:
        """Hear what comes until the other end is closed."""
        with open(pipe, encoding="utf-8", errors="backslashreplace") as lines:
            for line in lines:
                self.hear(line)


@contextmanager
def heard_once() -> Iterator[None]:
    """Catch what is written to the standard error's descriptor; Python's own sys.stderr stays where it was.

    A picture, a film or a webcam with a flaw makes libjpeg, FFmpeg or OpenCV write a line a frame. What is written
    faster than it is read is lost, rather than that the writer waits. Raises nothing: where a descriptor cannot be had,
    nothing is caught.
    """
    try:
        original = os.dup(STDERR)
    except OSError:  # closed, as some supervisors start programs
        yield
        return
    lines = ForeignLines()
    reading, writing = os.pipe()
    with suppress(OSError, AttributeError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.set_blocking(writing, False)
    before, sys.stderr = sys.stderr, python_stderr(original)
    os.dup2(writing, STDERR)
    os.close(writing)
    reader = threading.Thread(target=lines.read, args=(reading,), name="foreign lines", daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(original, STDERR)
        reader.join(END_SECONDS)
        if lines.repeated:
            log.debug("libraries wrote %d more lines of these kinds", lines.repeated)
        sys.stderr = before  # the other stays open: the log may hold it


def python_stderr(original: int) -> TextIO:
    """Python's own stream: where it writes to the descriptor that is caught, one to what that was."""
    stream = sys.stderr
    try:
        caught = stream is not None and stream.fileno() == STDERR
    except (UnsupportedOperation, ValueError, AttributeError):
        return stream
    if not caught:
        return stream
    return open(original, "w", buffering=1, encoding=stream.encoding, errors="backslashreplace", closefd=False)
