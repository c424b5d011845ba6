"""Check the placeholders and the regular expressions in a site's settings."""

from __future__ import annotations

import re
from string import Formatter


def check_placeholders(text: str, known: frozenset[str]) -> None:
    """ValueError, with the known names, for an unknown placeholder."""
    try:
        found = [
            (name, bool(form or conversion))
            for _, name, form, conversion in Formatter().parse(text)
            if name is not None
        ]
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}; write a literal brace twice") from problem
    for name, formed in found:
        if formed:
            raise ValueError(f"{{{name}}} has a format or a conversion, expected none")
        if name not in known:
            raise ValueError(f"{{{name}}} is not a placeholder; known: {', '.join(sorted(known))}")


def check_pattern(pattern: str) -> str:
    """The pattern, if it is a regular expression. ValueError if not."""
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is not a regular expression: {problem}") from problem
    return pattern
