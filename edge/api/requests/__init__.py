"""What can be asked, typed: one class per verb, with its access, its reply and its codes."""

from edge.api.requests import people, visits, device  # isort: skip -- in the order of the page of verbs
from edge.api.verbs import VERBS

__all__ = ["VERBS", "device", "people", "visits"]
