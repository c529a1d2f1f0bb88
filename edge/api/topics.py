"""Every topic of one device, and those that a household's devices share."""

from dataclasses import dataclass

# Characters. A twin is longer than its request's topic, and no topic has over 65,535 bytes (MQTT 5, 1.5.4).
VERB_MAX = 128


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
        prefix = f"{self.base}/request"
        if topic != prefix and not topic.startswith(f"{prefix}/"):
            return None
        return topic[len(prefix) + 1 :]

    def person_of(self, topic: str) -> str | None:
        """`limen/<device>/person/alice` -> `alice`; None where it says nothing of a person."""
        prefix = f"{self.base}/person/"
        return topic.removeprefix(prefix) if topic.startswith(prefix) else None

    def response(self, verb: str) -> str:
        """The twin of a request's topic; of one that is no verb by its length, `response/unknown`."""
        if len(verb) > VERB_MAX:
            verb = "unknown"
        return f"{self.base}/response/{verb}".rstrip("/")


@dataclass(frozen=True)
class HouseholdTopics:
    """The topics below `limen/household/<household>`, which all its cameras share."""

    household: str

    @property
    def people(self) -> str:
        """The filter of everybody's."""
        return self.person("+")

    def person(self, opaque: str) -> str:
        """One person's. opaque: nothing that says who it is."""
        return f"limen/household/{self.household}/person/{opaque}"


def answers_topic(username: str, random: str) -> str:
    """Where one asker's answers go: `to` keeps it apart from the topics of a device, whatever the user is called."""
    return f"limen/answers/to/{username or 'anybody'}/{random}"
