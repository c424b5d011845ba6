"""The text and bytes that the engine reads. Nothing in them names a patient, a plan or a beam."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import Beam, CTVolume, Grid, Layer, Medium
from mqi_communicator.dose.mcsquare import coordinates
from mqi_communicator.dose.mcsquare.numbers import number, numbers
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.mcsquare.range_shifters import Field, SentShifter, field_lines, fields_of, point_lines
from mqi_communicator.dose.mcsquare.shifter_log import expected_lines

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INPUT = "../../input"  # relative to a run folder; the engine fails on absolute paths with a space


def ct_files(ct: CTVolume) -> dict[str, bytes]:
    """The CT as MetaImage: HU as little-endian float32 in the engine's order."""
    header = [
        "ObjectType = Image",
        "NDims = 3",
        "DimSize = " + " ".join(str(n) for n in reversed(ct.grid.shape)),
        "ElementSpacing = " + numbers(ct.grid.spacing),
        "Offset = " + numbers(coordinates.offset(ct.grid)),
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
        "Stat_uncertainty": 0.0 if target is None else number(100 * target),
        "Max_Num_Primaries": 0 if target is None else options.max_histories_per_beam,
        "Dose_MHD_Output": "True",
        "Dose_to_Water_conversion": "OnlineSPR" if options.dose_to is Medium.WATER else "Disabled",
    }
    return _lines([f"{key} {value}" for key, value in rows.items()])


def plan_file(beam: Beam, grid: Grid) -> bytes:
    """A beam as one field for each range shifter in it and one for its open layers; weights are MU per fraction.

    Spots of zero weight are omitted.
    """
    fields = fields_of(beam)
    totals = [_mu(beam, field.layers) for field in fields]
    lines = ["#TREATMENT-PLAN-DESCRIPTION", "#PlanName", "plan", "#NumberOfFractions", "1", "##FractionID", "1"]
    lines += ["##NumberOfFields", str(len(fields))]
    for field in fields:
        lines += ["###FieldsID", str(field.index + 1)]
    lines += ["#TotalMetersetWeightOfAllFields", number(sum(totals)), ""]
    for field, total in zip(fields, totals, strict=True):
        lines += _field_head(beam, grid, field, total)
        lines += _point_lines(beam, field)
    return _lines(lines)


def expected_file(grid: Grid, shifters: Mapping[int, Sequence[SentShifter]]) -> bytes:
    """The lines that each job adds to its log, so that a dose of another size, or one without a range shifter, is
    refused at once. `shifters`: by beam number."""
    nz, ny, nx = grid.shape
    lines = [line for beam, own in shifters.items() for line in expected_lines(beam, own)]
    return _lines([f"Expected dose size: {4 * nx * ny * nz} bytes", *lines])


def _field_head(beam: Beam, grid: Grid, field: Field, total: float) -> list[str]:
    """Always one fraction: the engine's dose does not depend on it, and the reported dose is per fraction."""
    lines = ["#FIELD-DESCRIPTION", "###FieldID", str(field.index + 1)]
    lines += ["###FinalCumulativeMeterSetWeight", number(total)]
    lines += ["###GantryAngle", number(beam.gantry_angle), "###PatientSupportAngle", number(beam.couch_angle)]
    lines += ["###IsocenterPosition", numbers(coordinates.isocenter(grid, beam.isocenter)), *field_lines(field)]
    return [*lines, "###NumberOfControlPoints", str(len(field.layers)), "", "#SPOTS-DESCRIPTION"]


def _point_lines(beam: Beam, field: Field) -> list[str]:
    lines: list[str] = []
    cumulative = 0.0
    for index, layer in enumerate(field.layers, start=1):
        mu = layer.weights * beam.mu_per_weight
        cumulative += float(mu.sum())
        used = mu > 0
        lines += ["####ControlPointIndex", str(index), "####SpotTunnedID", "1"]
        lines += ["####CumulativeMetersetWeight", number(cumulative), "####Energy (MeV)", number(layer.energy)]
        lines += point_lines(field.shifter)
        lines += ["####NbOfScannedSpots", str(int(used.sum())), "####X Y Weight"]
        lines += _spot_lines(layer.spots[used], mu[used])
    return lines


def _mu(beam: Beam, layers: Sequence[Layer]) -> float:
    return float(sum((layer.weights * beam.mu_per_weight).sum() for layer in layers))


def _spot_lines(spots: NDArray[np.float64], mu: NDArray[np.float64]) -> list[str]:
    return [f"{number(x)} {number(y)} {number(w)}" for (x, y), w in zip(spots.tolist(), mu.tolist(), strict=True)]


def _lines(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode("ascii")
