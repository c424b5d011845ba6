"""Reads the binary files of a layer (big endian): what was delivered (.ptn), and the planned map (.mgn).

| .ptn, 16 bytes a row | X, Y, X size, Y size, Dose1, Dose2, layer, state: 16 bits each |
|---|---|
| .mgn, 14 bytes a row | time in us: 32 bits; X and Y amplifier, X and Y preset, flag: 16 bits each |

State bit 14: the beam is on; bits 0 to 6: the painting.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.records import FWHM
from mqi_communicator.treatment.pieces import merged
from mqi_communicator.treatment.sumitomo.folder import Digests, Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

    Doubles = NDArray[np.float64]
    Raw = NDArray[np.void]

LOG_ROW = np.dtype([(name, ">u2") for name in ("x", "y", "sx", "sy", "dose1", "dose2", "layer", "state")])
MAP_ROW = np.dtype([("us", ">u4"), *((name, ">u2") for name in ("ax", "ay", "x", "y", "flag"))])
BEAM_ON, PAINTING = 1 << 14, 0x7F
_MOST = 256 << 20  # bytes of a file
_OFF = 0.01  # of all counts, at most, may be recorded while the beam is off
_SIGMA = 3.0  # mm, of the spots if it is not recorded: a small one, so that pieces are short


@dataclass(frozen=True, slots=True)
class Samples:
    """The rows of a layer with the beam on."""

    positions: Doubles  # (n, 2) mm
    size: tuple[float, float] | None  # mm FWHM, mean weighted by counts; None: not recorded
    counts: Doubles  # (n,) of the first monitor, at factor 1
    paintings: NDArray[np.int64]  # (n,)
    second: Doubles  # (n,) counts of the second monitor, at factor 1


def read_rows(path: Path, row: np.dtype[np.void], report: Report, digests: Digests) -> Raw | None:
    """All rows of a file; None, and what is wrong, if it is not there, empty or cut. `digests` gets its SHA-256."""
    try:
        if (size := path.stat().st_size) > _MOST:
            report("log.unreadable", f"{printable(path.name)} has {size} bytes, expected at most {_MOST}")
            return None
        data = path.read_bytes()
    except OSError as error:
        report("log.unreadable", f"{printable(path.name)} cannot be read: {error.strerror}")
        return None
    digests[path.name] = hashlib.sha256(data).digest()
    if not data or len(data) % row.itemsize:
        report("log.truncated", f"{printable(path.name)} has {len(data)} bytes, expected rows of {row.itemsize}")
        return None
    return np.frombuffer(data, dtype=row)


def samples_of(
    rows: Raw, factors: tuple[float, float], options: SumitomoOptions, name: str, report: Report
) -> Samples | None:
    """The rows with the beam on in mm and counts; None, and what is wrong, if they contradict themselves."""
    on = (rows["state"] & BEAM_ON) > 0
    first = rows["dose1"].astype(np.float64) * factors[0]
    if not (first[on] > 0).any():
        report("log.no_beam", f"{printable(name)} has no row with the beam on and a dose")
        return None
    if (off := float(first[~on].sum())) > _OFF * float(first.sum()):
        report("log.beam_off", f"{printable(name)} has {off:.3g} of {first.sum():.3g} counts in rows with the beam off")
        return None
    off_rails = on & (first > 0) & ((rows["x"] >= options.rail) | (rows["y"] >= options.rail))
    if count := int(off_rails.sum()):
        report(
            "log.rail",
            f"{printable(name)} has {count} rows with the beam on and no position (raw {options.rail} or more)",
        )
        return None
    lit = rows[on]
    counts = first[on]
    return Samples(
        positions=_mm(lit["x"], lit["y"], options.offset, options.gain_mm),
        size=_mean_size(lit, counts, options),
        counts=counts,
        paintings=(lit["state"] & PAINTING).astype(np.int64),
        second=lit["dose2"].astype(np.float64) * factors[1],
    )


def planned_map(rows: Raw, options: SumitomoOptions) -> Doubles:
    """(n, 2) mm: the positions that the machine was given."""
    return _mm(rows["x"], rows["y"], options.planned_offset, options.planned_gain_mm)


def pieces_of(samples: Samples) -> tuple[Doubles, Doubles, NDArray[np.int64]]:
    """Positions (m, 2) mm, counts (m,) and paintings (m,) of pieces shorter than a part of the spot's sigma."""
    sigma = (samples.size[0] + samples.size[1]) / 2 / FWHM if samples.size else _SIGMA
    return merged(samples.positions, samples.counts, samples.paintings, sigma)


def _mean_size(rows: Raw, counts: Doubles, options: SumitomoOptions) -> tuple[float, float] | None:
    unit = 1.0 if options.size == "fwhm" else FWHM
    raw = [float(rows[name] @ counts / counts.sum()) for name in ("sx", "sy")]
    x, y = (unit * one * abs(gain) for one, gain in zip(raw, options.gain_mm, strict=True))
    return (x, y) if x > 0 and y > 0 else None


def _mm(x: Raw, y: Raw, offset: tuple[float, float], gain: tuple[float, float]) -> Doubles:
    found: Doubles = (np.stack([x, y], axis=1).astype(np.float64) - np.asarray(offset)) * np.asarray(gain)
    return found
