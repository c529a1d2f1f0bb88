"""One gallery on all cameras of a household: revisions of people, and how two become one.

Each camera keeps a revision of every person and publishes it. It joins what it receives with its own; a join does not
depend on order, number or repetition, so all cameras end with the same revisions, and with the same gallery, which
follows from the revisions alone. (A state-based CRDT: Shapiro, Preguica, Baquero, Zawirski 2011,
https://inria.hal.science/inria-00555588.)

- A template is known by its id: once added, it stays until it is removed, and never comes back.
- Of name, tau, expires and notify the last write counts: by the number of its revision, then by device.
- A person who was removed stays removed. Under the same name a new person has another id. (A guest whose time is over
  was not removed: see edge.core.expiry.)
- Two people of one name, enrolled on two cameras that had not heard of each other, are one person in the gallery.

Every count has a bound, for a peer may send anything: `check` refuses a message that breaks one, `bounded` keeps to
them what is joined here.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from edge.core.names import clean_name
from edge.core.types import Person
from edge.errors import RefusedError

Value = str | float | bool | None
FIELDS = {"name": str, "tau": float | None, "expires": float | None, "notify": bool}

NUMBER_MAX = 2**53 - 1  # of a revision
NUMBER_FREE = 2**40  # a number as great as this counts for its own person alone: no camera makes so many changes
IDS_MAX = 10_000  # templates, negative templates and removed ids of one person, each
FIELDS_MAX = 16  # a newer limen may have more than FIELDS
ID_MAX = 64  # characters of an id, a field's name, a model and a device
VALUE_MAX = 256  # characters of a value of a field that this limen does not know
TAU_MAX = 4.0  # the greatest distance d
EXPIRES_MAX = 253_402_300_799.0  # the last second of the year 9999: RFC 3339 has no later one
EMBEDDING_BYTES_MAX = 16_384
CROP_BYTES_MAX = 65_536  # PNG; a crop has 37,632 bytes of pixels


@dataclass(frozen=True)
class FieldWrite:
    """A value, the number of the revision that wrote it, and the device."""

    value: Value
    number: int
    device: str

    @property
    def order(self) -> tuple[int, str, str]:
        """The greatest is the last. A device that was set back to an old copy may write under an old number."""
        return self.number, self.device, repr(self.value)


@dataclass(frozen=True)
class Revision:
    """The state of one person on one camera; of a person who was removed a tombstone: the id and the number.

    number: greater than that of every revision of the person that was known where this one was made (a Lamport clock)
    templates, negatives: ids; removed: ids that were among them
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
        """The ids of all templates, negative ones too."""
        return self.templates | self.negatives

    def without(self, ids: frozenset[str]) -> "Revision":
        """The revision as if these templates had never been in it."""
        return replace(self, templates=self.templates - ids, negatives=self.negatives - ids)

    @property
    def key(self) -> str:
        """The name, without upper and lower case."""
        return str(self.fields["name"].value).casefold()


@dataclass(frozen=True)
class TemplateRecord:
    """A template as it is sent. model: sha256; embedding: (D,) little-endian float32 made by it; crop: PNG."""

    template_id: str
    model: str
    embedding: bytes
    crop: bytes | None


@dataclass(frozen=True)
class Member:
    """A person as the gallery has them. revisions: ids of every revision that the person is made of."""

    person: Person
    templates: frozenset[str]
    negatives: frozenset[str]
    revisions: frozenset[str] = frozenset()


def check(revision: Revision, records: Iterable[TemplateRecord] = ()) -> None:
    """Raise ValueError, which names the limit, for a received revision or template that no camera would send."""
    for number in (revision.number, *(write.number for write in revision.fields.values())):
        within("the number of a revision", number, 0, NUMBER_MAX)
    within("fields", len(revision.fields), 0, FIELDS_MAX)
    for what, ids in (("templates", revision.templates), ("negatives", revision.negatives), ("ids", revision.removed)):
        within(what, len(ids), 0, IDS_MAX)
        within("the length of an id", max(map(len, ids), default=1), 1, ID_MAX)
    within("the length of an id", len(revision.person_id), 1, ID_MAX)
    if revision.templates & revision.negatives:
        raise ValueError(f"{len(revision.templates & revision.negatives)} templates are negative and are not")
    for name, write in revision.fields.items():
        within("the length of a field's name", len(name), 1, ID_MAX)
        within("the length of a device's name", len(write.device), 1, ID_MAX)
        check_value(name, write.value)
    for count, record in enumerate(records, start=1):
        within("templates", count, 0, 2 * IDS_MAX)
        within("the length of an id", len(record.template_id), 1, ID_MAX)
        within("the length of a model's sha256", len(record.model), 1, ID_MAX)
        within("bytes of an embedding", len(record.embedding), 0, EMBEDDING_BYTES_MAX)
        within("bytes of a crop", len(record.crop or b""), 0, CROP_BYTES_MAX)


def check_value(name: str, value: Value) -> None:
    """Raise ValueError for a value that a person cannot have."""
    if name == "name":
        check_name(str(value))
    elif isinstance(value, str):
        within(f"the length of {name[:ID_MAX]}", len(value), 0, VALUE_MAX)
    elif value is not None:
        within(name[:ID_MAX], value, 0, {"tau": TAU_MAX, "expires": EXPIRES_MAX}.get(name, NUMBER_MAX))


def check_name(name: str) -> None:
    """Raise ValueError for a name that nobody can be enrolled under."""
    try:
        clean = clean_name(name)
    except RefusedError as error:
        raise ValueError(str(error)) from error
    if clean != name:
        raise ValueError("a name is composed (Unicode NFC), without space around it")


def within(what: str, value: float, low: float, high: float) -> None:
    """Raise ValueError for a value outside of its limits; NaN is outside of any."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{what} is {value}; it is between {low:g} and {high:g}")


def bounded(revision: Revision) -> Revision:
    """The revision within the limits of `check`, but for lengths: numbers are cut, and of too many ids the least go.

    Of sets that are cut like this a union is the same in any order: each keeps the greatest ids of all.
    """
    return replace(
        revision,
        number=bounded_number(revision.number),
        fields={name: replace(write, number=bounded_number(write.number)) for name, write in revision.fields.items()},
        templates=bounded_ids(revision.templates),
        negatives=bounded_ids(revision.negatives),
        removed=bounded_ids(revision.removed),
    )


def bounded_number(number: int) -> int:
    """A number of a revision, within its limits."""
    return min(max(number, 0), NUMBER_MAX)


def bounded_ids(ids: frozenset[str]) -> frozenset[str]:
    """The greatest ids, as many as a revision may have."""
    return ids if len(ids) <= IDS_MAX else frozenset(sorted(ids)[-IDS_MAX:])


def join(one: Revision, other: Revision) -> Revision:
    """The revision that follows from two of one person."""
    number = max(one.number, other.number)
    if one.forgotten or other.forgotten:
        return Revision(one.person_id, bounded_number(number), forgotten=True)
    removed = one.removed | other.removed
    both = [*one.fields.items(), *other.fields.items()]
    return bounded(
        Revision(
            one.person_id,
            number,
            fields={name: last(write for of, write in both if of == name) for name, _ in both},
            templates=(one.templates | other.templates) - removed,
            negatives=(one.negatives | other.negatives) - removed,
            removed=removed,
        )
    )


def last(writes: Iterable[FieldWrite]) -> FieldWrite:
    """The last write of one field."""
    return max(writes, key=lambda write: write.order)


def members(revisions: Iterable[Revision]) -> dict[str, Member]:
    """The gallery that follows from revisions, by person id: people of one name are one, under the least id."""
    of_a_name: dict[str, list[Revision]] = {}
    for revision in revisions:
        if not revision.forgotten:
            of_a_name.setdefault(revision.key, []).append(revision)
    return {member.person.person_id: member for member in map(one_of, of_a_name.values())}


def one_of(revisions: list[Revision]) -> Member:
    """The person that revisions of one name make together."""
    ids = frozenset(revision.person_id for revision in revisions)
    values = {name: last(revision.fields[name] for revision in revisions).value for name in FIELDS}
    templates, negatives = (
        frozenset[str]().union(*(getattr(revision, kind) for revision in revisions))
        for kind in ("templates", "negatives")
    )
    return Member(person_of(min(ids), values), templates, negatives, ids)


def person_of(person_id: str, values: Mapping[str, Value]) -> Person:
    """A person with the values of FIELDS, whose types Revision has checked."""
    return replace(Person(person_id, ""), **values)  # type: ignore[arg-type]  # one mapping for values of four types


def local_changes(revisions: Mapping[str, Revision], gallery: Mapping[str, Member], device: str) -> list[Revision]:
    """The revisions that follow from what was changed in the gallery here; none where it agrees with them."""
    known = members(revisions.values())
    free = max((revision.number for revision in revisions.values() if revision.number < NUMBER_FREE), default=0)

    def number_after(*own: Revision) -> int:
        return bounded_number(1 + max(free, *(revision.number for revision in own)))

    news = []
    for person_id, now in gallery.items():
        before = known.get(person_id)
        if before is None:
            news.append(first(now, 1 + free, device))
        else:
            own = [revisions[one] for one in before.revisions]
            news += changed(before, now, own, number_after(*own), device)
    gone = [revisions[one] for person_id in known.keys() - gallery.keys() for one in known[person_id].revisions]
    return [*news, *(tombstone(one, number_after(one)) for one in sorted(gone, key=lambda one: one.person_id))]


def tombstone(revision: Revision, number: int) -> Revision:
    """The revision of a person who was removed: nothing but the id."""
    return Revision(revision.person_id, number, forgotten=True)


def first(member: Member, number: int, device: str) -> Revision:
    """The first revision of a person."""
    fields = {name: FieldWrite(getattr(member.person, name), number, device) for name in FIELDS}
    return bounded(
        Revision(member.person.person_id, number, fields=fields, templates=member.templates, negatives=member.negatives)
    )


def changed(before: Member, now: Member, revisions: list[Revision], number: int, device: str) -> list[Revision]:
    """The revisions after a change: a new template is in the person's own, a removed one in none."""
    written = {
        name: FieldWrite(getattr(now.person, name), number, device)
        for name in FIELDS
        if getattr(now.person, name) != getattr(before.person, name)
    }
    gone = (before.templates | before.negatives) - (now.templates | now.negatives)
    news = []
    for revision in revisions:
        own = revision.person_id == now.person.person_id
        after = bounded(
            replace(
                revision,
                fields={**revision.fields, **written},
                templates=(revision.templates | (now.templates - before.templates if own else set())) - gone,
                negatives=(revision.negatives | (now.negatives - before.negatives if own else set())) - gone,
                removed=revision.removed | (gone & revision.ids),
            )
        )
        if after != revision:
            news.append(replace(after, number=number))
    return news
