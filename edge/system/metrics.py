"""Measurements of the running process and its machine: the time of each stage, memory, temperature, power."""

import os
import resource
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

LAPS_KEPT = 600
SYS = Path("/sys")
# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled: the bits of the present state
THROTTLED_BITS = ("under_voltage", "frequency_capped", "throttled", "soft_temperature_limit")


@dataclass
class Stopwatch:
    """Times the block of `with stopwatch:`. Percentiles are those of the newest LAPS_KEPT laps.

    count, total: of all laps, total in seconds
    """

    laps: deque[float] = field(default_factory=lambda: deque(maxlen=LAPS_KEPT))
    count: int = 0
    total: float = 0.0
    _begun: float = 0.0

    def __enter__(self) -> Self:
        self._begun = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.add(time.perf_counter() - self._begun)

    def add(self, seconds: float) -> None:
        """Add a lap that was timed elsewhere."""
        self.laps.append(seconds)
        self.total += seconds
        self.count += 1

    def reset(self) -> None:
        """Delete every lap."""
        self.laps.clear()
        self.count, self.total = 0, 0.0

    def ms(self) -> dict[str, float | None]:
        """Compute the 50th and the 95th percentile in milliseconds, "p50" and "p95"; 0 where there is no lap."""
        p50, p95 = np.percentile(self.laps, [50, 95]) * 1000 if self.laps else (0.0, 0.0)
        return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


class StageTimes(dict[str, Stopwatch]):
    """A stopwatch for each stage of a frame: `with times("detect"): ...`; see edge.core.ports.StageTimer."""

    def __missing__(self, stage: str) -> Stopwatch:
        watch = self[stage] = Stopwatch()
        return watch

    def __call__(self, stage: str) -> Stopwatch:
        """The stopwatch of that stage."""
        return self[stage]


def rss_mb() -> float:
    """Read the memory that this process holds, in MB; the most it ever held where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000, 1)


def peak_mb(pid: int) -> float | None:
    """Read the most memory that another process has held, in MB; None where it is gone, or the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if kilobytes is None else round(int(kilobytes) * 1024 / 1_000_000, 1)


def temp_c() -> float | None:
    """Read the temperature of the processor in degrees Celsius; None where the system does not say."""
    try:
        return int(Path("/sys/class/thermal/thermal_zone0/temp").read_text(encoding="ascii")) / 1000
    except (OSError, ValueError):
        return None


def throttled(system: Path = SYS) -> dict[str, bool | None] | None:
    """Read what limits a Raspberry Pi at this moment.

    system: where sysfs is mounted

    Returns whether each of THROTTLED_BITS is set, None where that is not known; None in place of all on other machines.
    Both sources are files that everybody may read. The firmware's own device (/dev/vcio) says the same, and lets its
    users change clocks and voltages: the unit has no access to it.
    """
    for flags in system.glob("bus/platform/drivers/raspberrypi-firmware/*/get_throttled"):
        with suppress(OSError, ValueError):
            word = int(flags.read_text(encoding="ascii"), 16)
            return {name: bool(word >> bit & 1) for bit, name in enumerate(THROTTLED_BITS)}
    for name in system.glob("class/hwmon/hwmon*/name"):  # of kernels that do not pass the flags on
        with suppress(OSError, ValueError):
            if name.read_text(encoding="ascii").strip() == "rpi_volt":
                alarm = bool(int(name.with_name("in0_lcrit_alarm").read_text(encoding="ascii")))
                return dict.fromkeys(THROTTLED_BITS) | {"under_voltage": alarm}
    return None
