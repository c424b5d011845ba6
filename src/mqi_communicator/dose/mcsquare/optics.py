"""The beam data library as the engine reads it: what it accepts without a warning and then sends no protons for.

Seen with MCsquare of OpenTPS 3.0.0. It reads the columns by position, whatever their headers are. A Gaussian
whose correlation is near 0 or is 1 or more, or whose spot size or divergence is 0, sends no proton into the CT; the
other Gaussian is sent, so that the dose may lack only 5 %, with exit code 0. The same happens to every Gaussian if the
first line is another one, or if the library lacks a distance. Sizes below 0 count as those above 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

COLUMNS = (
    "NominalEnergy", "MeanEnergy", "EnergySpread", "ProtonsMU",
    "Weight1", "SpotSize1x", "Divergence1x", "Correlation1x", "SpotSize1y", "Divergence1y", "Correlation1y",
    "Weight2", "SpotSize2x", "Divergence2x", "Correlation2x", "SpotSize2y", "Divergence2y", "Correlation2y",
)  # fmt: skip
FIRST_LINES = ("--UPenn beam model (double gaussian)--", "--Lookup table BDL format--")
DISTANCES = ("Nozzle exit to Isocenter distance", "SMX to Isocenter distance", "SMY to Isocenter distance")

_LEAST = 1e-5  # of a correlation: 3e-6 sends no protons, 5e-6 does
_WHOLE = 0.01  # tolerance of Weight1 + Weight2 = 1: the engine gives the second Gaussian the rest of the first


def check_head(lines: Sequence[str]) -> None:
    """The first line and the distances. ValueError, by line, if the engine cannot use them."""
    if lines[0] not in FIRST_LINES:
        raise ValueError(f"line 1 is {lines[0]!r}, expected {FIRST_LINES[0]!r}: the engine recognises the format by it")
    for name in DISTANCES:
        at = next((i for i, line in enumerate(lines) if line.startswith(name)), None)
        if at is None or at + 1 >= len(lines):
            raise ValueError(f"there is no line {name!r} with a number on the line after it")
        value = _number(lines[at + 1])
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"line {at + 2}: {name} is {lines[at + 1].strip()!r}, expected mm above 0")


def check_columns(line: int, columns: Sequence[str]) -> None:
    """The columns are those of the engine, in its order. ValueError, with the line number, if not."""
    for place, name in enumerate(COLUMNS):
        found = columns[place] if place < len(columns) else "nothing"
        if found != name:
            raise ValueError(
                f"line {line}: column {place + 1} is {found}, expected {name}: columns are read by position"
            )


def check_row(line: int, row: Mapping[str, float]) -> None:
    """One energy's protons can be sent. ValueError, by line and column, if not."""
    for name, value in row.items():
        if not math.isfinite(value):
            raise ValueError(f"line {line}: {name} is {value:g}, expected a number")
    for name in ("NominalEnergy", "MeanEnergy", "ProtonsMU"):
        if row[name] <= 0:
            raise ValueError(f"line {line}: {name} is {row[name]:g}: energies and protons per MU must be positive")
    if row["EnergySpread"] < 0:
        raise ValueError(f"line {line}: EnergySpread is {row['EnergySpread']:g}, expected 0 or more")
    for name in ("Weight1", "Weight2"):
        if not 0 <= row[name] <= 1:
            raise ValueError(f"line {line}: {name} is {row[name]:g}, expected a share from 0 to 1")
    if abs(row["Weight1"] + row["Weight2"] - 1) > _WHOLE:
        total = row["Weight1"] + row["Weight2"]
        raise ValueError(f"line {line}: Weight1 and Weight2 add up to {total:g}, expected 1")
    if problem := unsendable(row):
        raise ValueError(f"line {line}: {problem}")


def sigma_at(row: Mapping[str, float], distance: float) -> float:
    """Sigma in mm in air, `distance` mm downstream of the nozzle exit, of the narrower axis of the narrowest Gaussian.

    sigma^2 = SpotSize^2 + 2 Correlation SpotSize Divergence distance + (Divergence distance)^2. The engine's spots in
    air have this size: measured at the isocentre at 100, 150 and 200 MeV, within 2 %.
    """
    return min(_sigma(row, f"{gaussian}{axis}", distance) for gaussian in _sent(row) for axis in "xy")


def _sent(row: Mapping[str, float]) -> str:
    return "".join(gaussian for gaussian in "12" if row[f"Weight{gaussian}"] > 0)


def _sigma(row: Mapping[str, float], which: str, distance: float) -> float:
    size, spread = row[f"SpotSize{which}"], row[f"Divergence{which}"] * distance
    return math.sqrt(size**2 + 2 * row[f"Correlation{which}"] * size * spread + spread**2)


def unsendable(row: Mapping[str, float]) -> str:
    """Why the engine sends no protons of a Gaussian with a weight, naming the column; "" if it sends both."""
    for gaussian in _sent(row):
        for axis in "xy":
            for name in (f"SpotSize{gaussian}{axis}", f"Divergence{gaussian}{axis}"):
                if row[name] <= 0:
                    return f"{name} is {row[name]:g}, expected more than 0: the engine sends no protons"
            name = f"Correlation{gaussian}{axis}"
            if not _LEAST <= abs(row[name]) < 1:
                least = f"{_LEAST:f}".rstrip("0")
                return (
                    f"{name} is {row[name]:g}, expected a magnitude of at least {least} and below 1: "
                    "the engine sends no protons"
                )
    return ""


def _number(line: str) -> float:
    try:
        return float(line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return math.nan
