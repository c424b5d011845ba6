"""Reads the commissioned beam models and curves from disk, once, at start. The only file of this room that does I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from mqi_communicator.case.faults import NeedsPerson
from mqi_communicator.dose.mcsquare.basis import BeamModel, Commissioning, Curve
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve, with_lf
from mqi_communicator.dose.options import MachineOptions, ScannerOptions


def read_beam_models(machines: Mapping[str, MachineOptions]) -> dict[str, BeamModel]:
    """Each machine's beam model, its digest proved. NeedsPerson, naming machine and file, if one cannot be used."""
    return {name: _read_model(f"machine {name!r}", options) for name, options in machines.items()}


def read_curves(scanners: Mapping[str, ScannerOptions]) -> dict[str, Curve]:
    """Each scanner's curve, its digests proved. NeedsPerson, naming scanner and file, if one cannot be used."""
    return {name: _read_curve(f"scanner {name!r}", options) for name, options in scanners.items()}


def _read_model(whose: str, options: MachineOptions) -> BeamModel:
    text = _read(whose, "beam model", options.beam_model, options.sha256)
    try:
        return parse_beam_model(text, _signed(options.commissioned_by, options.commissioned_on))
    except ValueError as problem:
        raise NeedsPerson(f"{whose}: beam model {options.beam_model}: {problem}", "correct the file") from problem


def _read_curve(whose: str, options: ScannerOptions) -> Curve:
    density = _read(whose, "density file", options.density, options.density_sha256)
    material = _read(whose, "material file", options.material, options.material_sha256)
    try:
        return parse_curve(density, material, _signed(options.commissioned_by, options.commissioned_on))
    except ValueError as problem:
        files = f"{options.density}, {options.material}"
        raise NeedsPerson(f"{whose}: conversion curve ({files}): {problem}", "correct the file") from problem


def _read(whose: str, what: str, path: Path, expected: str) -> bytes:
    """The file, if its digest, as it lies or with LF line ends, is the expected one."""
    try:
        data = path.expanduser().read_bytes()
    except OSError as problem:
        reason = f"{whose}: {what} {path} cannot be read: {problem.strerror or problem}"
        raise NeedsPerson(reason, "put the file there, or correct its path in the configuration") from problem
    found = [hashlib.sha256(text).hexdigest() for text in (data, with_lf(data))]
    if expected not in found:
        raise NeedsPerson(
            f"{whose}: {what} {path} has sha256 {found[1]}, expected {expected}",
            "restore the commissioned file; if the change is meant, commission it and write its new digest",
        )
    return data


def _signed(by: str, on: date | None) -> Commissioning:
    return Commissioning(by.strip(), on.isoformat() if on else "")
