"""People whom a pack lists under two names: found by the teacher's cosine (0.57 to 0.90), confirmed by eye.

They are held out from training. As two people they would set tau at a low rate.
"""

import numpy as np

ONE_NAME = {"celeba/999": "celeba/7235", "celeba/411": "celeba/410", "celeba/4610": "celeba/3915"}


def one_name(people: np.ndarray) -> np.ndarray:
    """(N,) str -> (N,) str: one name for each person."""
    return np.array([ONE_NAME.get(str(person), str(person)) for person in people], dtype=people.dtype)
