"""Reads the engine's own tables: beam data libraries and HU curves. Every mistake is named with its line."""

from __future__ import annotations

from itertools import pairwise

from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve


def parse_beam_model(text: bytes, commissioning: Commissioning) -> BeamModel:
    """A beam data library, any line ends. ValueError, in words, if the engine could misread it."""
    text = with_lf(text)
    lines = text.decode("utf-8", errors="replace").splitlines()
    header = next((i for i, line in enumerate(lines) if line.split()[:1] == ["NominalEnergy"]), None)
    if header is None:
        raise ValueError("no line begins with NominalEnergy: this is no MCsquare beam data library")
    columns = lines[header].split()
    missing = {"NominalEnergy", "MeanEnergy", "ProtonsMU"} - set(columns)
    if missing:
        raise ValueError(f"line {header + 1} lacks the column {', '.join(sorted(missing))}")
    rows = [_numbers(i, lines[i], len(columns)) for i in range(header + 1, len(lines)) if lines[i].strip()]
    rows = _announced(lines, rows)
    nominal, mean, protons = (
        tuple(row[columns.index(name)] for row in rows) for name in ("NominalEnergy", "MeanEnergy", "ProtonsMU")
    )
    if any(after <= before for before, after in pairwise(nominal)):
        raise ValueError("the nominal energies must rise from row to row")
    if min(nominal) <= 0 or min(mean) <= 0 or min(protons) <= 0:
        raise ValueError("energies and protons per MU must be positive")
    return BeamModel(text, nominal, mean, protons, commissioning)


def parse_curve(density: bytes, material: bytes, commissioning: Commissioning) -> Curve:
    """A scanner's two files, any line ends. ValueError, in words, if one is not a rising table."""
    density, material = with_lf(density), with_lf(material)
    for what, text in (("density", density), ("material", material)):
        _rising(what, text)
    return Curve(density, material, commissioning)


def with_lf(text: bytes) -> bytes:
    """The text with LF line ends. With CRLF in a beam model the dose is zero and the engine exits 0."""
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _rising(what: str, text: bytes) -> None:
    lines = [line.split("#", 1)[0] for line in text.decode("utf-8", errors="replace").splitlines()]
    rows = [_numbers(i, line, 2) for i, line in enumerate(lines) if line.strip()]
    if len(rows) < 2:  # noqa: PLR2004 - a curve has two ends
        raise ValueError(f"the {what} file has fewer than two rows")
    if any(after[0] <= before[0] for before, after in pairwise(rows)):
        raise ValueError(f"the {what} file's HU must rise from row to row")


def _announced(lines: list[str], rows: list[list[float]]) -> list[list[float]]:
    """The engine reads as many rows as the line `26 energies` says and ignores those below; so do we."""
    said = next((line.split()[0] for line in lines if line.split()[1:] == ["energies"]), "")
    if not said.isdigit() or not 0 < int(said) <= len(rows):
        raise ValueError(f"the table has {len(rows)} rows, but the line `... energies` says {said or 'nothing'}")
    return rows[: int(said)]


def _numbers(index: int, line: str, count: int) -> list[float]:
    try:
        row = [float(word) for word in line.split()]
    except ValueError as problem:
        raise ValueError(f"line {index + 1} holds a word that is no number: {problem}") from problem
    if len(row) < count:
        raise ValueError(f"line {index + 1} has {len(row)} numbers, expected {count}")
    return row
