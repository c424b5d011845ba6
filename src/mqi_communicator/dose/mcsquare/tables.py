"""Read the engine's tables: beam data libraries and HU curves. Every error names its line."""

from __future__ import annotations

from itertools import pairwise

from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.optics import COLUMNS, check_columns, check_head, check_row


def parse_beam_model(text: bytes, commissioning: Commissioning) -> BeamModel:
    """A beam data library, any line ends. ValueError if the engine could misread it."""
    text = with_lf(text)
    lines = text.decode("utf-8", errors="replace").splitlines()
    header = next((i for i, line in enumerate(lines) if line.split()[:1] == ["NominalEnergy"]), None)
    if header is None:
        raise ValueError("no line begins with NominalEnergy: this is not an MCsquare beam data library")
    check_head(lines)
    columns = lines[header].split()
    check_columns(header + 1, columns)
    filled = [i for i in range(header + 1, len(lines)) if lines[i].strip()]
    rows = [_numbers(i, lines[i], len(columns)) for i in filled][: _announced(lines, len(filled))]
    for i, row in zip(filled, rows, strict=False):
        check_row(i + 1, dict(zip(columns, row, strict=False)))
    table = {name: tuple(row[place] for row in rows) for place, name in enumerate(COLUMNS)}
    if any(after <= before for before, after in pairwise(table["NominalEnergy"])):
        raise ValueError("the nominal energies must rise from row to row")
    return BeamModel(text, table["NominalEnergy"], table["MeanEnergy"], table["ProtonsMU"], commissioning, table)


def parse_curve(density: bytes, material: bytes, commissioning: Commissioning) -> Curve:
    """A scanner's two files, any line ends. ValueError if one is not a rising table."""
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


def _announced(lines: list[str], rows: int) -> int:
    """The engine reads as many rows as the line `26 energies` states and ignores those below; so does this reader."""
    announced = next((line.split()[0] for line in lines if line.split()[1:] == ["energies"]), "")
    if not announced.isdigit() or not 0 < int(announced) <= rows:
        raise ValueError(f"the table has {rows} rows, but the line `... energies` has {announced or 'nothing'}")
    return int(announced)


def _numbers(index: int, line: str, count: int) -> list[float]:
    try:
        row = [float(word) for word in line.split()]
    except ValueError as problem:
        raise ValueError(f"line {index + 1} has a value that is not a number: {problem}") from problem
    if len(row) < count:
        raise ValueError(f"line {index + 1} has {len(row)} numbers, expected {count}")
    return row
