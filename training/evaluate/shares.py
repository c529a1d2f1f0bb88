"""A share of trials, with its exact interval."""

from dataclasses import dataclass

from scipy.stats import binomtest


@dataclass(frozen=True)
class Share:
    """How many of the trials passed."""

    passed: int
    trials: int

    @property
    def value(self) -> float:
        """The fraction that passed."""
        return self.passed / self.trials

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval of independent trials (Clopper and Pearson 1934)."""
        low, high = binomtest(self.passed, self.trials).proportion_ci(method="exact")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{100 * self.value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
