"""The comparison of one case: doses in, verdict and RTDOSE out."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.contours import read_contours, read_labels
from mqi_communicator.dicom.ct import position_of
from mqi_communicator.dicom.positions import settled
from mqi_communicator.dicom.records import CTVolume, Dose, DoseType, Extent, IonPlan
from mqi_communicator.dicom.rtdose import dose_facts, read_rtdose
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.dose.recipe import JOB, NOISE_SETTINGS, changes
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.comparison import KeptChecks, comparison_key
from mqi_communicator.flow.tasks.engine_input import (
    admitted,
    delivered_spots,
    first_slice,
    own_conventions,
    prepare_again,
    read_case,
    read_plan,
)
from mqi_communicator.flow.tasks.stored_dose import StoredDose, open_dose, recipe_digest
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.case_checks import case_cautions, reconstruction
from mqi_communicator.results.compare import judge, limits_of
from mqi_communicator.results.documents import VERDICT, VerdictDocument, as_json, verdict_document
from mqi_communicator.results.dose_type import convention_for
from mqi_communicator.results.extension import Extension, extension_for
from mqi_communicator.results.goals import Anatomy
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.results.sources import DoseSource, source
from mqi_communicator.results.sums import Sum, common_grid
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.system.durable import sync_folder, sync_tree


def judge_case(
    spool: Spool,
    tokens: Mapping[int, str],
    preparer: Preparer,
    judgement: JudgementOptions,
    conventions: Mapping[str, DoseConvention],
    basis: Basis,
    extension: Extension | None = None,
    constancy: str = "",
) -> tuple[str, str, dict[str, str]]:
    """Judge the case and write `results/` in one rename; return the verdict, its reason, and the files' digests.

    `extension`: the longer run that was declared for it; the verdict reports its outcome. `constancy`: the name of the
    constancy sample, "" for a patient's case.
    """
    engine = preparer.engine
    changed = changes(spool.made_with(), preparer)
    plan = read_plan(spool)
    prepared = read_case(spool).prepared(preparer) if changed else prepare_again(spool, preparer, plan)
    ct = prepared.patient_ct()
    plan = settled(plan, position_of(first_slice(spool)))
    delivered = delivered_spots(spool)
    conventions = own_conventions(delivered, plan, conventions)
    convention = convention_for(plan.manufacturer, conventions)
    computed = [open_dose(spool, number, token) for number, token in tokens.items()]
    case = engine.case(prepared.case)
    planned = _planned(spool, plan, convention, {} if delivered is None else delivered.noise)
    aside = [why for _name, why in load_manifest(spool.manifest).aside]
    reasons = changed or (*_of_another_recipe(spool, computed), *case.basis())
    cautions = (*case_cautions(plan, ct, planned, aside), *prepared.cautions, *case.cautions())
    if delivered is not None:
        reasons = (*reasons, *delivered.reasons, *_of_other_settings(delivered.recipe, spool.made_with()))
        cautions = (reconstruction(delivered.label, delivered.count, delivered.mu), *cautions)
    kept = KeptChecks(spool, comparison_key(spool, computed, judgement, conventions))
    verdict = judge(
        plan,
        planned,
        [one.dose for one in computed],
        judgement,
        conventions=conventions,
        basis=reasons,
        cautions=cautions,
        monte_carlo=delivered is not None,
        remembered=kept,
        anatomy=_anatomy(spool) if judgement.goals.structures else Anatomy((), {}),
    )
    if extension is not None:
        extension = extension_for(extension, verdict, limits_of(plan, judgement).uncertainty)
        verdict = replace(verdict, why="; ".join(filter(None, (verdict.why, extension.summary))))
    mark = f"constancy check {constancy}" if constancy else ""
    mark = verdict.why if verdict.outcome is CheckOutcome.NOT_JUDGED else mark
    origin = Origin(spool.root.name, "", engine.name, f"MQI Communicator {basis.version}", mark)
    try:
        document = verdict_document(
            spool.root.name, verdict, extension, constancy, fraction="" if delivered is None else delivered.label
        )
        digests = _write(spool, document, [_delivered(one, plan, convention) for one in computed], origin, ct)
    except OSError as error:
        raise DiskFull(f"the results cannot be written: {error.strerror}", "free space in paths.workspace") from None
    return verdict.outcome.value, verdict.why, digests


def _of_another_recipe(spool: Spool, computed: Sequence[StoredDose]) -> tuple[str, ...]:
    """Why a stored dose must not be judged as one of the recipe that is in the spool; empty if all are of it."""
    now = recipe_digest(spool)
    wrong = [str(one.dose.beam_number) for one in computed if one.recipe not in (None, now)]
    return (f"the kept dose of beam {', '.join(wrong)} was computed with another recipe",) if wrong else ()


def _of_other_settings(of_plan: Mapping[str, str], own: Mapping[str, str]) -> tuple[str, ...]:
    """Why the dose of a fraction must not be compared with that of the plan; empty if both were computed alike."""
    names = sorted({*of_plan, *own} - {*NOISE_SETTINGS, JOB})
    other = [name for name in names if of_plan.get(name) != own.get(name)]
    if not other:
        return ()
    return (f"the dose of the plan was computed with other settings ({', '.join(other)}): compute the plan again",)


def _anatomy(spool: Spool) -> Anatomy:
    """The contours and prescriptions of the case."""
    (plan,) = admitted(spool, Kind.PLAN)
    found = [one for file in admitted(spool, Kind.STRUCTURES) for one in read_contours(file)]
    return Anatomy(
        tuple((one.number, one.name, one.contours) for one in found),
        read_labels(plan).prescriptions,
    )


def _planned(
    spool: Spool, plan: IonPlan, convention: DoseConvention | None, noise: Mapping[int, float | None]
) -> list[DoseSource]:
    """The planned doses, which are read when they are compared, with the numbers that their beams have here.

    `noise`: by beam, the uncertainty of a dose that was computed here.
    """
    if convention is None:
        return []
    found = [_dose_source(file, plan, convention.dose_type) for file in admitted(spool, Kind.DOSE)]
    return [replace(one, uncertainty=noise.get(one.beam_number or 0)) for one in found]


def _dose_source(file: Path, plan: IonPlan, dose_type: DoseType) -> DoseSource:
    facts = dose_facts(file)
    number = number_in(plan, facts.beam_number)
    return DoseSource(facts.grid, dose_type, number, None, lambda: read_rtdose(file, dose_type))


def number_in(plan: IonPlan, own_number: int | None) -> int | None:
    """The number that a beam has here, by the plan's own BeamNumber; None, of the whole plan, for None.

    Permanent if the plan has no such beam.
    """
    if own_number is None:
        return None
    number = plan.number_of(own_number)
    if number is None:
        raise Permanent(f"a planned dose is of beam {own_number}, which is not a treatment beam of the plan")
    return number


@dataclass(frozen=True, slots=True)
class _Delivered:
    """A computed dose as it is delivered. Its values are converted when they are written."""

    stored: StoredDose
    number: int  # of the beam here
    dose: DoseSource  # with the plan's own BeamNumber, as a planning system reads it


def _delivered(stored: StoredDose, plan: IonPlan, convention: DoseConvention | None) -> _Delivered:
    """The dose as the dose type of the planned ones; without any, of the whole course, as in DICOM."""
    dose = stored.dose
    own = next(beam.own_number for beam in plan.beams if beam.number == dose.beam_number)
    target = convention.dose_type if convention else replace(dose.dose_type, extent=Extent.COURSE)
    rbe = convention.rbe_factor if convention else 1.0
    as_planned, _ = source(dose).converted(target, fractions=plan.fractions, rbe_factor=rbe)
    return _Delivered(stored, dose.beam_number or 0, replace(as_planned, beam_number=own))


def _write(
    spool: Spool, verdict: VerdictDocument, doses: Sequence[_Delivered], origin: Origin, ct: CTVolume
) -> dict[str, str]:
    """Write verdict and doses, beam by beam; return the digest of each file, taken from what was written."""
    aside = spool.root / "results.aside"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "dose").mkdir(parents=True)
    (plan,) = admitted(spool, Kind.PLAN)
    digests: dict[str, str] = {}

    def write(name: str, dose: Dose, token: str) -> None:
        written = write_rtdose(
            aside / name,
            dose,
            replace(origin, token=token),
            plan=plan,
            frame_of_reference_uid=ct.frame_of_reference_uid,
            whole=total.grid,
        )
        digests[name] = written.sha256

    types = [one.dose.dose_type for one in doses]
    total = Sum(common_grid([one.dose.grid for one in doses], types))
    for one in doses:
        dose = one.dose.read()
        write(f"dose/beam-{one.number}.dcm", dose, one.stored.token)
        total.add(dose)
    write("dose/plan.dcm", total.dose(types[0]), " ".join(one.stored.token for one in doses))
    text = as_json(verdict)
    (aside / VERDICT).write_bytes(text)
    digests[VERDICT] = hashlib.sha256(text).hexdigest()
    sync_tree(aside)
    shutil.rmtree(spool.results, ignore_errors=True)
    aside.rename(spool.results)
    sync_folder(spool.root)
    shutil.rmtree(spool.comparison, ignore_errors=True)
    return dict(sorted(digests.items()))
