"""From how far a face is detected and recognized."""

from pathlib import Path

import pytest

from edge.core.quality import QualityRules
from edge.core.reach import FIELD_OF_VIEW_DEG, HEAD_M, reach_m

PAGE = Path(__file__).parents[3] / "deploy" / "OPERATIONS.md"


def test_twice_as_near_is_twice_as_wide():
    assert reach_m(1000, 90, 500 * HEAD_M) == pytest.approx(1.0)
    assert reach_m(1000, 90, 1000 * HEAD_M) == pytest.approx(0.5)


@pytest.mark.parametrize("width", [1280, 1920])
def test_the_table_of_the_page_is_as_calculated(width):
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith(f"| {width} px wide"))
    metres = [f"{reach_m(width, fov, QualityRules().face_px_min):.1f} m" for fov in FIELD_OF_VIEW_DEG.values()]
    assert [cell.strip() for cell in row.split("|")[2:-1]] == metres
