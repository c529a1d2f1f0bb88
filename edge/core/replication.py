"""One gallery on all cameras of a household: revisions of people, and how two become one.

Each camera keeps a revision of everybody and tells it to the others. What it hears it joins with its own; a join does
not ask for order, number or repetition, so all end with the same, and with them the galleries, which follow from the
revisions alone. (A state-based CRDT: Shapiro, Preguica, Baquero, Zawirski 2011, https://inria.hal.science/inria-00555588.)

- A template is known by its id: once added, until removed, and never again after that.
- Of name, tau, expiry and notify the last writer's counts: by the number of the revision, and between equals by device.
- Who is forgotten stays forgotten. Whoever is enrolled again under that name is somebody new, with another id.
- Two people of one name, made on two cameras that had not heard of one another, are one person in the gallery.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edge.core.types import Person

Value = str | float | bool | None
FIELDS = {"name": str, "tau": float | None, "expires": float | None, "notify": bool}


@dataclass(frozen=True)
class FieldWrite:
    """A value, and who wrote it: the number is that of the revision with which it was."""

    value: Value
    number: int
    device: str

    @property
    def order(self) -> tuple[int, str, str]:
        """By which the last one is found. A device that was set back to an old copy may write under an old number."""
        return self.number, self.device, repr(self.value)


@dataclass(frozen=True)
class Revision:
    """All that was ever said of a person; of one who is forgotten, that alone.

    number: greater than that of every revision that was known where this one was made (a Lamport clock)
    templates, negatives: ids; removed: ids that were of them once
    """

    person_id: str
    number: int
    forgotten: bool = False
    fields: Mapping[str, FieldWrite] = field(default_factory=dict)
    templates: frozenset[str] = frozenset()
    negatives: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name, kinds in {} if self.forgotten else FIELDS.items():
            if name not in self.fields or not isinstance(self.fields[name].value, kinds):
                raise ValueError(f"expected {name} of {self.person_id}, got {self.fields.get(name)}")

    @property
    def ids(self) -> frozenset[str]:
        """Of all templates, negative ones too."""
        return self.templates | self.negatives

    def without(self, ids: frozenset[str]) -> "Revision":
        """The same but for these templates, as if they had never been said."""
        return replace(self, templates=self.templates - ids, negatives=self.negatives - ids)

    @property
    def key(self) -> str:
        """The name, without upper and lower case."""
        return str(self.fields["name"].value).casefold()


@dataclass(frozen=True)
class TemplateRecord:
    """What there is of a template. embedding: little-endian float32, of that model (sha256); crop: PNG"""

    template_id: str
    model: str
    embedding: bytes
    crop: bytes | None


@dataclass(frozen=True)
class Member:
    """Somebody as the gallery has them. revisions: ids of all of whom they are made."""

    person: Person
    templates: frozenset[str]
    negatives: frozenset[str]
    revisions: frozenset[str] = frozenset()


def join(one: Revision, other: Revision) -> Revision:
    """What both say of one person."""
    number = max(one.number, other.number)
    if one.forgotten or other.forgotten:
        return Revision(one.person_id, number, forgotten=True)
    removed = one.removed | other.removed
    both = [*one.fields.items(), *other.fields.items()]
    return Revision(
        one.person_id,
        number,
        fields={name: max((said for of, said in both if of == name), key=lambda said: said.order) for name, _ in both},
        templates=(one.templates | other.templates) - removed,
        negatives=(one.negatives | other.negatives) - removed,
        removed=removed,
    )


def members(revisions: Iterable[Revision]) -> dict[str, Member]:
    """The gallery that follows from these revisions, by person id: people of one name are one, under the least id."""
    of_a_name: dict[str, list[Revision]] = {}
    for revision in revisions:
        if not revision.forgotten:
            of_a_name.setdefault(revision.key, []).append(revision)
    return {member.person.person_id: member for member in map(one_of, of_a_name.values())}


def one_of(revisions: list[Revision]) -> Member:
    """Who is meant by revisions of one name."""
    last = {
        name: max((revision.fields[name] for revision in revisions), key=lambda said: said.order).value
        for name in FIELDS
    }
    templates, negatives = (
        frozenset[str]().union(*(getattr(revision, kind) for revision in revisions))
        for kind in ("templates", "negatives")
    )
    ids = frozenset(revision.person_id for revision in revisions)
    return Member(Person(min(ids), **last), templates, negatives, ids)


def local_changes(revisions: Mapping[str, Revision], gallery: Mapping[str, Member], device: str) -> list[Revision]:
    """The revisions that say what was changed in the gallery here; none where it says the same as they do."""
    number = 1 + max((revision.number for revision in revisions.values()), default=0)
    known = members(revisions.values())
    news = []
    for person_id, now in gallery.items():
        before = known.get(person_id)
        if before is None:
            news.append(first(now, number, device))
        else:
            news += changed(before, now, [revisions[who] for who in before.revisions], number, device)
    gone = [who for person_id in known.keys() - gallery.keys() for who in known[person_id].revisions]
    return [*news, *(Revision(person_id, number, forgotten=True) for person_id in sorted(gone))]


def first(member: Member, number: int, device: str) -> Revision:
    """Of somebody of whom nothing was said before."""
    fields = {name: FieldWrite(getattr(member.person, name), number, device) for name in FIELDS}
    return Revision(
        member.person.person_id, number, fields=fields, templates=member.templates, negatives=member.negatives
    )


def changed(before: Member, now: Member, revisions: list[Revision], number: int, device: str) -> list[Revision]:
    """What is new is the person's under whose id they are shown; what is gone is gone from whoever had it."""
    written = {
        name: FieldWrite(getattr(now.person, name), number, device)
        for name in FIELDS
        if getattr(now.person, name) != getattr(before.person, name)
    }
    gone = (before.templates | before.negatives) - (now.templates | now.negatives)
    news = []
    for revision in revisions:
        shown = revision.person_id == now.person.person_id
        after = replace(
            revision,
            fields={**revision.fields, **written},
            templates=(revision.templates | (now.templates - before.templates if shown else set())) - gone,
            negatives=(revision.negatives | (now.negatives - before.negatives if shown else set())) - gone,
            removed=revision.removed | (gone & revision.ids),
        )
        if after != revision:
            news.append(replace(after, number=number))
    return news
