"""A door with an empty gallery."""

import pytest

from tests.edge.core.doors import open_door


@pytest.fixture
def path(tmp_path):
    return tmp_path / "gallery.db"


@pytest.fixture
def door(path):
    return open_door(path)
