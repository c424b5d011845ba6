"""Parameters of which `./test.sh` tries some, and `./test.sh --long` the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def seldom(values: Iterable[Any], *, often: Collection[Any]) -> list[Any]:
    """Each value as a parameter, marked `long` unless it is among `often`, whose values must all be there."""
    every = list(values)
    assert set(often) <= set(every), "a value that is tried often is no longer there"
    return [pytest.param(each, marks=[] if each in often else pytest.mark.long) for each in every]
