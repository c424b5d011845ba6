"""Who commissioned a beam model or a conversion, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commissioning:
    """Who commissioned a model or a curve; empty: nobody."""

    by: str = ""
    on: str = ""  # YYYY-MM-DD

    def __bool__(self) -> bool:
        """Whether a person and a day are given."""
        return bool(self.by and self.on)

    def __str__(self) -> str:
        """The text in the delivered manifest."""
        return f"commissioned by {self.by} on {self.on}" if self else "not commissioned"


@dataclass(frozen=True, slots=True)
class Measured:
    """Who commissioned something, and the measured field that the dose was compared with."""

    commissioning: Commissioning
    field: str

    def __str__(self) -> str:
        """The text in the delivered manifest."""
        return f"{self.commissioning}, measured: {self.field}"


def with_commissioning(recipe: Mapping[str, str], commissioned: Mapping[str, Commissioning]) -> dict[str, str]:
    """A recipe, with who commissioned each entry."""
    return {name: f"{value}, {commissioned[name]}" if name in commissioned else value for name, value in recipe.items()}
