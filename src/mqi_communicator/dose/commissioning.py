"""Who vouches for a beam model or a conversion, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Commissioning:
    """Who vouches for a model or a curve; empty words: nobody."""

    by: str = ""
    on: str = ""  # YYYY-MM-DD

    def __bool__(self) -> bool:
        """Whether somebody vouches, and since when."""
        return bool(self.by and self.on)

    def __str__(self) -> str:
        """The sentence that stands in the delivered manifest."""
        return f"commissioned by {self.by} on {self.on}" if self else "not commissioned"


def with_commissioning(recipe: Mapping[str, str], vouched: Mapping[str, Commissioning]) -> dict[str, str]:
    """A recipe, with who vouches for what in it."""
    return {name: f"{words}, {vouched[name]}" if name in vouched else words for name, words in recipe.items()}
