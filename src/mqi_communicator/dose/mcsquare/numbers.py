"""Numbers as MCsquare reads them."""

from __future__ import annotations


def number(value: float) -> str:
    """Nine significant digits without an exponent: small weights must not be rounded away."""
    text = f"{value:.9g}"
    return f"{value:.15f}" if "e" in text else text


def numbers(values: tuple[float, ...]) -> str:
    """Several, with a blank between them."""
    return " ".join(number(value) for value in values)
