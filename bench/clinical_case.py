"""A case of the size that clinics have, and a stand-in for the engine that copies its doses: CT of 512 x 512 x 240 and
four beams, the planned doses on a grid of 2.5 mm or on the CT's, the computed dose with a noise of 1 %."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from mqi_communicator.config import Config
from mqi_communicator.demo.phantom import BODY, TARGET_CENTRE, in_body
from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_images import add_ct, add_structures, dose_object
from mqi_communicator.demo.sample_kinds import uids_of
from mqi_communicator.demo.sample_plan import add_plan
from mqi_communicator.demo.truth import FRACTIONS, ISOCENTRE, MACHINE, STANDARD, Size
from mqi_communicator.dicom.records import Beam, Grid, Layer
from mqi_communicator.dose.mcsquare.coordinates import offset
from mqi_communicator.dose.mcsquare.output import delivered_protons
from mqi_communicator.dose.models import read_beam_models

CT = Grid((240, 512, 512), (-238.0, -390.0, -114.0), (0.9765625, 0.9765625, 1.25))
COARSE = Grid((112, 120, 120), (-136.75, -288.75, -102.0), (2.5, 2.5, 2.5))
UNCERTAINTY = 0.01
_GANTRY = (0.0, 90.0, 180.0, 270.0)
_TRAVEL = ((0.0, 1.0), (-1.0, 0.0), (0.0, -1.0), (1.0, 0.0))  # x and y of each beam's direction
_HALF = 40.0  # mm, of the cube that receives the dose
_SIGMA, _FALLOFF = 5.0, 3.0  # mm
_GY = 0.5  # of one beam and fraction
_STRAY = 0.002  # of the voxels of the body have dose of a single proton
_GY_PER_EV_PER_G = 1.602176634e-16
_LOG = f"""Initialization time: 1.0 s
 100.0 % (stat uncertainty: {100 * UNCERTAINTY:g} %)
Nbr primaries simulated: 1000000 (0 generated outside the geometry)
Total computation time: 10.0 s
"""


class ClinicalSize(Size):
    """Four opposed beams of 80 x 80 mm with 20 layers and 5780 spots each."""

    def beams(self) -> tuple[Beam, ...]:
        return tuple(_beam(number, gantry) for number, gantry in enumerate(_GANTRY, start=1))


def _size(grid: Grid) -> ClinicalSize:
    base = replace(STANDARD, name="clinical", ct=CT, computed=grid, margin=(0, 0, 0), bare=0)
    return ClinicalSize(*(getattr(base, name) for name in Size.__slots__))


def _beam(number: int, gantry: float) -> Beam:
    side = np.arange(-_HALF, _HALF + 1, 5.0)
    spots = np.array([(x, y) for y in side for x in side])
    layers = tuple(
        Layer(round(energy, 1), spots.copy(), np.full(len(spots), 0.01)) for energy in np.arange(150.0, 100.0, -2.5)
    )
    final = round(float(sum(layer.weights.sum() for layer in layers)), 4)
    return Beam(number, f"F{number}", MACHINE, gantry, 0.0, ISOCENTRE, 60.0, final, layers, snout_position=410.0)


def _slices(number: int, grid: Grid) -> Iterator[NDArray[np.float64]]:
    """Gy of one beam and fraction, slice by slice; zero outside the body."""
    z_axis, y_axis, x_axis = (axis - centre for axis, centre in zip(grid.axes(), reversed(TARGET_CENTRE), strict=True))
    across_x, along_y = _TRAVEL[number - 1]
    depth, side = (x_axis * across_x, y_axis) if across_x else (y_axis * along_y, x_axis)
    depth_dose = (0.6 + 0.4 / (1 + np.exp(-(depth + _HALF) / 3))) * 0.5 * (1 - erf((depth - _HALF) / _FALLOFF))
    field = np.outer(_profile(side), depth_dose) if across_x else np.outer(depth_dose, _profile(side))
    body = in_body(Grid((1, *grid.shape[1:]), grid.origin, grid.spacing))[0]
    plane = _GY * field * body
    for height in _profile(z_axis):
        yield plane * height


def _profile(mm: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = ((mm + edge) / (math.sqrt(2) * _SIGMA) for edge in (_HALF, -_HALF))
    return np.asarray(0.5 * (erf(low) - erf(high)))


def write_case(folder: Path, *, coarse: bool) -> None:
    """Write the DICOM files."""
    draft = Draft(_size(COARSE if coarse else CT), uids_of("clinical-coarse" if coarse else "clinical", "clinical", 1))
    add_ct(draft)
    add_structures(draft)
    add_plan(draft)
    folder.mkdir(parents=True)
    for name, made in draft.files.items():
        (folder / name).write_bytes(encode(made))
    grid = draft.size.dose_grid
    total = np.zeros(grid.shape)
    for beam in draft.size.beams():
        gy = FRACTIONS * np.stack(list(_slices(beam.number, grid)))
        total += gy
        (folder / f"RD.beam{beam.number}.dcm").write_bytes(encode(dose_object(draft, gy, beam.number)))
    (folder / "RD.plan.dcm").write_bytes(encode(dose_object(draft, total, None)))


def install_engine(home: Path, engine: Path, hold: Path) -> None:
    """A folder like the fetched engine's whose program copies the planted dose of its beam. The last that starts waits
    until the file `hold` is removed."""
    home.mkdir()
    for path in engine.iterdir():
        if path.name != "MCsquare_linux":
            (home / path.name).symlink_to(path)
    program = home / "MCsquare_linux"
    program.write_text(
        "#!/bin/sh\nset -e\nbeam=${1%/*} beam=${beam##*-}\n"
        f'cp "{home}/planted/$beam/Dose.mhd" "{home}/planted/$beam/Dose.raw" Outputs/\n'
        f'touch "{home}/started-$beam"\n'
        f'while [ "$(ls "{home}" | grep -c ^started-)" = {len(_GANTRY)} ] && [ -e "{hold}" ]; do sleep 0.1; done\n'
        f'cat "{home}/planted/log"\n'
    )
    program.chmod(0o755)


def plant_doses(home: Path, config: Config, factor: float) -> None:
    """What the engine of this configuration computes: `factor` times the planned dose, with noise."""
    models: Any = read_beam_models(config.machines)
    for beam in _size(CT).beams():
        folder = home / "planted" / str(beam.number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "Dose.mhd").write_text(_header())
        scale = factor / (delivered_protons(beam, models[MACHINE]) * _GY_PER_EV_PER_G)
        chance = np.random.default_rng(beam.number)
        with (folder / "Dose.raw").open("wb") as file:
            for plane in _slices(beam.number, CT):
                file.write((scale * _noisy(plane, chance))[::-1, ::-1].astype("<f4").tobytes())
    (home / "planted" / "log").write_text(_LOG)


def _noisy(plane: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    rough = UNCERTAINTY * np.sqrt(plane * _GY) * chance.standard_normal(plane.shape)
    body = in_body(Grid((1, *CT.shape[1:]), CT.origin, CT.spacing))[0]
    stray = body & (chance.random(plane.shape) < _STRAY)
    return np.maximum(plane + rough, 0) + np.where(stray, 0.005 * _GY * chance.random(plane.shape), 0)


def _header() -> str:
    rows = {
        "NDims": 3,
        "DimSize": " ".join(str(count) for count in reversed(CT.shape)),
        "ElementType": "MET_FLOAT",
        "ElementByteOrderMSB": "False",
        "ElementSpacing": " ".join(f"{step:.6f}" for step in CT.spacing),
        "Offset": " ".join(f"{mm:.6f}" for mm in offset(CT)),
        "ElementDataFile": "Dose.raw",
    }
    return "".join(f"{key} = {value}\n" for key, value in rows.items())


assert abs(BODY.centre[0] - 12.0) < 1
