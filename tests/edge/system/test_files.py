"""What is at a path."""

import os
import re
from pathlib import Path

import pytest

from edge.system.files import exists, is_dir, is_file

EDGE = Path(__file__).parents[3] / "edge"


def test_what_is_there_is_told_apart(tmp_path):
    (tmp_path / "file").touch()
    for path, expected in (
        (tmp_path, (True, True, False)),
        (tmp_path / "file", (True, False, True)),
        (tmp_path / "none", (False, False, False)),
        (tmp_path / "file" / "below", (False, False, False)),
        (Path("\0"), (False, False, False)),
        (Path("x" * 5000), (False, False, False)),
    ):
        assert (exists(path), is_dir(path), is_file(path)) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("asks", [exists, is_dir, is_file])
def test_what_may_not_be_known_is_an_error_and_not_a_no(tmp_path, asks):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    user = os.geteuid()
    os.seteuid(65_534)
    try:
        with pytest.raises(PermissionError):
            asks(closed / "file")
    finally:
        os.seteuid(user)


def test_nothing_in_edge_asks_pathlib_which_answers_no_from_python_3_14_on():
    asked = [
        f"{path.relative_to(EDGE)}: {match}"
        for path in EDGE.rglob("*.py")
        for match in re.findall(r"\S+\.(?:is_file|is_dir|exists)\(\)", path.read_text())
    ]
    assert asked == ["system/clock.py: TIMESYNCD.exists()"]  # in a folder that anybody may enter
