"""Published results for comparison, with their sources; none of them is measured here."""

from typing import NamedTuple

from training.omniglot.protocols import LAKE, UNSTRUCTURED_5, UNSTRUCTURED_20


class Published(NamedTuple):
    """One published accuracy, a fraction, on a protocol; note: the difference to our protocol."""

    who: str
    protocol: str
    accuracy: float
    source: str
    note: str = ""


KOCH = "Koch, Zemel, Salakhutdinov 2015, Siamese Neural Networks for One-shot Image Recognition, table 2"
LAKE_2019 = "Lake, Salakhutdinov, Tenenbaum 2019, The Omniglot challenge: a 3-year progress report, table 1"
SNELL = "Snell, Swersky, Zemel 2017, Prototypical Networks for Few-shot Learning, table 1"
OTHER_SPLIT = "the split of Vinyals et al. 2016, turned copies as characters, 1,200 characters to learn from"
PUBLISHED = (
    Published("people", LAKE.key, 0.955, KOCH),
    Published("hierarchical Bayesian program learning", LAKE.key, 0.952, KOCH, "learns from strokes, not from pixels"),
    Published("Koch's Siamese network", LAKE.key, 0.920, KOCH, "40 alphabets to learn and choose from"),
    Published("nearest neighbour on pixels", LAKE.key, 0.217, KOCH),
    Published("prototypical networks, as run by Lake", LAKE.key, 0.863, LAKE_2019),
    Published("prototypical networks", UNSTRUCTURED_5.key, 0.988, SNELL, OTHER_SPLIT),
    Published("prototypical networks", UNSTRUCTURED_20.key, 0.960, SNELL, OTHER_SPLIT),
)
