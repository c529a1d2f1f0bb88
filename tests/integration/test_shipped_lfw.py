"""The number on the card is the number of the file, measured again."""

import numpy as np
import pytest

from edge.inference.embedder import LITE, STANDARD, Embedder
from training.data.lfw import read_lfw
from training.embedder.encoder import encode_on_device
from training.embedder.evaluation import compare


@pytest.fixture(scope="module", params=[STANDARD, LITE], ids=lambda path: path.stem)
def embedder(request):
    return Embedder(request.param)


@pytest.fixture(scope="module")
def lfw(shared, cache_dir):
    return read_lfw(shared, cache_dir)


@pytest.fixture(scope="module")
def encodings(embedder, lfw):
    return encode_on_device(embedder, lfw.images, "LFW")


def test_lfw_accuracy_is_what_the_card_says(embedder, lfw, encodings):
    result = compare(encodings, lfw.pairs).result
    on_card = embedder.card.measured["lfw"]
    # Another processor may round a few of a million int8 sums differently: 3 of 6,000 pairs.
    assert result.accuracy == pytest.approx(on_card["accuracy"], abs=0.0005)
    assert result.eer == pytest.approx(on_card["eer"], abs=0.001)


def test_strangers_in_lfw_pass_about_as_often_as_the_card_promises(embedder, lfw, encodings):
    first, second = encodings[lfw.pairs.first[~lfw.pairs.same]], encodings[lfw.pairs.second[~lfw.pairs.same]]
    assert (np.square(first - second).sum(axis=1) <= embedder.card.tau(1e-2)).mean() < 0.03
