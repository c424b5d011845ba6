"""Runs MCsquare on the ground truth to compute the planned dose of the samples.

This writer is deliberately independent of the product's: it reads no DICOM and shares no code with it, so a wrong
axis in either shows as a failed sample. MCsquare's conventions, found with single off-axis spots in a box of
water: it ignores the image offset and measures positions from the image's edge; along x its images run from the
patient's left to right and along y from back to front, while its plan counts x towards the left and y towards the
front; z runs to the head in both; gantry, couch and spot positions are those of IEC 61217. It samples protons by
weight x protons per MU and writes eV/g per proton, dose to medium.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.demo.phantom import Beside, hounsfield, in_body
from mqi_communicator.dicom.records import Beam, Grid, Layer, LayerKind, ShifterSetting

if TYPE_CHECKING:
    from numpy.typing import NDArray

BEAM_MODEL = "BDL/BDL_default_DN_RangeShifter.txt"
DENSITY_CURVE = "Scanners/UCL_Toshiba/HU_Density_Conversion.txt"
MATERIAL_CURVE = "Scanners/UCL_Toshiba/HU_Material_Conversion.txt"
_GY_PER_EV_PER_G = 1.602176634e-16
_PIECE = 1.0  # mm: lines are cut into spots so far apart at most
_END_MARK = re.compile(r"Total computation time: ([\d.]+) s")
_OUTSIDE = re.compile(r"\((\d+) generated outside the geometry\)")  # not printed where there is none


@dataclass(frozen=True, slots=True)
class Run:
    """One computed beam: Gy of one fraction on the given grid, zero outside the body."""

    gy: NDArray[np.float64]
    uncertainty: float  # relative, 1 sigma, mean where the dose is at least half its maximum
    histories: int
    outside: int  # of them, those that missed the image
    seconds: float


def compute(
    engine: Path,
    grid: Grid,
    beam: Beam,
    folder: Path,
    *,
    histories: int,
    seed: int,
    threads: int,
    beside: tuple[Beside, ...] = (),
) -> Run:
    """Compute one beam's dose in the phantom, per fraction, with an unpacked engine folder.

    RuntimeError with the end of the engine's output if it does not finish; its exit code is meaningless.
    """
    (folder / "Outputs").mkdir(parents=True)
    hounsfield(grid, beside)[:, ::-1, ::-1].astype("<f4").tofile(folder / "ct.raw")
    _write_input(engine, grid, beam, folder, histories=histories, seed=seed, threads=threads)
    output = subprocess.run(
        [str(engine.resolve() / "MCsquare_linux"), "config.txt"],
        cwd=folder,
        env={**os.environ, "MCsquare_Materials_Dir": str(engine.resolve() / "Materials")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ended = _END_MARK.search(output)
    percents = re.findall(r"stat uncertainty: ([\d.]+) %", output)
    if not ended or not percents:
        raise RuntimeError(f"MCsquare did not finish: {output[-500:]}")
    raw = np.fromfile(folder / "Outputs" / "Dose.raw", dtype="<f4").reshape(grid.shape)
    gy = raw[:, ::-1, ::-1].astype(np.float64) * _GY_PER_EV_PER_G * protons(engine, beam)
    if not np.isfinite(gy).all() or gy.max() <= 0.0:
        raise RuntimeError("MCsquare wrote a dose that is zero or not finite")
    missed = _OUTSIDE.search(output)
    outside = int(missed[1]) if missed else 0
    return Run(np.where(in_body(grid), gy, 0.0), float(percents[-1]) / 100.0, histories, outside, float(ended[1]))


def protons(engine: Path, beam: Beam) -> float:
    """Return the protons of one fraction: each spot's MU times the beam model's protons per MU at its energy."""
    rows = [line.split() for line in _text(engine / BEAM_MODEL).splitlines()]
    table = np.array([[float(row[0]), float(row[3])] for row in rows if len(row) > 10 and row[0][0].isdigit()])  # noqa: PLR2004
    per_mu = [float(np.interp(layer.energy, table[:, 0], table[:, 1])) for layer in beam.layers]
    weights = [float(layer.weights.sum()) for layer in beam.layers]
    return beam.mu_per_weight * sum(w * p for w, p in zip(weights, per_mu, strict=True))


def _text(path: Path) -> str:
    """Read a shipped table with LF line ends; with CRLF every proton would start outside the image."""
    return path.read_text(encoding="utf-8").replace("\r\n", "\n")


def _write_input(
    engine: Path, grid: Grid, beam: Beam, folder: Path, *, histories: int, seed: int, threads: int
) -> None:
    for name, source in (("bdl.txt", BEAM_MODEL), ("density.txt", DENSITY_CURVE), ("material.txt", MATERIAL_CURVE)):
        (folder / name).write_text(_text(engine / source), encoding="utf-8", newline="\n")
    for shifter in {shifter for layer in beam.layers for shifter in layer.shifters}:
        (folder / "bdl.txt").write_text(_with_shifter(_text(engine / BEAM_MODEL), shifter), encoding="utf-8")
    (folder / "ct.mhd").write_text("\n".join(_image_header(grid)) + "\n", encoding="utf-8")
    (folder / "plan.txt").write_text("\n".join(_plan_lines(grid, beam)) + "\n", encoding="utf-8")
    config = {
        "Num_Threads": threads,
        "RNG_Seed": seed,
        "Num_Primaries": histories,
        "CT_File": "ct.mhd",
        "HU_Density_Conversion_File": "density.txt",
        "HU_Material_Conversion_File": "material.txt",
        "BDL_Machine_Parameter_File": "bdl.txt",
        "BDL_Plan_File": "plan.txt",
        "Output_Directory": "Outputs",
        "Compute_stat_uncertainty": "True",
        "Stat_uncertainty": 0.0,
        "Dose_MHD_Output": "True",
    }
    (folder / "config.txt").write_text("".join(f"{k} {v}\n" for k, v in config.items()), encoding="utf-8")


def _image_header(grid: Grid) -> Iterator[str]:
    nz, ny, nx = grid.shape
    yield from ("ObjectType = Image", "NDims = 3", f"DimSize = {nx} {ny} {nz}")
    yield f"ElementSpacing = {' '.join(str(mm) for mm in grid.spacing)}"
    yield from ("Offset = 0 0 0", "ElementType = MET_FLOAT", "ElementByteOrderMSB = False", "ElementDataFile = ct.raw")


def _isocentre(grid: Grid, beam: Beam) -> tuple[float, float, float]:
    """The isocentre from the image's edge: x from the patient's right, y from the back, z from the feet."""
    (_, ny, _), (dx, dy, dz) = grid.shape, grid.spacing
    from_edge = [p - o + d / 2 for p, o, d in zip(beam.isocenter, grid.origin, (dx, dy, dz), strict=True)]
    return from_edge[0], ny * dy - from_edge[1], from_edge[2]


def _with_shifter(model: str, shifter: ShifterSetting) -> str:
    """The beam model with this range shifter, of PMMA, in place of its own."""
    head, _, rest = model.partition("Range Shifter parameters")
    _, _, beams = rest.partition("Beam parameters")
    block = f"RS_ID = {shifter.id}\nRS_type = binary\nRS_material = 64\nRS_density = 1.19\nRS_WET = {shifter.wet}\n"
    return f"{head}Range Shifter parameters\n{block}\nBeam parameters{beams}"


def _plan_lines(grid: Grid, beam: Beam) -> Iterator[str]:
    """Yield the plan in MCsquare's format, weights in MU of one fraction."""
    mu = beam.meterset
    yield from ("#TREATMENT-PLAN-DESCRIPTION", "#PlanName", "sample", "#NumberOfFractions", "1", "##FractionID", "1")
    yield from ("##NumberOfFields", "1", "###FieldsID", "1", "#TotalMetersetWeightOfAllFields", f"{mu:.6f}", "")
    yield from ("#FIELD-DESCRIPTION", "###FieldID", "1", "###FinalCumulativeMeterSetWeight", f"{mu:.6f}")
    yield from ("###GantryAngle", str(beam.gantry_angle), "###PatientSupportAngle", str(beam.couch_angle))
    yield from ("###IsocenterPosition", "\t".join(f"{mm:.4f}" for mm in _isocentre(grid, beam)))
    used = {shifter.id for layer in beam.layers for shifter in layer.shifters}
    for shifter_id in used:
        yield from ("###RangeShifterID", shifter_id, "###RangeShifterType", "binary")
    yield from ("###NumberOfControlPoints", str(len(beam.layers)), "", "#SPOTS-DESCRIPTION")
    delivered = 0.0
    for index, layer in enumerate(beam.layers, start=1):
        weights = layer.weights * beam.mu_per_weight
        delivered += float(weights.sum())
        yield from ("####ControlPointIndex", str(index), "####SpotTunnedID", "1")
        yield from ("####CumulativeMetersetWeight", f"{delivered:.6f}", "####Energy (MeV)", str(layer.energy))
        for shifter in layer.shifters:
            yield from ("####RangeShifterSetting", "IN")
            yield from ("####IsocenterToRangeShifterDistance", str(shifter.distance))
            yield from ("####RangeShifterWaterEquivalentThickness", str(shifter.wet))
        spots = list(_delivered(layer, weights))
        yield from ("####NbOfScannedSpots", str(len(spots)), "####X Y Weight")
        yield from (f"{x} {y} {w:.8f}" for x, y, w in spots)


def _delivered(layer: Layer, weights: NDArray[np.float64]) -> Iterator[tuple[float, float, float]]:
    """Yield where which part of a layer's weights is delivered: at its spots, or evenly on the way to each."""
    for index, ((x, y), weight) in enumerate(zip(layer.spots, weights, strict=True)):
        if layer.kind is LayerKind.SPOTS:
            yield x, y, weight
        elif weight > 0.0:
            from_x, from_y = layer.spots[index - 1]
            parts = math.ceil(math.hypot(x - from_x, y - from_y) / _PIECE)
            for part in range(parts):
                way = (part + 0.5) / parts
                yield from_x + way * (x - from_x), from_y + way * (y - from_y), weight / parts
