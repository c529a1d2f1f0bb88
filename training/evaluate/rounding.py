"""Numbers for people and JSON."""


def rounded(value: object, digits: int = 5) -> object:
    """The same nest of dicts with its floats rounded: nobody reads the sixteenth digit."""
    if isinstance(value, dict):
        return {key: rounded(inner, digits) for key, inner in value.items()}
    return round(value, digits) if isinstance(value, float) else value
