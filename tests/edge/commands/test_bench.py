"""What the bench prints; what it measures is looked at by people."""

import re

import cv2
import pytest
from click.testing import CliRunner

from edge.commands.main import main
from edge.demo.scene import porch
from tests.edge.commands.results import one_line


def rows(output):
    """{(what, size, stage): [p50, p95, ran]}"""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if words[-2:-1] == ["of"]:
            found[words[0], words[1], words[2]] = words[3], words[4], int(words[5])
    return found


def of_size(table, size):
    return {(what, stage): row for (what, a_size, stage), row in table.items() if a_size == size}


def test_it_times_every_stage_with_nobody_and_with_somebody_there():
    result = CliRunner().invoke(main, ["bench", "--frames", "60"])
    assert result.exit_code == 0, result.output
    table = of_size(rows(result.output), "640x480")
    assert {stage for _, stage in table} == {"frame", "motion", "detect", "embed", "match", "rest"}
    assert table["idle", "motion"][2] == table["busy", "motion"][2] == 60
    assert table["idle", "detect"][2] <= 2  # nobody there: it looks every five seconds
    assert table["idle", "embed"] == ("-", "-", 0)
    assert table["busy", "detect"][2] == 60
    assert 1 <= table["busy", "embed"][2] < 20  # a decided track is looked at again now and then
    assert float(table["busy", "detect"][0]) > 0


def test_footage_of_ones_own(tmp_path):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), porch())
    result = CliRunner().invoke(main, ["bench", "--source", str(tmp_path), "--frames", "20"])
    assert result.exit_code == 0, result.output
    assert rows(result.output)["footage", "640x480", "motion"][2] == 20
    one_line(CliRunner().invoke(main, ["bench", "--source", str(tmp_path / "gone.mp4")]), "there is no video")
    one_line(CliRunner().invoke(main, ["bench", "--source", str(tmp_path), "--size", "640x480"]), "have their own")


def test_a_size_of_ones_own_beside_640x480_in_the_same_run():
    result = CliRunner().invoke(main, ["bench", "--size", "1280x720", "--frames", "12"])
    assert result.exit_code == 0, result.output
    table = rows(result.output)
    assert {size for _, size, _ in table} == {"640x480", "1280x720"}
    for size in ("640x480", "1280x720"):
        rows_of = of_size(table, size)
        assert rows_of["idle", "frame"][2] == rows_of["busy", "detect"][2] == 12
    ratios = re.findall(r"^(idle|busy): (\d+\.\d\d) times a frame of 640x480 \(mean ", result.output, re.MULTILINE)
    assert [what for what, _ in ratios] == ["idle", "busy"]
    assert all(float(ratio) > 0 for _, ratio in ratios)


@pytest.mark.parametrize("size", ["1080p", "1920x", "0x0", "100x100", "99999x99999", "1920X1080", "-640x480"])
def test_a_size_that_is_none_is_named(size):
    result = CliRunner().invoke(main, ["bench", "--size", size])
    assert result.exit_code == 2
    assert f"'{size}' is not WIDTHxHEIGHT of 160 to 8192 px, such as 1920x1080" in result.output
