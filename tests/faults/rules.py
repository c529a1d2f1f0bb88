"""Whatever a household asks, one thing after the other: the gallery is what a plain dict of people would be."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.api.requests import VERBS
from edge.api.verbs import Access
from edge.core.names import clean_name
from edge.errors import RefusedError
from tests.faults.porch import Porch, face, picture

# Whatever is written differently and is one name, and what is no name at all.
WRITTEN = ["Anna", "anna ", "ANNA", "Otto", "Zoë", "Zoe\u0308", "Zoe", "Straße", "STRASSE", "unknown", "\0"]
NAMES = st.sampled_from(WRITTEN)
PICKS = st.integers(0, 20)
WHO = st.integers(0, 3)
TAUS = st.sampled_from([None, 0.7, 0.9, 1.2])  # looks of one are at most 0.53 apart, two of them at least 1.37


class HouseholdRules(RuleBasedStateMachine):
    """known: by the name without upper and lower case, what the gallery should know."""

    count: dict[str, int] = {}  # noqa: RUF012 -- of answers, by code: one for all machines, whoever runs them reads it
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.porch = Porch(Path(mkdtemp(dir=self.folder)))
        self.known: dict[str, dict] = {}
        self.asked: list[tuple[str, bytes, dict]] = []
        self.recognizing, self.live, self.number = True, None, 0
        self.strangers: dict[int, str] = {}  # their ids, by who they are
        self.ignored: set[int] = set()
        self.event: str | None = None  # the newest that can be corrected
        self.corrected = False  # from then on, whom somebody looks like is the household's word, not ours

    def teardown(self) -> None:
        """Switched off, it holds together as well."""
        self.porch.close()

    def ask(self, verb: str, **fields: object) -> dict:
        """The answer to a new request."""
        self.number += 1
        payload = json.dumps({"transaction": f"t{self.number}", **fields}).encode()
        answers = self.porch.hear(f"limen/porch/request/{verb}", payload)
        (answer,) = [answer for answer in answers if answer["transaction"] == f"t{self.number}"]
        if VERBS[verb].access is Access.WRITE:
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

    def refused(self, name: str) -> str | None:
        """invalid where it cannot be given to anybody."""
        return "invalid" if self.key(name) is None else None

    @initialize(name=NAMES, who=WHO)
    def first(self, name: str, who: int) -> None:
        """Most households know somebody."""
        self.enroll(name, who)

    @rule(name=NAMES, who=WHO)
    def enroll(self, name: str, who: int) -> None:
        """Of one picture."""
        wrong = self.refused(name)
        key = self.key(name)
        if wrong is None and any(who in person["looks"] for other, person in self.known.items() if other != key):
            wrong = "conflicts_with"
        answer = self.ask("enroll/image", name=name, images=[picture(who)], force=True)
        assert answer["code"] == wrong or (self.corrected and {answer["code"], wrong} == {None, "conflicts_with"})
        if answer["status"] == "ok":
            assert answer["data"]["name"] == self.learn(name, who, answer["data"]["templates"])["name"]

    def learn(self, name: str, who: int, templates: int) -> dict:
        """Somebody has templates more."""
        new = {"name": clean_name(name), "looks": set(), "templates": 0, "tau": None}
        person = self.known.setdefault(self.key(name), new)
        person["looks"].add(who)
        person["templates"] += templates
        return person

    @precondition(lambda self: self.live is None and self.recognizing)
    @rule(who=WHO)
    def come(self, who: int) -> None:
        """To the door."""
        events = self.porch.see(face(who))
        known = any(who in person["looks"] for person in self.known.values())
        kinds = {kind for _, kind in events}
        assert self.corrected or kinds == {"recognized" if known else "ignored" if who in self.ignored else "unknown"}
        self.event = events[-1][0], who
        listed = [stranger["stranger_id"] for stranger in self.ask("unknown/list")["data"]["strangers"]]
        new = set(listed) - set(self.strangers.values())
        assert len(new) == (not known and who not in self.strangers) or self.corrected
        if new:
            self.strangers[who] = new.pop()

    @rule(who=WHO, name=NAMES)
    def label(self, who: int, name: str) -> None:
        """A stranger has a name."""
        wrong = self.refused(name) if who in self.strangers else "no_such_stranger"
        answer = self.ask("unknown/label", id=self.strangers.get(who, "u_0"), name=name)
        assert answer["code"] == wrong
        if wrong is None:
            del self.strangers[who]
            self.ignored.discard(who)
            self.learn(name, who, 0)["templates"] = answer["data"]["templates"]

    @rule(who=WHO, ignored=st.booleans())
    def ignore(self, who: int, *, ignored: bool) -> None:
        """Nothing is said of a stranger."""
        answer = self.ask("unknown/ignore", id=self.strangers.get(who, "u_0"), ignored=ignored)
        assert answer["code"] == (None if who in self.strangers else "no_such_stranger")
        if who in self.strangers:
            (self.ignored.add if ignored else self.ignored.discard)(who)

    @rule(who=st.none() | WHO)
    def purge(self, who: int | None) -> None:
        """A stranger is forgotten, or all."""
        stranger = None if who is None else self.strangers.get(who, "u_0")
        answer = self.ask("unknown/purge", id=stranger)
        assert answer["code"] == (None if who is None or who in self.strangers else "no_such_stranger")
        gone = list(self.strangers) if who is None else [who]
        for one in gone:
            self.strangers.pop(one, None)
            self.ignored.discard(one)

    @precondition(lambda self: self.event is not None)
    @rule(name=st.none() | NAMES)
    def correct(self, name: str | None) -> None:
        """It was somebody else."""
        event, who = self.event
        wrong = None if name is None else self.refused(name)
        answer = self.ask("event/correct", id=event, name=name)
        gone = "no_such_event"  # of somebody who was forgotten since
        assert answer["code"] in {wrong, gone} or (name is None and answer["code"] == "not_named")
        self.corrected = True
        if answer["status"] == "ok" and name is not None:
            self.learn(name, who, 1)

    @rule(pick=PICKS, limit=st.integers(1, 5))
    def visits(self, pick: int, limit: int) -> None:
        """What is kept of who came: each by the name of somebody, or of nobody."""
        names = {person["name"] for person in self.known.values()}
        page = self.ask("event/list", limit=limit, crops=True)["data"]
        for visit in page["visits"]:
            assert {visit["name"], visit["nearest"], *visit["votes"]} <= {*names, None, "unknown"}
            found = self.ask("event/get", id=visit["id"])["data"]
            assert found["visit"] == visit
            assert (found["crop"] is not None) == visit["crop"] == (visit["id"] in page["crops"])
        name = self.picked(pick)
        answer = self.ask("event/list", name=name)
        assert answer["code"] == self.unless_known(name)
        assert all(self.key(visit["name"]) == self.key(name) for visit in (answer["data"] or {}).get("visits", []))

    @precondition(lambda self: self.event is not None)
    @rule()
    def remove_visit(self) -> None:
        """One visit is as if it had not been."""
        event, _ = self.event
        assert self.ask("event/remove", id=event)["code"] in {None, "no_such_event"}
        assert self.ask("event/get", id=event)["code"] == "no_such_event"

    @rule(name=NAMES, one=WHO, other=WHO)
    def enroll_two(self, name: str, one: int, other: int) -> None:
        """Two pictures of different people are of nobody."""
        if one != other and self.refused(name) is None:
            answer = self.ask("enroll/image", name=name, images=[picture(one), picture(other)])
            assert answer["code"] == "different_people"

    def picked(self, pick: int) -> str:
        """Mostly the name of somebody."""
        names = [person["name"] for person in self.known.values()]
        return names[pick % len(names)] if names and pick > 5 else WRITTEN[pick % len(WRITTEN)]

    @rule(pick=PICKS)
    def remove(self, pick: int) -> None:
        """Somebody, or nobody."""
        name = self.picked(pick)
        answer = self.ask("person/remove", name=name)
        assert answer["code"] == self.unless_known(name)
        self.known.pop(self.key(name), None)
        if answer["status"] == "ok":
            self.asked = self.asked[-1:]  # no earlier answer is kept

    @rule(pick=PICKS, new_name=NAMES)
    def rename(self, pick: int, new_name: str) -> None:
        """Somebody keeps all but the name."""
        name = self.picked(pick)
        wrong = self.unless_known(name) or self.renamed_to(new_name, self.key(name))
        answer = self.ask("person/rename", name=name, new_name=new_name)
        assert answer["code"] == wrong
        if wrong is None:
            person = self.known.pop(self.key(name))
            self.known[self.key(new_name)] = {**person, "name": clean_name(new_name)}

    def renamed_to(self, new_name: str, own: str) -> str | None:
        """What is wrong with a new name."""
        wrong = self.refused(new_name)
        if wrong is None and self.key(new_name) in self.known and self.key(new_name) != own:
            return "name_taken"
        return wrong

    @rule(pick=PICKS, other=PICKS)
    def merge(self, pick: int, other: int) -> None:
        """Two become one."""
        name, into = self.picked(pick), self.picked(other)
        wrong = self.unless_known(name) or self.unless_known(into)
        if wrong is None and self.key(name) == self.key(into):
            wrong = "invalid"
        answer = self.ask("person/merge", name=name, into=into)
        assert answer["code"] == wrong
        if wrong is None:
            gone, kept = self.known.pop(self.key(name)), self.known[self.key(into)]
            kept["looks"] |= gone["looks"]
            kept["templates"] += gone["templates"]

    @rule(pick=PICKS, tau=TAUS)
    def set_tau(self, pick: int, tau: float | None) -> None:
        """Somebody has a tau of their own."""
        name = self.picked(pick)
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
        assert self.corrected or {face["name"]} == (names or {None})

    @rule(on=st.booleans())
    def switch(self, *, on: bool) -> None:
        """Recognition."""
        assert self.ask("config/set", recognition=on)["data"]["recognition"] is on
        self.recognizing = on

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        """A live enrollment: nobody ever comes to this door."""
        wrong = "enrolling" if self.live else None if self.recognizing else "recognition_off"
        answer = self.ask("enroll/start", name=name)
        assert answer["code"] == (wrong or self.refused(name))
        if answer["status"] == "progress":
            self.live = answer["transaction"]

    @precondition(lambda self: self.live or self.number % 4 == 0)
    @rule()
    def cancel(self) -> None:
        """The live enrollment, if there is one."""
        assert self.ask("enroll/cancel")["code"] == (None if self.live else "not_enrolling")
        self.live = None

    @rule()
    def rebuild(self) -> None:
        """The same templates again."""
        templates = sum(person["templates"] for person in self.known.values())
        assert (
            self.ask("gallery/rebuild")["data"]["templates"] >= templates or self.corrected
        )  # strangers have some too

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
        self.live = self.event = None

    @invariant()
    def everybody_is_there(self) -> None:
        """And nobody else."""
        household, tau = self.porch.service.device.recognizer.people, self.porch.service.device.recognizer.gallery.tau
        people = [(person.name, person.tau, person.templates) for person in household.summaries()]
        known = [
            (person["name"], tau if person["tau"] is None else person["tau"], person["templates"])
            for person in self.known.values()
        ]
        if self.corrected:  # which takes templates away that are the very sample
            people, known = [one[:2] for one in people], [one[:2] for one in known]
        assert sorted(people) == sorted(known)
