import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.splits import held_out, leaks
from training.data.teacher import unit_length


def test_a_crop_near_any_reference_leaks_and_block_borders_do_not_matter():
    rng = np.random.default_rng(0)
    references = unit_length(rng.normal(size=(7, 16)))
    near = unit_length(references[3:4] + 0.2 * unit_length(rng.normal(size=(1, 16))))
    embeddings = np.concatenate([-references[:1], near, unit_length(rng.normal(size=(9, 16)))])
    naive = [any(float(np.dot(row, reference)) > 0.5 for reference in references) for row in embeddings]
    assert naive[1]
    for block in (1, 2, 100):
        assert leaks(embeddings, references, 0.5, block).tolist() == naive


def test_without_references_nothing_leaks():
    assert leaks(np.eye(3, dtype=np.float32), np.empty((0, 3), dtype=np.float32), 0.5).tolist() == [False] * 3


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=60), st.floats(0, 1))
def test_a_person_is_held_out_whole_whatever_the_other_people_are(people, fraction):
    people = np.array(people)
    alone = {person: bool(held_out(np.array([person]), fraction)[0]) for person in people}
    assert held_out(people, fraction).tolist() == [alone[person] for person in people]


def test_about_the_given_fraction_of_people_is_held_out():
    people = np.array([f"celeba/{number}" for number in range(5000)])
    assert 0.13 < held_out(people, 0.15).mean() < 0.17
