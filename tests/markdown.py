"""The pages that people read: their blocks of code, and where their links lead."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def agrees(said, measured, within):
    """The same words, each number no farther than `within` from the other.

    What an int8 model gives depends a little on the processor: XNNPACK chooses its kernels by it, and they round apart.
    """
    pairs = zip(NUMBER.findall(said), NUMBER.findall(measured), strict=True)
    return NUMBER.sub("#", said) == NUMBER.sub("#", measured) and all(
        abs(float(a) - float(b)) <= within for a, b in pairs
    )


@dataclass(frozen=True)
class Page:
    """A page by its path below the root."""

    name: str

    @property
    def path(self):
        return ROOT / self.name

    @cached_property
    def text(self):
        return self.path.read_text()

    @cached_property
    def blocks(self):
        """Language and text of each block of code, without the indentation of a list that it stands in."""
        found = re.findall(r"^( *)```(\w+)\n(.*?)^ *```", self.text, flags=re.DOTALL | re.MULTILINE)
        return [(language, re.sub(f"^{indent}", "", text, flags=re.MULTILINE)) for indent, language, text in found]

    def blocks_of(self, language):
        return [text for one, text in self.blocks if one == language]

    @cached_property
    def commands(self):
        """Every line of every block of shell."""
        return [line for block in self.blocks_of("sh") for line in block.splitlines()]

    @cached_property
    def rows(self):
        """The cells of every row of every table."""
        lines = (line for line in self.text.splitlines() if line.startswith("|"))
        return [[cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in lines]

    def row(self, first):
        """The cells after the first, of the one row that begins with it."""
        (row,) = [row for row in self.rows if row[0] == first]
        return row[1:]

    @cached_property
    def headings(self):
        """As links name them."""
        lines = (line for line in self.text.splitlines() if re.match("#+ ", line))
        return {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in lines}

    @cached_property
    def links(self):
        """Page and heading, either of which may be empty, of every link within the repository."""
        return re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", self.text)
