"""moqui's beam file of a generic scanning machine: sections [geometry], [spot] and [time], read line by line.

The program accepts errors silently: a section name with a trailing blank is not a section, a line of blanks is a row of
zeros, a section that comes too early loses its name. Here each of these is an error that names its line.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mqi_communicator.dose.commissioning import Commissioning

_SECTIONS = ("[geometry]", "[rangeshifter_thickness]", "[spot]", "[time]")  # in this order
_SAD = "SAD(mm)"
_GEOMETRY = {_SAD: 2, "rangeshifter(mm)": 2, "rangeshifter_snout_gap(mm)": 1, "aperture(mm)": 2}
_COLUMNS = ("e", "E", "dE", "x", "y", "xp", "yp", "ratio")
_FEWEST = 2  # rows: a table has at least two ends


@dataclass(frozen=True, slots=True)
class BeamFile:
    """One machine's beam file. Rows by ascending nominal energy."""

    text: bytes  # LF line ends
    sad: tuple[float, float]  # mm, of the x and y magnet
    energies: tuple[float, ...]  # nominal, MeV
    ratios: tuple[float, ...]  # what a spot's weight is multiplied by to be a number of protons
    optics: tuple[tuple[float, float, float, float], ...]  # x, y (mm) and xp, yp (rad) where protons start
    commissioning: Commissioning = field(default_factory=Commissioning)
    shifter_size: tuple[float, float] | None = None  # mm, of a range shifter along x and y; None: no such line
    aperture_size: tuple[float, float] | None = None  # mm, of the block of an aperture
    shifter_table: bool = False  # whether it has range shifters' thicknesses by ID, which replace the plan's

    @property
    def sha256(self) -> str:
        """Digest of the text with LF line ends."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def span(self) -> str:
        """The energies for display; the lowest itself is out of bounds for the program."""
        return f"more than {self.energies[0]:g} and up to {self.energies[-1]:g} MeV"

    def sigma_at(self, energy: float, drift: float) -> float:
        """Sigma in mm in air, `drift` mm downstream of the start, of the narrower axis; NaN outside the table.

        Sizes and directions are sampled independently (moqui's phsp_6d without correlation).
        """
        if not self.covers(energy):
            return math.nan
        import numpy as np

        x, y, xp, yp = (float(np.interp(energy, self.energies, column)) for column in zip(*self.optics, strict=True))
        return min(math.hypot(x, xp * drift), math.hypot(y, yp * drift))

    def covers(self, energy: float) -> bool:
        """Whether the program finds this nominal energy (MeV) in the table. It computes in single precision."""
        import numpy as np

        return bool(np.float32(self.energies[0]) < np.float32(energy) <= np.float32(self.energies[-1]))


@dataclass(frozen=True, slots=True)
class _SourceLine:
    number: int  # from 1
    text: str

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"line {self.number}: {what}")


def parse_beam_file(text: bytes, commissioning: Commissioning) -> BeamFile:
    """A beam file, any line ends. ValueError, with the line, for what the program could misread."""
    text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    sections = _sections(text.decode("utf-8", errors="replace").split("\n"))
    missing = [name for name in ("[geometry]", "[spot]") if name not in sections]
    if missing:
        raise ValueError(f"there is no line {' and no line '.join(missing)}: this is not a beam file of moqui")
    geometry = _geometry(sections["[geometry]"])
    rows = _rows(sections["[spot]"])
    for line in sections.get("[time]", ()):
        _named_numbers(line)
    return BeamFile(
        text,
        (geometry[_SAD][0], geometry[_SAD][1]),
        energies=tuple(row[0] for row in rows),
        ratios=tuple(row[-1] for row in rows),
        optics=tuple((row[3], row[4], row[5], row[6]) for row in rows),
        commissioning=commissioning,
        shifter_size=_pair(geometry.get("rangeshifter(mm)")),
        aperture_size=_pair(geometry.get("aperture(mm)")),
        shifter_table=bool(sections.get("[rangeshifter_thickness]")),
    )


def _sections(lines: Sequence[str]) -> dict[str, list[_SourceLine]]:
    """The lines of each section, without comments and empty lines."""
    found: dict[str, list[_SourceLine]] = {}
    current: list[_SourceLine] | None = None
    for number, whole in enumerate(lines, start=1):
        line = _SourceLine(number, whole.split("#", 1)[0])
        if not line.text:
            continue
        if not line.text.strip():
            if current is not None and current is found.get("[spot]"):
                raise line.wrong("only blanks (or blanks before a #), which the program takes for a row of zeros")
            continue
        if "[" in line.text and "]" in line.text:
            _check_section(line, list(found))
            current = found.setdefault(line.text, [])
        elif current is not None:
            current.append(line)
    return found


def _check_section(line: _SourceLine, before: list[str]) -> None:
    if line.text not in _SECTIONS:
        near = difflib.get_close_matches(line.text.strip().lower(), _SECTIONS, n=1)
        hint = f"; did you mean {near[0]}, without anything before or after it?" if near else ""
        raise line.wrong(f"{line.text!r} is not a section that the program knows{hint}")
    if line.text in before:
        raise line.wrong(f"{line.text} is repeated here")
    later = [name for name in before if _SECTIONS.index(name) > _SECTIONS.index(line.text)]
    if later:
        raise line.wrong(f"{line.text} must come before {later[0]}, or the program does not find it")


def _geometry(lines: list[_SourceLine]) -> dict[str, tuple[float, ...]]:
    """The numbers by name. With a SAD of 0 for parallel beams the program's positions are not numbers."""
    found: dict[str, tuple[float, ...]] = {}
    for line in lines:
        name, numbers = _named_numbers(line)
        if name not in _GEOMETRY:
            near = difflib.get_close_matches(name, _GEOMETRY, n=1)
            raise line.wrong(f"unknown name {name!r}" + (f"; did you mean {near[0]}?" if near else ""))
        if len(numbers) != _GEOMETRY[name]:
            raise line.wrong(f"{name} has {len(numbers)} numbers, expected {_GEOMETRY[name]}")
        if name == _SAD and min(numbers) <= 0:
            raise line.wrong("SAD(mm) must be positive: with 0 the program's spot positions are not numbers")
        found[name] = numbers
    if _SAD not in found:
        raise ValueError("[geometry] has no line SAD(mm)")
    return found


def _pair(numbers: tuple[float, ...] | None) -> tuple[float, float] | None:
    return None if numbers is None else (numbers[0], numbers[1])


def _rows(lines: list[_SourceLine]) -> list[tuple[float, ...]]:
    """The rows of [spot] by ascending nominal energy."""
    rows: dict[float, tuple[float, ...]] = {}
    for line in lines:
        row = _row(line)
        if row[0] in rows:
            raise line.wrong(f"the energy {row[0]:g} MeV is repeated here; the program takes the first")
        rows[row[0]] = row
    if len(rows) < _FEWEST:
        raise ValueError(f"[spot] has {len(rows)} rows, expected at least {_FEWEST}")
    return [rows[energy] for energy in sorted(rows)]


def _row(line: _SourceLine) -> tuple[float, ...]:
    """One row of [spot]: nominal energy, mean energy, spread, sizes, divergences, ratio."""
    row = _numbers(line, line.text.split())
    if len(row) != len(_COLUMNS):
        raise line.wrong(f"{len(row)} numbers, expected {len(_COLUMNS)}: {' '.join(_COLUMNS)}")
    if min(row[0], row[1], row[7]) <= 0 or min(row[2:7]) < 0:
        raise line.wrong("energies and ratio must be positive, spread, sizes and divergences not negative")
    return row


def _named_numbers(line: _SourceLine) -> tuple[str, tuple[float, ...]]:
    name, *words = line.text.split()
    return name, _numbers(line, words)


def _numbers(line: _SourceLine, words: Sequence[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(word) for word in words)
    except ValueError:
        raise line.wrong(f"not a number: {line.text.strip()!r}") from None
    if not all(map(math.isfinite, numbers)):
        raise line.wrong("a number is not finite")
    return numbers
