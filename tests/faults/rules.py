"""Whatever a household asks, one thing after the other: the gallery is what a plain dict of people would be."""

import base64
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.core.names import clean_name, slug_of
from edge.demo.story import portrait
from edge.errors import RefusedError
from tests.faults.porch import Porch

# Whatever is written differently and is one name, and what is no name at all.
NAMES = st.sampled_from(
    ["Anna", "anna ", "ANNA", "Otto", "Zoë", "Zoe\u0308", "Zoe", "Straße", "STRASSE", "unknown", "\0"]
)
WHO = st.integers(0, 3)
TAUS = st.sampled_from([None, 0.7, 0.9, 1.2])  # looks of one are at most 0.53 apart, two of them at least 1.37


@cache
def picture(who: int) -> str:
    """Somebody, in base64."""
    return base64.b64encode(portrait(who, look=2.0)).decode()


class HouseholdRules(RuleBasedStateMachine):
    """known: by the name without upper and lower case, what the gallery should know."""

    count: dict[str, int] = {}  # noqa: RUF012 -- of answers, by code: one for all machines, whoever runs them reads it
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.porch = Porch(Path(mkdtemp(dir=self.folder)))
        self.known: dict[str, dict] = {}
        self.asked: list[tuple[str, bytes, dict]] = []
        self.looking, self.live, self.number = True, None, 0

    def teardown(self) -> None:
        """Switched off, it holds together as well."""
        self.porch.close()

    def ask(self, verb: str, **fields: object) -> dict:
        """The answer to a new request."""
        self.number += 1
        payload = json.dumps({"transaction": f"t{self.number}", **fields}).encode()
        answers = self.porch.hear(f"limen/porch/request/{verb}", payload)
        (answer,) = [answer for answer in answers if answer["transaction"] == f"t{self.number}"]
        if verb != "enroll/start":
            self.asked.append((verb, payload, answer))
        self.note(answer)
        return answer

    def note(self, answer: dict) -> None:
        """Count it."""
        code = answer["code"] or answer["status"]
        self.count[code] = self.count.get(code, 0) + 1

    def key(self, name: str) -> str | None:
        """By what it is known; None where it is no name."""
        with suppress(RefusedError):
            return clean_name(name).casefold()
        return None

    def taken(self, name: str, own: str | None = None) -> str | None:
        """invalid or name_taken where it cannot be given: it would be written like another's in a topic."""
        key = self.key(name)
        if key is None:
            return "invalid"
        others = {other: person["name"] for other, person in self.known.items() if other not in {key, own}}
        return "name_taken" if slug_of(clean_name(name)) in map(slug_of, others.values()) else None

    @rule(name=NAMES, who=WHO)
    def enroll(self, name: str, who: int) -> None:
        """Of one picture."""
        wrong = self.taken(name)
        key = self.key(name)
        if wrong is None and any(who in person["looks"] for other, person in self.known.items() if other != key):
            wrong = "conflicts_with"
        answer = self.ask("enroll/image", name=name, images=[picture(who)])
        assert answer["code"] == wrong
        if wrong is None:
            person = self.known.setdefault(key, {"name": clean_name(name), "looks": set(), "templates": 0, "tau": None})
            person["looks"].add(who)
            person["templates"] += 1
            assert answer["data"]["name"] == person["name"]

    @rule(name=NAMES, one=WHO, other=WHO)
    def enroll_two(self, name: str, one: int, other: int) -> None:
        """Two pictures of different people are of nobody."""
        if one != other and self.taken(name) is None:
            answer = self.ask("enroll/image", name=name, images=[picture(one), picture(other)])
            assert answer["code"] == "different_people"

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        """Somebody, or nobody."""
        answer = self.ask("person/remove", name=name)
        assert answer["code"] == self.unless_known(name)
        self.known.pop(self.key(name), None)

    @rule(name=NAMES, new_name=NAMES)
    def rename(self, name: str, new_name: str) -> None:
        """Somebody keeps all but the name."""
        wrong = self.unless_known(name) or self.renamed_to(new_name, self.key(name))
        answer = self.ask("person/rename", name=name, new_name=new_name)
        assert answer["code"] == wrong
        if wrong is None:
            person = self.known.pop(self.key(name))
            self.known[self.key(new_name)] = {**person, "name": clean_name(new_name)}

    def renamed_to(self, new_name: str, own: str) -> str | None:
        """What is wrong with a new name."""
        wrong = self.taken(new_name, own)
        if wrong is None and self.key(new_name) in self.known and self.key(new_name) != own:
            return "name_taken"
        return wrong

    @rule(name=NAMES, into=NAMES)
    def merge(self, name: str, into: str) -> None:
        """Two become one."""
        wrong = self.unless_known(name) or self.unless_known(into)
        if wrong is None and self.key(name) == self.key(into):
            wrong = "invalid"
        answer = self.ask("person/merge", name=name, into=into)
        assert answer["code"] == wrong
        if wrong is None:
            gone, kept = self.known.pop(self.key(name)), self.known[self.key(into)]
            kept["looks"] |= gone["looks"]
            kept["templates"] += gone["templates"]

    @rule(name=NAMES, tau=TAUS)
    def set_tau(self, name: str, tau: float | None) -> None:
        """Somebody has a tau of their own."""
        answer = self.ask("person/set", name=name, tau=tau)
        assert answer["code"] == self.unless_known(name)
        if answer["status"] == "ok":
            self.known[self.key(name)]["tau"] = tau

    def unless_known(self, name: str) -> str | None:
        """The code of a request about somebody."""
        key = self.key(name)
        return "invalid" if key is None else None if key in self.known else "no_such_person"

    @rule(who=WHO)
    def recognize(self, who: int) -> None:
        """Whoever is known is named, and nobody else."""
        (face,) = self.ask("recognize/image", image=picture(who))["data"]["faces"]
        names = {person["name"] for person in self.known.values() if who in person["looks"]}
        assert {face["name"]} == (names or {None})

    @rule(on=st.booleans())
    def switch(self, *, on: bool) -> None:
        """Recognition."""
        assert self.ask("config/set", recognition=on)["data"] == {"recognition": on}
        self.looking = on

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        """A live enrollment: nobody ever comes to this door."""
        wrong = "enrolling" if self.live else None if self.looking else "recognition_off"
        answer = self.ask("enroll/start", name=name)
        assert answer["code"] == (wrong or self.taken(name))
        if answer["status"] == "progress":
            self.live = answer["transaction"]

    @rule()
    def cancel(self) -> None:
        """The live enrollment, if there is one."""
        assert self.ask("enroll/cancel")["code"] == (None if self.live else "not_enrolling")
        self.live = None

    @rule()
    def rebuild(self) -> None:
        """The same templates again."""
        templates = sum(person["templates"] for person in self.known.values())
        assert self.ask("gallery/rebuild")["data"] == {"templates": templates}

    @precondition(lambda self: self.asked)
    @rule(choice=st.randoms(use_true_random=False))
    def repeat(self, choice: object) -> None:
        """Something was delivered twice."""
        verb, payload, answer = choice.choice(self.asked)
        assert self.porch.hear(f"limen/porch/request/{verb}", payload) == [answer]
        reused = json.dumps({"transaction": answer["transaction"], "name": "x", "tau": 1.0}).encode()
        (other,) = self.porch.hear("limen/porch/request/person/set", reused)
        assert other["code"] == "transaction_reused"
        self.note(other)

    @rule()
    def restart(self) -> None:
        """The power goes, and comes again."""
        self.porch.close()
        self.porch.open()
        self.live = None

    @invariant()
    def everybody_is_there(self) -> None:
        """And nobody else."""
        people = [
            (person["name"], person["templates"], person["tau"]) for person in self.porch.service.device.door.people()
        ]
        tau = self.porch.service.device.door.gallery.tau
        known = [
            (person["name"], person["templates"], tau if person["tau"] is None else person["tau"])
            for person in self.known.values()
        ]
        assert sorted(people) == sorted(known)
