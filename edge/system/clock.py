"""The time of day, and whether it is set: a Pi has no clock of its own when it boots."""

import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

EARLIEST = 1_790_000_000.0  # September 2026: no limen that asks ran before
TIMESYNCD = Path("/run/systemd/timesync/synchronized")
HARDWARE_CLOCK = Path("/sys/class/rtc/rtc0/since_epoch")
HARDWARE_CLOCK_SECONDS = 60.0  # that it may differ: it drifts
ASK_EVERY_SECONDS = 10.0
TIMEDATECTL_SECONDS = 2.0
BACKWARDS_SECONDS = 60.0
STEP_SECONDS = 3600.0  # the smallest step of the time of day that matters to what is kept for days
KEEP_EVERY_SECONDS = 3600.0
NOT_SET_REMEDY = 'check timedatectl, or set clock = "trusted" where the time is right and nothing vouches for it'
LAST_KNOWN = "last_known_time"  # the setting that keeps it over restarts
PEERS_APART = "clocks_of_others"  # the setting that says, in JSON, which cameras of the household have another time


class Settings(Protocol):
    """Where the last known time is kept."""

    def setting(self, name: str) -> str | None:
        """A setting; None where there is none."""

    def set(self, name: str, value: str) -> None:
        """Write a setting."""


def elapsed() -> float:
    """Seconds on a clock that is never set, and that counts while the machine sleeps where there is such a one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """The time of day, where it is set.

    It is set when the system has it from the network. Otherwise a hardware clock or (trusted) the configuration has to
    vouch for it, and it must not be before the last known time.

    What is deleted after a while is deleted by this clock: never while it is not set; and `step` gives the seconds by
    which a time that was written before has to be moved.
    """

    def __init__(
        self, settings: Settings, *, trusted: bool = False, elapsed_seconds: Callable[[], float] = elapsed
    ) -> None:
        self._settings, self._trusted, self._elapsed = settings, trusted, elapsed_seconds
        self._from_network = False
        self._ask_at = self._keep_at = float("-inf")
        self._offset: float | None = None  # of the time of day from `elapsed`, while it was set

    def now(self) -> float | None:
        """Seconds since 1970; None while the time of day is not set. Raises GalleryError."""
        now = time.time()
        if now < EARLIEST:
            return None
        if self._synchronized():
            return now
        if not self._trusted and not hardware_clock_agrees(now):
            return None
        return now if now > self._last_known() - BACKWARDS_SECONDS else None

    def step(self) -> float:
        """Seconds by which the time of day was set forward or back (negative) since the last call.

        0.0 below STEP_SECONDS, and where it was not set then or is not set now. Raises GalleryError.
        """
        now = self.now()
        before, self._offset = self._offset, None if now is None else now - self._elapsed()
        if before is None or self._offset is None:
            return 0.0
        seconds = self._offset - before
        return seconds if abs(seconds) >= STEP_SECONDS else 0.0

    def gone_back_from(self) -> float | None:
        """The last known time, where the time of day is not set only because it is earlier. Raises GalleryError."""
        now = time.time()
        if now < EARLIEST or self.now() is not None or not (self._trusted or hardware_clock_agrees(now)):
            return None
        return self._last_known()

    def forget(self) -> None:
        """Drop the last known time, which was wrong: the time of day may be earlier. Raises GalleryError."""
        self._settings.set(LAST_KNOWN, "0")

    def keep(self) -> None:
        """Write the time for the next boot, where it is set, once an hour. Raises GalleryError."""
        if time.monotonic() < self._keep_at or (now := self.now()) is None:
            return
        self._settings.set(LAST_KNOWN, f"{now:.0f}")
        self._keep_at = time.monotonic() + KEEP_EVERY_SECONDS

    def _last_known(self) -> float:
        return float(self._settings.setting(LAST_KNOWN) or 0.0)

    def _synchronized(self) -> bool:
        """Whether the network set the clock since this machine started: it counts on without a network."""
        if not self._from_network and time.monotonic() >= self._ask_at:
            self._ask_at = time.monotonic() + ASK_EVERY_SECONDS
            self._from_network = synchronized()
        return self._from_network


def synchronized() -> bool:
    """Whether the system has the time of day from the network.

    systemd's own client leaves a file; of any other, such as chrony, timedatectl knows over D-Bus. A unit with
    ProtectClock= (systemd.exec(5)), as limen.service is, may not ask the kernel itself, even to read.
    """
    return TIMESYNCD.exists() or timedatectl_says_so()


def timedatectl_says_so() -> bool:
    """Whether timedatectl answers yes, in time."""
    program = shutil.which("timedatectl")
    if program is None:
        return False
    command = [program, "show", "--property=NTPSynchronized", "--value"]
    alone = {"LC_ALL": "C"}  # with our NOTIFY_SOCKET it would tell systemd of its own exit, as if it were us
    try:
        answer = subprocess.run(command, env=alone, capture_output=True, timeout=TIMEDATECTL_SECONDS, check=False)  # noqa: S603 -- ours
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == b"yes"


def hardware_clock_agrees(now: float) -> bool:
    """Whether there is a hardware clock of the same time: one with an empty battery begins at 1970."""
    try:
        return abs(int(HARDWARE_CLOCK.read_text(encoding="ascii")) - now) < HARDWARE_CLOCK_SECONDS
    except (OSError, ValueError):
        return False


def rfc3339(seconds: float | None = None, *, milliseconds: bool = True) -> str:
    """Seconds since 1970, or the present time, as RFC 3339 in UTC."""
    at = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    return at.isoformat(timespec="milliseconds" if milliseconds else "seconds").replace("+00:00", "Z")
