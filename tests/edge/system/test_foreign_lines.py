"""Lines of libraries, in processes of their own: one of each kind reaches the log."""

import subprocess
import sys

import pytest

BEGIN = """
import logging, os, sys
import numpy as np
from edge.system.foreign_lines import heard_once
cut = None
with heard_once():
    logging.basicConfig(level=logging.DEBUG, format="LOG %(message)s")
    log = logging.getLogger("limen")
"""


def lines_of(body, after="", **options):
    code = BEGIN + "".join(f"    {line}\n" for line in body.splitlines()) + after
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=60, check=False, **options
    )
    return done.stderr.splitlines(), done.returncode


def test_a_broken_picture_a_frame_is_one_line():
    """libjpeg writes where Python cannot be asked."""
    lines, status = lines_of(
        """import cv2
data = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8))[1].tobytes()
for number in range(200):
    cv2.imdecode(np.frombuffer(data[: len(data) // 2 - number] + b"\\xff\\xd9", np.uint8), cv2.IMREAD_COLOR)
log.info("done")"""
    )
    assert status == 0
    heard = [line for line in lines if "heard once" in line]
    assert heard == ["LOG a library says, and is heard once: Corrupt JPEG data: premature end of data segment"]
    assert "LOG done" in lines
    assert "LOG libraries wrote 199 more lines of these kinds" in lines
    assert len(lines) == 3


def test_lines_that_differ_in_numbers_are_of_one_kind_and_kinds_are_bounded():
    lines, _ = lines_of(
        """for number in range(20):
    os.write(2, b"[h264 @ 0x55d%d] error at %d\\n" % (number, number))
for number in range(100):
    os.write(2, b"kind " + bytes([97 + number % 26, 97 + number // 26]) + b"\\n")
os.write(2, b"\\xff\\x1b[2J" + b"x" * 5000 + b"\\n")"""
    )
    assert len(lines) == 51
    assert all(len(line) < 400 for line in lines)
    assert lines[-1] == "LOG libraries wrote 71 more lines of these kinds"


def test_python_writes_where_it_did_and_so_does_everybody_afterwards():
    lines, status = lines_of(
        "print('of Python', file=sys.stderr)",
        after="os.write(2, b'of C\\n')\nprint('again', file=sys.stderr)\nlogging.getLogger('limen').info('late')\n",
    )
    assert status == 0
    assert set(lines) == {"of Python", "of C", "again", "LOG late"}


def test_an_error_is_shown():
    lines, status = lines_of("raise SystemError('what went wrong')")
    assert status == 1
    assert lines[-1] == "SystemError: what went wrong"


@pytest.mark.parametrize("close", [True, False])
def test_a_writer_never_waits(close):
    """Nor where nobody reads, or the standard error is closed."""
    if close:
        code = "import os; os.close(2)" + BEGIN + "    pass\nprint('done')"
    else:
        libc = "__import__('ctypes').PyDLL(None)"  # which holds the lock that the reader needs
        code = BEGIN + f"    [{libc}.write(2, b'x' * 100_000, 100_000) for _ in range(40)]\nprint('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n"
