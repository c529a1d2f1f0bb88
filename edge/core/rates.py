"""How often a stranger is named: of one comparison, and of a track among so many people."""

# A track is compared again with each sample. So often a stranger's track is named at least once, for each time that one
# comparison would name it: 2 to 5 on pictures of 1,559 people (`python -m tests.bench.visits`).
LOOKS = 5


def fmr_of(fpir: float, people: int) -> float:
    """The false match rate of one comparison at which a stranger's track is named that often among so many people.

    A stranger is compared with everybody, in LOOKS comparisons that tell something new:
    FPIR = 1 - (1 - LOOKS * FMR)^N.
    """
    return float(1 - (1 - fpir) ** (1 / max(1, people))) / LOOKS


def fpir_of(fmr: float, people: int) -> float:
    """The inverse of fmr_of."""
    return float(1 - (1 - min(1.0, LOOKS * fmr)) ** max(1, people))
