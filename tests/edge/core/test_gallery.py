import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.gallery import Gallery
from edge.core.rates import LOOKS, fpir_of
from edge.core.thresholds import Cohort, NormalizedThresholds, OneThreshold
from edge.core.types import Person, Template

MODEL = "a" * 64


def unit(*values):
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def gallery_of(*entries, tau=0.5, fpir=1e-3):
    gallery = Gallery(MODEL, OneThreshold(lambda _fmr: tau), fpir)
    people = {name: Person(f"p_{name}", name, own) for name, own, _ in entries}
    gallery.fill(
        people.values(),
        [Template(f"e_{row}", f"p_{name}", vector, MODEL) for row, (name, _, vector) in enumerate(entries)],
    )
    return gallery


def test_an_empty_gallery_knows_nobody():
    match = Gallery(MODEL, OneThreshold(lambda _fmr: 0.5)).identify(unit(1, 0))
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
    gallery = Gallery(MODEL, OneThreshold(lambda fmr: asked.append(fmr) or fmr), fpir=0.01)
    for count in (1, 10, 100):
        gallery.fill([Person(f"p{number}", f"n{number}") for number in range(count)], [])
        assert 1 - (1 - LOOKS * asked[-1]) ** count == pytest.approx(0.01)
        assert fpir_of(asked[-1], count) == pytest.approx(0.01)
    assert asked[-1] < asked[-2] < asked[-3]


def test_another_models_template_is_refused():
    gallery = Gallery(MODEL, OneThreshold(lambda _fmr: 0.5))
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


# Sums of few halves and quarters: every distance is exact in float32, so that a tie is one.
LOOK = st.lists(st.sampled_from([-0.5, -0.25, 0.0, 0.25, 0.5]), min_size=3, max_size=3)
SEVERAL = st.lists(st.tuples(LOOK, st.booleans()), max_size=3)
CHANGES = st.lists(st.tuples(st.integers(0, 5), st.none() | SEVERAL), max_size=40)


def plain(looks, probe):
    """The nearest person, their distance, the next one and theirs, said by loops; looks: by person, in order."""
    near = []
    for who, several in looks.items():
        distances = {
            negative: [
                2 - 2 * sum(a * b for a, b in zip(look, probe, strict=True)) for look, no in several if no is negative
            ]
            for negative in (False, True)
        }
        if distances[False] and min(distances[False]) < min(distances[True], default=float("inf")):
            near.append((min(distances[False]), who))
    ranked = sorted(near, key=lambda one: one[0])[:2]  # stable: of two as near, who came first
    return [(f"p_{who}", distance) for distance, who in ranked]


def templates_of(who, looks, serial):
    return [
        Template(f"e_{serial}_{number}", f"p_{who}", np.array(look, np.float32), MODEL, negative=negative)
        for number, (look, negative) in enumerate(looks)
    ]


def ranked(match):
    pairs = ((match.nearest, match.distance), (match.runner_up, match.runner_up_distance))
    return [(person.person_id, distance) for person, distance in pairs if person is not None]


@given(CHANGES, st.lists(LOOK, min_size=1, max_size=3))
def test_after_any_changes_identification_is_what_loops_say_exactly(changes, probes):
    gallery, known = Gallery(MODEL, OneThreshold(lambda _fmr: 0.5)), {}
    for serial, (who, looks) in enumerate(changes):
        if looks is None:
            gallery.remove(f"p_{who}")
            known.pop(who, None)
        else:
            gallery.put(Person(f"p_{who}", f"name {who}"), templates_of(who, looks, serial))
            known[who] = looks
    filled = gallery.empty()
    filled.fill(gallery.people.values(), gallery.templates)
    for probe in probes:
        expected = plain(known, probe)
        assert ranked(gallery.identify(np.array(probe, np.float32))) == expected
        assert ranked(filled.identify(np.array(probe, np.float32))) == expected
    assert [gallery.template_count(f"p_{who}") for who in known] == [
        sum(not negative for _, negative in looks) for looks in known.values()
    ]
    assert all(gallery.find(f"NAME {who}") == gallery.people[f"p_{who}"] for who in known)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 99), max_size=300))
def test_the_distance_does_not_depend_on_the_order_of_changes(seed, again):
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(100, 3, 128)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=2, keepdims=True)
    people = [Person(f"p_{number}", f"n{number}") for number in range(100)]
    templates = [[Template(f"e{number}_{row}", f"p_{number}", look, MODEL) for row, look in enumerate(several)]
                 for number, several in enumerate(looks)]  # fmt: skip
    filled, changed = (Gallery(MODEL, OneThreshold(lambda _fmr: 0.5)) for _ in range(2))
    for gallery in (filled, changed):
        gallery.fill(people, [one for several in templates for one in several])
    for number in again:
        changed.put(people[number], templates[number])
    probe = unit(*(looks[7, 0] + 0.5 * looks[8, 0]))
    assert ranked(changed.identify(probe)) == ranked(filled.identify(probe))
    assert {one.template_id for one in changed.templates} == {one.template_id for one in filled.templates}
    near = changed.near(looks[7], 0.01)
    assert sorted(near) == [("p_7", f"e7_{row}") for row in range(3)]


def test_nothing_of_who_was_removed_stays_in_memory():
    gallery = gallery_of(("alice", None, unit(1, 2, 3)), ("bob", None, unit(0, 1, 0)))
    gallery.remove("p_alice")
    assert not (gallery._own._matrix == unit(1, 2, 3)[0]).any()
    assert ranked(gallery.identify(unit(1, 2, 3)))[0][0] == "p_bob"


def test_who_has_many_like_them_is_matched_by_a_stricter_tau():
    """Two pairs as far apart: one where nobody of the cohort is near, one among many of it."""
    rng = np.random.default_rng(1)
    crowd = np.zeros(64, np.float32)
    crowd[0] = 1
    cohort = np.concatenate([crowd + 0.6 * rng.normal(size=(200, 64)) / 8, rng.normal(size=(200, 64))])
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    typical = np.array([0.25, 0.05], np.float32)
    thresholds = NormalizedThresholds(Cohort(cohort.astype(np.float32), 50), lambda _fmr: 6.0, typical)
    alone = np.zeros(64, np.float32)
    alone[1] = 1
    gallery = Gallery(MODEL, thresholds)
    people = [Person("p_crowd", "one of many"), Person("p_alone", "like nobody")]
    gallery.fill(
        people,
        [Template(one.person_id, one.person_id, at, MODEL) for one, at in zip(people, (crowd, alone), strict=True)],
    )
    turned = np.zeros(64, np.float32)
    turned[2] = 1
    probes = {person.name: unit(*(at + 0.6 * turned)) for person, at in zip(people, (crowd, alone), strict=True)}
    matches = {name: gallery.identify(probe) for name, probe in probes.items()}
    assert {name: match.nearest.name for name, match in matches.items()} == {name: name for name in probes}
    assert matches["one of many"].distance == pytest.approx(matches["like nobody"].distance, abs=1e-5)
    assert {name for name, match in matches.items() if match.person} == {"like nobody"}
    assert matches["one of many"].tau < gallery.tau
    assert gallery.within(np.stack(list(probes.values()))) == [("p_alone", "p_alone")]
    assert gallery.alike(np.stack([crowd, alone]), np.stack(list(probes.values()))).tolist() == [False, True]
    assert gallery.alike(np.zeros((0, 64), np.float32), crowd[None]).tolist() == []
    filled = gallery.empty()
    filled.fill(gallery.people.values(), gallery.templates)
    gallery.put(people[0], [Template("p_crowd", "p_crowd", crowd, MODEL)])  # other rows, the same neighbourhoods
    assert {name: gallery.identify(probe) for name, probe in probes.items()} == matches
    assert {name: filled.identify(probe) for name, probe in probes.items()} == matches
