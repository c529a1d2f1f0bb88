"""With the shipped embedder on drawn faces, many times over: what matters is which crops make which group."""

import msgspec
import numpy as np
import pytest

from edge.inference.cohort import read_cohort
from edge.inference.embedder import LITE, Embedder
from edge.inference.model_card import card_path, cohort_path
from training.data.crops import UNLABELLED
from training.data.generated import generated_people
from training.embedder.cohort import ENCODINGS, NEAREST, write_cohort
from training.embedder.training_set import Rows
from training.export.card import write_card


@pytest.fixture(scope="module")
def embedder():
    return Embedder(LITE)


def rows(count):
    crops = generated_people(people=100, pictures=5, seed=4).images
    where = np.column_stack([np.zeros(count, dtype=int), np.arange(count) % len(crops)])
    return Rows([crops], where, np.full(count, UNLABELLED), None)


def test_a_cohort_is_of_nobody_and_is_read_back(embedder, tiny, tmp_path):
    model = tmp_path / "mine.tflite"
    model.write_bytes(LITE.read_bytes())
    train = rows(500)
    normalization = write_cohort(embedder, model, train, tiny)
    card = msgspec.structs.replace(embedder.card, normalization=normalization)
    write_card(card, model)
    cohort = read_cohort(model, card)
    assert card_path(model).is_file()
    assert (cohort.encodings.shape, cohort.nearest) == ((ENCODINGS, 128), NEAREST)
    own = np.stack([embedder.embed(np.asarray(train.crop(row))) for row in range(0, 500, 25)])
    assert (own @ cohort.encodings.T).max() < 0.95  # it repeats no encoding of a crop
    assert cohort_path(model).stat().st_size < 600_000


def test_too_few_crops_make_no_cohort(embedder, tiny, tmp_path):
    assert write_cohort(embedder, tmp_path / "mine.tflite", rows(499), tiny) is None
    assert not list(tmp_path.iterdir())
