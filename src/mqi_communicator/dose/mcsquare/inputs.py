"""The text and bytes that the engine reads. Nothing in them names a patient, a plan or a beam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Beam, CTVolume, Grid, Medium
from mqi_communicator.dose.mcsquare import coordinates
from mqi_communicator.dose.mcsquare.options import MCsquareOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INPUT = "../../input"  # relative to a run folder; the engine fails on absolute paths with a space


def ct_files(ct: CTVolume) -> dict[str, bytes]:
    """The CT as MetaImage: HU as little-endian float32 in the engine's order."""
    header = [
        "ObjectType = Image",
        "NDims = 3",
        "DimSize = " + " ".join(str(n) for n in reversed(ct.grid.shape)),
        "ElementSpacing = " + _floats(ct.grid.spacing),
        "Offset = " + _floats(coordinates.offset(ct.grid)),
        "ElementType = MET_FLOAT",
        "ElementByteOrderMSB = False",
        "ElementDataFile = CT.raw",
    ]
    return {"CT.mhd": _lines(header), "CT.raw": np.ascontiguousarray(coordinates.turned(ct.hu), dtype="<f4").tobytes()}


def config_file(options: MCsquareOptions, beam: Beam, model_file: str) -> bytes:
    """The run's configuration. The engine ignores an unknown key with a warning and uses its default."""
    target = options.target_uncertainty
    rows: dict[str, object] = {
        "Num_Threads": options.threads,
        "RNG_Seed": options.seed,
        "Num_Primaries": options.histories_per_beam,
        "CT_File": f"{_INPUT}/common/CT.mhd",
        "HU_Density_Conversion_File": f"{_INPUT}/common/HU_Density.txt",
        "HU_Material_Conversion_File": f"{_INPUT}/common/HU_Material.txt",
        "BDL_Machine_Parameter_File": f"{_INPUT}/common/{model_file}",
        "BDL_Plan_File": f"{_INPUT}/beam-{beam.number}/plan.txt",
        "Output_Directory": "Outputs",
        "Compute_stat_uncertainty": "True",
        "Stat_uncertainty": 0.0 if target is None else _number(100 * target),
        "Max_Num_Primaries": 0 if target is None else options.max_histories_per_beam,
        "Dose_MHD_Output": "True",
        "Dose_to_Water_conversion": "OnlineSPR" if options.dose_to is Medium.WATER else "Disabled",
    }
    return _lines([f"{key} {value}" for key, value in rows.items()])


def plan_file(beam: Beam, grid: Grid) -> bytes:
    """One field, its spots' weights in MU per fraction. Spots of zero weight are omitted."""
    weights = [layer.weights * beam.mu_per_weight for layer in beam.layers]
    total = float(sum(mu.sum() for mu in weights))
    lines = _plan_head(beam, grid, total)
    cumulative = 0.0
    for index, (layer, mu) in enumerate(zip(beam.layers, weights, strict=True), start=1):
        cumulative += float(mu.sum())
        used = mu > 0
        lines += ["####ControlPointIndex", str(index), "####SpotTunnedID", "1"]
        lines += ["####CumulativeMetersetWeight", _number(cumulative), "####Energy (MeV)", _number(layer.energy)]
        lines += ["####NbOfScannedSpots", str(int(used.sum())), "####X Y Weight"]
        lines += _spot_lines(layer.spots[used], mu[used])
    return _lines(lines)


def expected_file(grid: Grid) -> bytes:
    """The line that the job adds to its log, so that a dose of another size is refused at once."""
    nz, ny, nx = grid.shape
    return f"Expected dose size: {4 * nx * ny * nz} bytes\n".encode()


def _plan_head(beam: Beam, grid: Grid, total: float) -> list[str]:
    """Always one fraction: the engine's dose does not depend on it, and the reported dose is per fraction."""
    lines = ["#TREATMENT-PLAN-DESCRIPTION", "#PlanName", "plan", "#NumberOfFractions", "1", "##FractionID", "1"]
    lines += ["##NumberOfFields", "1", "###FieldsID", "1", "#TotalMetersetWeightOfAllFields", _number(total), ""]
    lines += ["#FIELD-DESCRIPTION", "###FieldID", "1", "###FinalCumulativeMeterSetWeight", _number(total)]
    lines += ["###GantryAngle", _number(beam.gantry_angle), "###PatientSupportAngle", _number(beam.couch_angle)]
    lines += ["###IsocenterPosition", _floats(coordinates.isocenter(grid, beam.isocenter))]
    return [*lines, "###NumberOfControlPoints", str(len(beam.layers)), "", "#SPOTS-DESCRIPTION"]


def _spot_lines(spots: NDArray[np.float64], mu: NDArray[np.float64]) -> list[str]:
    return [f"{_number(x)} {_number(y)} {_number(w)}" for (x, y), w in zip(spots.tolist(), mu.tolist(), strict=True)]


def _floats(values: tuple[float, ...]) -> str:
    return " ".join(_number(value) for value in values)


def _number(value: float) -> str:
    """Nine significant digits without an exponent: small weights must not be rounded away."""
    text = f"{value:.9g}"
    return f"{value:.15f}" if "e" in text else text


def _lines(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("ascii")
