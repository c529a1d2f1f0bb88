"""Where everything is said: every topic of one device."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Topics:
    """The topics below `limen/<device>`."""

    device: str

    @property
    def base(self) -> str:
        """What they all begin with."""
        return f"limen/{self.device}"

    def of(self, name: str) -> str:
        """status, info, health, event, presence, gallery, person/<slug>."""
        return f"{self.base}/{name}"

    @property
    def requests(self) -> str:
        """The filter of every request."""
        return f"{self.base}/request/#"

    def verb_of(self, topic: str) -> str | None:
        """`limen/<device>/request/enroll/image` -> `enroll/image`; None where it is no request to this device."""
        prefix = f"{self.base}/request/"
        return topic.removeprefix(prefix) if topic.startswith(prefix) else None

    def response(self, verb: str) -> str:
        """The twin of a request's topic."""
        return f"{self.base}/response/{verb}"
