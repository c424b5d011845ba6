"""Read the commissioned beam models and curves from disk, once, at start. The only module of this package with I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeVar

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dose.abilities import APERTURES, RANGE_SHIFTERS
from mqi_communicator.dose.commissioning import Commissioning, Measured
from mqi_communicator.dose.mcsquare.basis import BeamModel, Curve
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve, with_lf
from mqi_communicator.dose.moqui.basis import BuiltIn, Calibration, Machine
from mqi_communicator.dose.moqui.beamfile import parse_beam_file
from mqi_communicator.dose.moqui.device_options import DevicesOptions
from mqi_communicator.dose.moqui.options import BuiltInMachineOptions, MoquiMachineOptions
from mqi_communicator.dose.options import CalibrationOptions, MachineOptions, ScannerOptions
from mqi_communicator.dose.range_shifter import RangeShifter
from mqi_communicator.dose.range_shifter_options import RangeShifterOptions

_Made = TypeVar("_Made")


def read_beam_models(machines: Mapping[str, MachineOptions | BuiltInMachineOptions]) -> dict[str, BeamModel]:
    """Each machine's beam model for MCsquare, its digest verified. ActionRequired, naming machine and file, if one
    cannot be used. Machines without a file are left out: the configuration refuses them for MCsquare."""
    files = {name: one for name, one in machines.items() if isinstance(one, MachineOptions)}
    return {
        name: replace(_read_model(name, one, parse_beam_model), shifters=_shifters(one.range_shifters))
        for name, one in files.items()
    }


def read_curves(scanners: Mapping[str, ScannerOptions | CalibrationOptions]) -> dict[str, Curve]:
    """Each scanner's curve, its digests verified. ActionRequired, naming scanner and file, if one cannot be used."""
    files = {name: one for name, one in scanners.items() if isinstance(one, ScannerOptions)}
    return {name: _read_curve(f"scanner {name!r}", one) for name, one in files.items()}


def read_machines(machines: Mapping[str, MachineOptions | BuiltInMachineOptions]) -> dict[str, Machine]:
    """Each machine as moqui knows it, its beam file's digest verified. ActionRequired, naming machine and file, if
    not."""
    return {name: _machine(name, one) for name, one in machines.items()}


def read_calibrations(scanners: Mapping[str, ScannerOptions | CalibrationOptions]) -> dict[str, Calibration]:
    """Each scanner's calibration for moqui, which is built into it."""
    built_in = {name: one for name, one in scanners.items() if isinstance(one, CalibrationOptions)}
    return {
        name: Calibration(one.calibration, _signed(one.commissioned_by, one.commissioned_on), one.kvp)
        for name, one in built_in.items()
    }


def _machine(name: str, options: MachineOptions | BuiltInMachineOptions) -> Machine:
    signed = _signed(options.commissioned_by, options.commissioned_on)
    if isinstance(options, MachineOptions):
        more = options.moqui or MoquiMachineOptions()
        model = _read_model(name, options, parse_beam_file)
        return Machine(
            model,
            signed,
            protons_per_mu=more.protons_per_mu,
            snout_position=more.snout_position,
            shifters=_shifters(options.range_shifters),
            devices=_devices(more.devices),
        )
    return Machine(
        BuiltIn(*options.energies),
        signed,
        sent_name=options.sent_name or f"G{options.gantry}",
        gantry=options.gantry,
        protons_per_mu=options.protons_per_mu,
        counts_per_mu=options.counts_per_mu,
        dose_factor=options.dose_factor,
        snout_position=options.snout_position,
        spot_sigma=options.spot_sigma,
    )


def _shifters(options: Mapping[str, RangeShifterOptions]) -> dict[str, RangeShifter]:
    return {
        name: RangeShifter(
            one.wet,
            one.material,
            one.density,
            one.distance,
            one.travel,
            dict(one.settings),
            _signed(one.commissioned_by, one.commissioned_on),
        )
        for name, one in options.items()
    }


def _devices(options: DevicesOptions) -> dict[str, Measured]:
    declared = {RANGE_SHIFTERS: options.range_shifters, APERTURES: options.apertures}
    return {
        name: Measured(_signed(one.commissioned_by, one.commissioned_on), one.measured.strip())
        for name, one in declared.items()
        if one is not None
    }


def _read_model(name: str, options: MachineOptions, parse: Callable[[bytes, Commissioning], _Made]) -> _Made:
    text = _read(f"machine {name!r}", "beam model", options.beam_model, options.sha256)
    try:
        return parse(text, _signed(options.commissioned_by, options.commissioned_on))
    except ValueError as problem:
        whose = f"machine {name!r}: beam model {options.beam_model}"
        raise ActionRequired(f"{whose}: {problem}", "correct the file") from problem


def _read_curve(whose: str, options: ScannerOptions) -> Curve:
    density, material = _read_both(
        whose,
        ("density file", options.density, options.density_sha256),
        ("material file", options.material, options.material_sha256),
    )
    try:
        curve = parse_curve(density, material, _signed(options.commissioned_by, options.commissioned_on))
    except ValueError as problem:
        files = f"{options.density}, {options.material}"
        raise ActionRequired(f"{whose}: conversion curve ({files}): {problem}", "correct the file") from problem
    return replace(curve, kvp=options.kvp)


def _read_both(whose: str, *files: tuple[str, Path, str]) -> list[bytes]:
    """The files, or one fault with what is wrong with any of them."""
    found, faults = [], []
    for what, path, expected in files:
        try:
            found.append(_read(whose, what, path, expected))
        except ActionRequired as fault:
            faults.append(fault)
    if faults:
        advice = "; ".join(dict.fromkeys(fault.advice for fault in faults))
        raise ActionRequired("; ".join(fault.reason for fault in faults), advice)
    return found


def _read(whose: str, what: str, path: Path, expected: str) -> bytes:
    """The file, if its digest, as stored or with LF line ends, is the expected one."""
    try:
        data = path.expanduser().read_bytes()
    except OSError as problem:
        reason = f"{whose}: {what} {path} cannot be read: {problem.strerror or problem}"
        raise ActionRequired(reason, "put the file there, or correct its path in the configuration") from problem
    found = [hashlib.sha256(text).hexdigest() for text in (data, with_lf(data))]
    if expected not in found:
        raise ActionRequired(
            f"{whose}: {what} {path} has sha256 {found[1]}, expected {expected}",
            "restore the commissioned file; if the change is intended, commission it and enter its new digest",
        )
    return data


def _signed(by: str, on: date | None) -> Commissioning:
    return Commissioning(by.strip(), on.isoformat() if on else "")
