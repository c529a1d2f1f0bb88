"""Where a template is from: given by people, or learned at the door.

The id of a learned template says so, and from which event. No export, no camera of an earlier release and no broker's
copy can lose it, as they would lose a field: what was learned must never count as given.
"""

LEARNED = "l_"  # an id: this, the id of the visit's first event, "_", and what makes it unique


def learned_from(template_id: str) -> str | None:
    """The id of the event that a template was learned from; None of one that people gave."""
    if not template_id.startswith(LEARNED):
        return None
    event_id, _, _ = template_id.removeprefix(LEARNED).partition("_")
    return event_id
