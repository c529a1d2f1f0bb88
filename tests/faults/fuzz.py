"""Anything at all as input: what comes of it is one of the answers and errors that are documented, and nothing else.

    python -m tests.faults.fuzz [--executions 200000] [--seed 0] [--only names]

Printed are the executions of each target by what came of them, and the smallest input of everything else (a finding).
Requests are derived from their types, so that a new one is tried without a change here.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tqdm import tqdm

from tests.collection import no_collection
from tests.faults.porch import Porch
from tests.faults.rules import HouseholdRules
from tests.faults.stored import STORED, stored_targets
from tests.faults.targets import TARGETS, Target, desk_target, file_targets

ROUND = 1000  # executions under one seed: what Hypothesis has tried it keeps in memory
STEPS = 20
FINDING_CHARACTERS = 2000
FINDINGS_MAX = 10  # of one target: they are the same by then
HOUSEHOLD = "a household's requests, one after the other", 0.02


@dataclass
class Tally:
    """What came of the executions of a target; findings: in words."""

    outcomes: Counter = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def tried(target: Target, executions: int, from_seed: int) -> Tally:
    """That many inputs; after a finding the next thousand, but not for ever."""
    tally = Tally()
    for number in count(from_seed):
        done = tally.outcomes.total()
        if done >= executions or len(tally.findings) >= FINDINGS_MAX:
            return tally

        @seed(number)
        @settings(how(min(ROUND, executions - done)))
        @given(target.inputs)
        def one(value: object) -> None:
            came = "a finding"
            try:
                with no_collection():
                    came = target.outcome(value)
            finally:
                tally.outcomes[came] += 1

        note(one, tally)
    return tally


def lived(executions: int, from_seed: int, folder: Path) -> Tally:
    """Lives of households of that many requests, all together."""
    HouseholdRules.folder, HouseholdRules.count = folder, Counter()
    tally = Tally(outcomes=HouseholdRules.count)
    for number in count(from_seed):
        before = tally.outcomes.total()
        if before >= executions or tally.findings:  # a household that cannot begin would be tried for ever
            return tally
        lives = settings(how(max(1, min(ROUND, executions - before) // STEPS)), stateful_step_count=STEPS)
        machine = seed(number)(type("HouseholdRules", (HouseholdRules,), {}))
        note(partial(run_state_machine_as_test, machine, settings=lives), tally)
    return tally


def how(examples: int) -> settings:
    """As Hypothesis should try that many; nothing is kept from run to run."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )


def note(attempt: Callable[[], None], tally: Tally) -> None:
    """A finding is what fails, at its smallest."""
    try:
        attempt()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        said = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])
        tally.findings.append(said[:FINDING_CHARACTERS])


@contextmanager
def quiet() -> Iterator[None]:
    """What libjpeg and libpng think of a picture is not printed."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def run_one(name: str, executions: int, from_seed: int, folder: Path) -> dict[str, Tally]:
    """One of the targets that need no device, alone."""
    with quiet():
        targets = (*TARGETS, *stored_targets(folder / "stored"))
        return {name: tried(next(one for one in targets if one.name == name), executions, from_seed)}


def run(folder: Path, executions: int, from_seed: int = 0) -> dict[str, Tally]:
    """All targets, each its share."""
    porch = Porch(folder)
    targets = [*TARGETS, *file_targets(folder), *stored_targets(folder / "stored"), desk_target(porch)]
    tallies = {}
    for target in tqdm(targets, desc="fuzzing", unit="target"):
        with quiet():
            tallies[target.name] = tried(target, round(target.share * executions), from_seed)
    porch.close()
    name, share = HOUSEHOLD
    tallies[name] = lived(round(share * executions), from_seed, folder)
    return tallies


@click.command()
@click.option("--executions", default=200_000, show_default=True)
@click.option("--seed", "from_seed", default=0, show_default=True)
@click.option("--only", type=click.Choice([*(target.name for target in TARGETS), *STORED]), help="One target alone.")
def main(executions: int, from_seed: int, only: str | None) -> None:
    """Print what came of it; status 1 if there is a finding."""
    memory = Path("/dev/shm")  # noqa: S108 -- where there is one: each answer waits for the disk
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        tallies = (
            run_one(only, executions, from_seed, Path(folder)) if only else run(Path(folder), executions, from_seed)
        )
    for name, tally in tallies.items():
        outcomes = ", ".join(f"{what} {times}" for what, times in tally.outcomes.most_common())
        click.echo(f"{name}: {tally.outcomes.total()} executions, {len(tally.findings)} findings; {outcomes}")
    for name, tally in tallies.items():
        for finding in tally.findings:
            click.echo(f"\n--- {name}\n{finding}")
    total = sum(tally.outcomes.total() for tally in tallies.values())
    findings = sum(len(tally.findings) for tally in tallies.values())
    click.echo(f"\n{total} executions, {findings} findings")
    if findings:
        raise click.exceptions.Exit(1)


if __name__ == "__main__":
    main()
