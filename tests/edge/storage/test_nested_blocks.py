"""Random nested blocks beside a naive model of them."""

from contextlib import closing, suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import GalleryError
from edge.storage.unit_of_work import UnitOfWork

FULL = "database or disk is full"
# SQLite itself rolls the transaction back at a ROLLBACK, as it may where the disk is full.
SHAPE = (
    "CREATE TABLE fact (key INTEGER PRIMARY KEY, value INTEGER NOT NULL) STRICT",
    "CREATE TABLE bomb (x)",
    f"CREATE TRIGGER bomb_goes_off BEFORE INSERT ON bomb BEGIN SELECT RAISE(ROLLBACK, '{FULL}'); END",
)


@dataclass
class Put:
    """Write a value."""

    key: int
    value: int


@dataclass
class Refused:
    """A statement that fails by itself: NULL is no value."""


@dataclass
class Lost:
    """A statement at which SQLite rolls everything back."""


@dataclass
class Block:
    """A block. raises: at its end; caught: whether the outer block goes on."""

    steps: list = field(default_factory=list)
    raises: bool = False
    caught: bool = False


class Stop(Exception):  # noqa: N818 -- not an error
    """A block ends."""


leaves = st.one_of(
    st.builds(Put, st.integers(0, 3), st.integers(0, 9)),
    st.builds(Put, st.integers(0, 3), st.integers(0, 9)),
    st.just(Refused()),
    st.just(Lost()),
)
blocks = st.recursive(
    st.builds(Block, st.lists(leaves, max_size=4), st.booleans(), st.booleans()),
    lambda inner: st.builds(Block, st.lists(leaves | inner, max_size=5), st.booleans(), st.booleans()),
    max_leaves=12,
)


class Gone(Exception):  # noqa: N818 -- of the model
    """The model's one error."""


class Model:
    """What a dictionary would hold."""

    def __init__(self):
        self.facts, self.lost = {}, False

    def run(self, block, depth=0):
        before = dict(self.facts)
        try:
            for step in block.steps:
                self.step(step, depth)
            self.end(block)
        except (Stop, Gone):
            self.facts = before
            if depth == 0:
                self.lost = False
            raise

    def end(self, block):
        if block.raises:
            raise Stop
        if self.lost:  # nothing can be committed
            raise Gone

    def step(self, step, depth):
        if isinstance(step, Block):
            if step.caught:
                with suppress(Stop, Gone):
                    self.enter(step, depth)
            else:
                self.enter(step, depth)
            return
        if self.lost:
            raise Gone
        if isinstance(step, Put):
            self.facts[step.key] = step.value
        elif isinstance(step, Lost):
            self.lost = True
            raise Gone
        else:
            raise Gone

    def enter(self, block, depth):
        if self.lost:
            raise Gone
        self.run(block, depth + 1)


def run(db, block):
    with db.transaction():
        for step in block.steps:
            if isinstance(step, Put):
                db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (step.key, step.value))
            elif isinstance(step, Refused):
                db.execute("INSERT INTO fact VALUES (9, NULL)")
            elif isinstance(step, Lost):
                db.execute("INSERT INTO bomb VALUES (1)")
            elif step.caught:
                with suppress(Stop, GalleryError):
                    run(db, step)
            else:
                run(db, step)
        if block.raises:
            raise Stop


def outcome(act, *errors):
    try:
        act()
    except Stop:
        return "stopped"
    except errors as error:
        return error
    return "done"


def contains(block, kind):
    return any(isinstance(step, kind) or (isinstance(step, Block) and contains(step, kind)) for step in block.steps)


@given(st.lists(blocks, max_size=4))
@settings(max_examples=300)
def test_nested_blocks_do_what_a_dictionary_would(several):
    db, model = UnitOfWork.in_memory("gallery g"), Model()
    with closing(db):
        for statement in SHAPE:
            db.execute(statement)
        for block in several:
            expected = outcome(lambda block=block: model.run(block), Gone)
            found = outcome(lambda block=block: run(db, block), GalleryError)
            if isinstance(expected, Gone):
                assert isinstance(found, GalleryError)
                causes = [FULL] * contains(block, Lost) + ["NOT NULL constraint failed"] * contains(block, Refused)
                assert any(f"gallery g cannot be written: {cause}" in str(found) for cause in causes), found
            else:
                assert found == expected
            assert dict(db.rows("SELECT key, value FROM fact")) == model.facts
            assert not db.writing
