"""Checks that an interrupted comparison has already made. Pure: where they are kept is passed in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from mqi_communicator.results.verdict import Check

Compute = Callable[[], Sequence[Check]]


class Remembered(Protocol):
    """Checks of this comparison: the same doses, limits and code."""

    def has(self, scope: str, name: str) -> bool:
        """Whether these checks were made before."""
        ...

    def get(self, scope: str, name: str, compute: Compute) -> Sequence[Check]:
        """These checks, computed and kept if they were not made before."""
        ...


class Nothing:
    """Remembers nothing."""

    def has(self, scope: str, name: str) -> bool:  # noqa: ARG002 - see Remembered
        """False."""
        return False

    def get(self, scope: str, name: str, compute: Compute) -> Sequence[Check]:  # noqa: ARG002 - see Remembered
        """What is computed."""
        return compute()
