"""Reads the folder of one delivery into the records that treatment records become too."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.recorded import (
    CONTINUATION,
    NORMAL,
    TREATMENT,
    RecordedBeam,
    RecordedDelivery,
    RecordedLayer,
)
from mqi_communicator.treatment.join import COUNTS
from mqi_communicator.treatment.sumitomo.folder import (
    PLAN_INFO,
    PLAN_RANGE,
    Digests,
    LayerFiles,
    PlanInfo,
    Report,
    read_plan_info,
    read_plan_range,
)
from mqi_communicator.treatment.sumitomo.layer_files import (
    LOG_ROW,
    MAP_ROW,
    pieces_of,
    planned_map,
    read_rows,
    samples_of,
)
from mqi_communicator.treatment.sumitomo.monitors import wrong_part, wrong_ratio

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, IonPlan
    from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

_ADVICE = "Copy the folder of this delivery again; if it is the same, ask the vendor of the machine."
_CALIBRATE = "Commission the calibration of this machine's logs, and give the configuration with --config."


def is_delivery(folder: Path) -> bool:
    """Whether a folder is that of a delivery, be it incomplete."""
    return any((folder / name).is_file() for name in (PLAN_INFO, PLAN_RANGE))


def read_folder(
    folder: Path, plan: IonPlan, calibrations: Mapping[str, SumitomoOptions]
) -> tuple[RecordedDelivery | None, tuple[Problem, ...]]:
    """Read the logs of one delivery. `calibrations`: by TreatmentMachineName. With problems it must not be judged."""
    problems: list[Problem] = []
    source = printable(folder.name)

    def report(code: str, found: str, advice: str = _ADVICE) -> None:
        problems.append(Problem(code, source, found, advice=advice))

    digests: Digests = {}
    info, rows = read_plan_info(folder, report, digests), read_plan_range(folder, report, digests)
    if info is None:
        return None, tuple(problems)
    _check_info(info, rows, folder, plan, report)
    beam = next((one for one in plan.beams if one.own_number == info.beam), None)
    options = None if beam is None else calibrations.get(beam.machine)
    if beam is None:
        report("log.plan", f"DICOM_BEAM_NUMBER is {info.beam}, and the plan has no such treatment beam")
    elif options is None:
        name = printable(beam.machine)
        report("log.calibration", f"machine {name} has no calibration of its logs (machines.{name}.logs)", _CALIBRATE)
    if beam is None or options is None:
        return None, tuple(problems)
    found = [_layer(folder, row, options, report, digests) for row in rows]
    ratios = {row.number: one[0] for row, one in zip(rows, found, strict=True) if one is not None}
    if ratios and (wrong := wrong_ratio(ratios, options.monitors_percent)):
        report("log.monitors", wrong)
    recorded = _beam(info, beam, tuple(one[1] for one in found if one is not None))
    return RecordedDelivery(
        uid=f"{plan.sop_instance_uid} {info.beam} {info.started}",
        digest=_digest(digests),
        source=source,
        plan_uid=plan.sop_instance_uid,
        machine="",
        started=info.started,
        beams=(recorded,),
        patient_id=info.patient_id,
        not_to_judge=_not_to_judge(beam, options),
    ), tuple(problems)


def _not_to_judge(beam: Beam, options: SumitomoOptions) -> tuple[str, ...]:
    if options.commissioned:
        return ()
    name = printable(beam.machine)
    reason = f"the calibration of the logs of machine {name} has no commissioned_by and commissioned_on"
    return (f"{reason}: commission it, and enter both under machines.{name}.logs",)


def _check_info(info: PlanInfo, rows: tuple[LayerFiles, ...], folder: Path, plan: IonPlan, report: Report) -> None:
    if info.study_uid != plan.study_uid:
        report("log.plan", "DICOM_STUDY_INS_UID is another study (0020,000D) than that of the plan")
    if folder.name.isdigit() and folder.name != info.started:
        report("log.plan_info", "TCSC_IRRAD_DATETIME differs from the name of the folder")
    numbers = [row.number for row in rows]
    if rows and numbers != list(range(info.first, info.last + 1)):
        report(
            "log.layers",
            f"{PLAN_RANGE} has {len(rows)} layers, expected each of {info.first} to {info.last} once ({PLAN_INFO})",
        )


def _beam(info: PlanInfo, planned: Beam, layers: tuple[RecordedLayer, ...]) -> RecordedBeam:
    """Interruptions are not recorded: they follow from the layers, and within the first and the last one from the MU.

    A delivery that ends before the last layer of the plan, or in it, was interrupted; one that begins after the first
    layer, or in it, is the continuation of another.
    """
    short = [index for index in (0, -1) if _is_part(layers, planned, index)]
    resumed = info.first > 1 or (0 in short and info.last > info.first)
    ended = info.last >= len(planned.layers) and (-1 not in short or info.first == info.last > 1)
    return RecordedBeam(
        number=info.beam,
        fraction=None,
        kind=CONTINUATION if resumed else TREATMENT,
        termination=NORMAL if ended else "UNKNOWN",
        layers=layers,
    )


def _is_part(layers: tuple[RecordedLayer, ...], planned: Beam, index: int) -> bool:
    """Whether the first or last layer of the plan, at `index`, has too few MU to be complete."""
    wanted = float(planned.layers[index].weights.sum()) * planned.mu_per_weight
    return bool(layers) and float(layers[index].mu.sum()) < (1 - COUNTS) * wanted


def _layer(
    folder: Path, row: LayerFiles, options: SumitomoOptions, report: Report, digests: Digests
) -> tuple[float, RecordedLayer] | None:
    """The ratio of the monitors, and the layer; None, and what is wrong, if it cannot be used."""
    factors = [options.range_factors.get(code) for code in row.ranges]
    if None in factors:
        codes = ", ".join(str(code) for code in sorted(options.range_factors))
        code = row.ranges[factors.index(None)]
        report("log.range", f"layer {row.number}: the code of the dose range is {code}, expected one of {codes}")
        return None
    log = read_rows(folder / row.log, LOG_ROW, report, digests)
    given = read_rows(folder / row.planned, MAP_ROW, report, digests)
    if log is None or given is None:
        return None
    steps = (float(factors[0] or 0), float(factors[1] or 0))
    samples = samples_of(log, steps, options, row.log, report)
    if samples is None:
        return None
    if wrong := wrong_part(samples, steps, options):
        report("log.monitors", f"layer {row.number}: {wrong}")
    positions, counts, paintings = pieces_of(samples)
    return float(samples.second.sum() / samples.counts.sum()), RecordedLayer(
        energy=row.energy,
        positions=positions,
        mu=counts / options.counts_per_mu,
        indices=None,
        in_order=True,
        size=samples.size,
        paintings=paintings,
        given=planned_map(given, options),
    )


def _digest(digests: Digests) -> str:
    """Of all files that were read, by name; without problems, of the whole delivery."""
    together = hashlib.sha256()
    for name in sorted(digests):
        together.update(f"{name}\0".encode("utf-8", "surrogateescape") + digests[name])
    return together.hexdigest()
