"""A small plan on a small CT, and a moqui that knows their machine and scanner: for tests without a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mqi_communicator.dicom.records import Beam, CTVolume, Grid, IonPlan, Layer
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.moqui.basis import BuiltIn, Calibration, Machine
from mqi_communicator.dose.moqui.beamfile import BeamFile, parse_beam_file
from mqi_communicator.dose.moqui.engine import Moqui
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.moqui.setup import Setup
from tests.standin.site import BEAM_FILE

SIGNED = Commissioning("Physics", "2026-01-31")
SCANNER = "Maker|Model|Room"
GRID = Grid((4, 3, 5), (-10.0, 20.0, -30.0), (2.0, 2.0, 3.0))


def layer(energy: float = 150.0, weights=(1.0, 3.0), spots=((1.0, 2.0), (-3.0, 4.5))) -> Layer:
    return Layer(energy, np.array(spots, dtype=float), np.array(weights, dtype=float))


def beam(**changes: Any) -> Beam:
    layers = (layer(), layer(100.0, (1.0, 0.0)))
    whole = Beam(3, "canary", "G1", 90.0, 10.0, (-6.0, 22.0, -25.0), 50.0, 5.0, layers, 410.0)
    return replace(whole, **changes)


def plan(*beams: Beam) -> IonPlan:
    return IonPlan("1.2.3", "FRAME", "1.2.4", "canary", "canary", 30, beams or (beam(),))


def volume(grid: Grid = GRID, **changes: Any) -> CTVolume:
    hu = np.arange(grid.shape[0] * grid.shape[1] * grid.shape[2], dtype=np.float32).reshape(grid.shape) - 900
    return replace(CTVolume(grid, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER), **changes)


def beam_file(**changes: Any) -> BeamFile:
    return replace(parse_beam_file(BEAM_FILE, SIGNED), **changes)


def machine(flavour: str = "upstream", **changes: Any) -> Machine:
    if flavour == "upstream":
        return replace(Machine(beam_file(), SIGNED), **changes)
    return replace(Machine(BuiltIn(70.0, 230.0), SIGNED, "G2", 2, 1e8, 4.67e7, 2.0), **changes)


def options(**changes: Any) -> MoquiOptions:
    return MoquiOptions(kind="moqui", program="/opt/moqui/tps_env", **changes)


def moqui(machines: dict[str, Machine] | None = None, calibrations=None, **changes: Any) -> Moqui:
    known = moqui_setup(machines, calibrations, **changes)
    return Moqui(known.options, known.machines, known.calibrations)


def moqui_setup(machines: dict[str, Machine] | None = None, calibrations=None, **changes: Any) -> Setup:
    chosen = options(**changes)
    name = chosen.flavour if chosen.flavour in ("upstream", "fork", "clinic") else "upstream"
    return Setup(
        chosen,
        {"G1": machine(name)} if machines is None else machines,
        {SCANNER: Calibration("default", SIGNED)} if calibrations is None else calibrations,
    )


def lines_of(text: bytes) -> dict[str, str]:
    """An input file as a dictionary."""
    return dict(line.split(" ", 1) for line in text.decode().splitlines())
