"""What the bench prints; what it measures is looked at by people."""

import cv2
from click.testing import CliRunner

from edge.commands.main import main
from edge.demo.scene import porch
from tests.edge.commands.test_cli import one_line


def rows(output):
    """{(what, stage): [p50, p95, ran]}"""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if words[-2:-1] == ["of"]:
            found[words[0], words[1]] = words[2], words[3], int(words[4])
    return found


def test_it_times_every_stage_with_nobody_and_with_somebody_there():
    result = CliRunner().invoke(main, ["bench", "--frames", "60"])
    assert result.exit_code == 0, result.output
    table = rows(result.output)
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
    assert rows(result.output)["footage", "motion"][2] == 20
    one_line(CliRunner().invoke(main, ["bench", "--source", str(tmp_path / "gone.mp4")]), "there is no video")
