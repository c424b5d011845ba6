"""The beam data library as the engine itself reads it: what it takes without a word and answers with no protons.

Seen with MCsquare of OpenTPS 3.0.0. It reads the columns by their place, whatever the header calls them. A Gaussian
whose correlation is near 0 or is 1 or more, or whose spot size or divergence is 0, sends no proton into the CT; the
other Gaussian goes on, so that the dose may lack 5 % only, with exit code 0. So does every Gaussian where the first
line is another one, or where the library lacks a distance. Sizes below 0 count as those above 0.
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
_WHOLE = 0.01  # by so much Weight1 and Weight2 may miss 1: the engine gives the second Gaussian what the first leaves


def check_head(lines: Sequence[str]) -> None:
    """The first line and the distances. ValueError, by line, if the engine could not aim with them."""
    if lines[0] not in FIRST_LINES:
        raise ValueError(f"line 1 is {lines[0]!r}, expected {FIRST_LINES[0]!r}: the engine knows the format by it")
    for name in DISTANCES:
        at = next((i for i, line in enumerate(lines) if line.startswith(name)), None)
        if at is None or at + 1 >= len(lines):
            raise ValueError(f"there is no line {name!r} with a number on the line after it")
        value = _number(lines[at + 1])
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"line {at + 2}: {name} is {lines[at + 1].strip()!r}, expected mm above 0")


def check_columns(line: int, columns: Sequence[str]) -> None:
    """The engine's columns in the engine's order. ValueError, by the number of the line, if not."""
    for place, name in enumerate(COLUMNS):
        found = columns[place] if place < len(columns) else "nothing"
        if found != name:
            raise ValueError(f"line {line}: column {place + 1} is {found}, expected {name}: it is read by its place")


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


def unsendable(row: Mapping[str, float]) -> str:
    """Why a Gaussian that has protons sends none of them into the CT, by column; "" if both send theirs."""
    for gaussian in "12":
        if row[f"Weight{gaussian}"] <= 0:
            continue
        for axis in "xy":
            for name in (f"SpotSize{gaussian}{axis}", f"Divergence{gaussian}{axis}"):
                if row[name] <= 0:
                    return f"{name} is {row[name]:g}, expected more than 0: the engine sends no protons"
            name = f"Correlation{gaussian}{axis}"
            if not _LEAST <= abs(row[name]) < 1:
                least = f"{_LEAST:f}".rstrip("0")
                return (
                    f"{name} is {row[name]:g}, expected -1 to 1 without the ends, and {least} or more away from 0: "
                    "the engine sends no protons"
                )
    return ""


def _number(line: str) -> float:
    try:
        return float(line.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return math.nan
