"""Places in a site's words that are filled later, and patterns: known, or refused with what is known."""

from __future__ import annotations

import re
from string import Formatter


def check_placeholders(text: str, places: frozenset[str]) -> None:
    """ValueError for a place that nobody fills."""
    try:
        found = [(name, bool(form or turned)) for _, name, form, turned in Formatter().parse(text) if name is not None]
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}; a brace of its own is written twice") from problem
    for name, formed in found:
        if name not in places or formed:
            raise ValueError(f"{{{name}}} is filled by nobody; known: {', '.join(sorted(places))}")


def check_pattern(pattern: str) -> str:
    """The pattern, if it is a regular expression. ValueError if not."""
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is no regular expression: {problem}") from problem
    return pattern
