"""A gallery and pictures for the commands."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from skimage.data import astronaut

from edge.commands.main import main


@pytest.fixture
def limen(tmp_path):
    def call(*arguments):
        return CliRunner().invoke(main, ["--gallery", str(tmp_path / "gallery.db"), *map(str, arguments)])

    return call


@pytest.fixture
def pictures(tmp_path):
    """A portrait, the same one darker and mirrored, and a wall."""
    portrait = astronaut()[..., ::-1]
    cv2.imwrite(str(tmp_path / "portrait.png"), portrait)
    cv2.imwrite(str(tmp_path / "again.jpg"), (portrait[:, ::-1] * 0.7).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((200, 200, 3), 90, dtype=np.uint8))
    return tmp_path
