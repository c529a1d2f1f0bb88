"""Words of messages and of the audit record."""


def count_of(number: int, noun: str) -> str:
    """A number with its noun: "1 template", "2 templates", "2 people"."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} people" if noun == "person" else f"{number} {noun}s"
