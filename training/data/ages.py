"""Groups of All-Age-Faces. Its pack is sorted by sex, then by age; the ages themselves are not in it.

The ranks were read off the pictures by eye. A pair of a female and a male is of two people for certain.
"""

import numpy as np

PACK = "aaf"
FIRST_MALE = 7021

# group -> the ranks of the females and those of the males
RANKS = {
    "adults": ((1200, 6300), (8200, 11800)),
    "children under 4": ((0, 160), (7021, 7180)),
    "children of 4 to 8": ((160, 400), (7180, 7420)),
    "children of 8 to 12": ((400, 700), (7420, 7660)),
}


def females_and_males(group: str, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) ranks of crops in the pack -> (N,) bool for the females and for the males of the group."""
    (first_female, end_female), (first_male, end_male) = RANKS[group]
    return (ranks >= first_female) & (ranks < end_female), (ranks >= first_male) & (ranks < end_male)


def is_of_a_child(ranks: np.ndarray) -> np.ndarray:
    """(N,) ranks -> (N,) bool: the crop is of a child or of somebody of up to about fifteen."""
    return (ranks < 900) | ((ranks >= FIRST_MALE) & (ranks < 7900))
