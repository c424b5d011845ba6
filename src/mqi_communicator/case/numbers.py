"""Numbers as text for people, the same on every page, in reports and in messages. Pure."""

from __future__ import annotations

FINE = ("layer_position", "spot_position")  # checks in mm that are judged to 0.01 mm
SIGNED = ("range", "falloff", "penumbra")  # checks whose sign has a meaning: computed minus planned


def fixed(value: float, digits: int, *, sign: bool = False) -> str:
    """A number with this many decimals; never a minus zero. `sign`: with a plus, and a zero without a sign."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if sign and rounded else f"{rounded:.{digits}f}"


def short(value: float, digits: int = 1) -> str:
    """A number in a sentence: at most this many decimals, without trailing zeros."""
    text = fixed(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def value_text(value: object, unit: str, name: str = "") -> str:
    """The value of the check `name` with its unit; a dash if there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–"
    if unit == "mm":
        return f"{fixed(value, 2 if name in FINE else 1, sign=name.startswith(SIGNED))} mm"
    return fixed(value, 3) if unit in ("ratio", "") else f"{fixed(value, 2)} {unit}"
