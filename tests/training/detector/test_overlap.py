"""The guard against measuring on what was learned from."""

import cv2
import numpy as np

from training.data.faces import NO_FACES
from training.data.generated_scenes import drawn_scenery
from training.data.scenes import Scene
from training.detector.overlap import same_picture, thumbnails


def test_a_picture_is_known_again_smaller_brighter_and_compressed_and_another_is_not():
    scenes, _ = drawn_scenery(40, seed=3)
    learned = thumbnails([scene.image for scene in scenes[:20]])
    again = []
    for scene in scenes[:20]:
        small = cv2.resize(scene.image, (200, 150), interpolation=cv2.INTER_AREA)
        jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
        again.append(Scene("x/1", cv2.add(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), (9, 9, 9, 0)), NO_FACES))
    assert same_picture(again, learned).mean() > 0.9
    assert same_picture(scenes[20:], learned).mean() < 0.2


def test_a_plain_picture_has_a_thumbnail():
    plain = np.full((100, 100, 3), 7, dtype=np.uint8)
    assert np.isfinite(thumbnails([plain])).all()
    assert thumbnails([]).shape == (0, 768)
