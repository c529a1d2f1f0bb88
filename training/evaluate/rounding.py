"""Numbers for reading."""

from typing import Any


def rounded(value: Any, digits: int = 5) -> Any:
    """The same nested dicts with their floats rounded."""
    if isinstance(value, dict):
        return {key: rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [rounded(inner, digits) for inner in value]
    return round(value, digits) if isinstance(value, float) else value
