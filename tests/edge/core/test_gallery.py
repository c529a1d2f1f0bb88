import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.gallery import Gallery
from edge.core.types import Person, Template

MODEL = "a" * 64


def unit(*values):
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def gallery_of(*entries, tau=0.5, fpir=1e-3):
    gallery = Gallery(MODEL, lambda _fmr: tau, fpir)
    people = {name: Person(f"p_{name}", name, own) for name, own, _ in entries}
    gallery.fill(
        people.values(),
        [Template(f"e_{row}", f"p_{name}", vector, MODEL) for row, (name, _, vector) in enumerate(entries)],
    )
    return gallery


def test_an_empty_gallery_knows_nobody():
    match = Gallery(MODEL, lambda _fmr: 0.5).identify(unit(1, 0))
    assert match.person is None
    assert match.nearest is None
    assert match.distance == float("inf")


def test_the_nearest_within_tau_is_the_person_and_the_next_is_the_runner_up():
    gallery = gallery_of(("alice", None, unit(1, 0, 0)), ("bob", None, unit(0, 1, 0)), ("bob", None, unit(0, 1, 1)))
    probe = unit(1, 0.2, 0)
    match = gallery.identify(probe)
    assert match.person.name == "alice"
    assert match.distance == pytest.approx(float(np.square(probe - unit(1, 0, 0)).sum()), abs=1e-5)
    assert match.runner_up.name == "bob"
    assert match.runner_up_distance == pytest.approx(float(np.square(probe - unit(0, 1, 0)).sum()), abs=1e-5)
    assert match.margin == pytest.approx(match.runner_up_distance - match.distance)


def test_beyond_tau_it_is_nobody_we_know_but_said_who_was_nearest():
    match = gallery_of(("alice", None, unit(1, 0))).identify(unit(0.2, 1))
    assert match.person is None
    assert match.nearest.name == "alice"
    assert match.distance > match.tau


def test_a_person_may_have_a_tau_of_their_own():
    probe = unit(1, 0.6)
    assert gallery_of(("alice", None, unit(1, 0))).identify(probe).person.name == "alice"
    assert gallery_of(("alice", 0.1, unit(1, 0))).identify(probe).person is None


def test_tau_tightens_as_more_people_are_known():
    asked = []
    gallery = Gallery(MODEL, lambda fmr: asked.append(fmr) or fmr, fpir=0.01)
    for count in (1, 10, 100):
        gallery.fill([Person(f"p{number}", f"n{number}") for number in range(count)], [])
        assert 1 - (1 - asked[-1]) ** count == pytest.approx(0.01)
    assert asked[-1] < asked[-2] < asked[-3]


def test_another_models_template_is_refused():
    gallery = Gallery(MODEL, lambda _fmr: 0.5)
    with pytest.raises(ValueError, match="made by model bbbbbbbbbbbb, not by aaaaaaaaaaaa"):
        gallery.fill([Person("p", "alice")], [Template("e", "p", unit(1, 0), "b" * 64)])
    with pytest.raises(ValueError, match="belongs to nobody"):
        gallery.fill([], [Template("e", "p", unit(1, 0), MODEL)])


def test_names_are_found_whatever_their_case():
    gallery = gallery_of(("Ålice", None, unit(1, 0)))
    assert gallery.find("åLICE").person_id == "p_Ålice"
    assert gallery.find("bob") is None


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 20))
def test_identification_is_what_a_loop_says(seed, people, templates):
    rng = np.random.default_rng(seed)
    owners = np.concatenate([np.arange(people), rng.integers(0, people, templates)])
    vectors = [unit(*rng.normal(size=8)) for _ in owners]
    gallery = gallery_of(*((f"n{owner}", None, vector) for owner, vector in zip(owners, vectors, strict=True)))
    probe = unit(*rng.normal(size=8))
    best = {}
    for owner, vector in zip(owners, vectors, strict=True):
        distance = float(np.square(probe.astype(float) - vector.astype(float)).sum())
        best[f"n{owner}"] = min(best.get(f"n{owner}", 9.0), distance)
    ranked = sorted(best.items(), key=lambda entry: entry[1])
    match = gallery.identify(probe)
    assert match.distance == pytest.approx(ranked[0][1], abs=1e-5)
    assert best[match.nearest.name] == pytest.approx(ranked[0][1], abs=1e-5)
    if people > 1:
        assert match.runner_up_distance == pytest.approx(ranked[1][1], abs=1e-5)
