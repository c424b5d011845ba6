"""The comparison of one case: doses in, verdict and RTDOSE out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.positions import settled
from mqi_communicator.dicom.records import CTVolume, Dose, Extent, IonPlan
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.dose.recipe import changes
from mqi_communicator.flow.basis import Basis
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.beam import load_beam_dose
from mqi_communicator.flow.tasks.digests import digests_of
from mqi_communicator.flow.tasks.engine_input import admitted, read_case
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.case_checks import case_cautions
from mqi_communicator.results.compare import judge, limits_of
from mqi_communicator.results.documents import VERDICT, VerdictDocument, as_json, verdict_document
from mqi_communicator.results.dose_type import convention_for, converted
from mqi_communicator.results.extension import Extension, extension_for
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.results.sums import summed
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
    admitted_case = read_case(spool)
    ct, engine = admitted_case.ct, preparer.engine
    plan = settled(admitted_case.plan, ct.position)
    prepared = admitted_case.prepared(preparer)
    convention = convention_for(plan.manufacturer, conventions)
    computed = [load_beam_dose(spool, number, token) for number, token in tokens.items()]
    case = engine.case(prepared.case)
    reasons = changes(spool.made_with(), preparer) or case.basis()
    planned = _planned(spool, plan, convention)
    aside = [why for _name, why in load_manifest(spool.manifest).aside]
    verdict = judge(
        plan,
        planned,
        computed,
        judgement,
        conventions=conventions,
        basis=reasons,
        cautions=(*case_cautions(plan, ct, planned, aside), *prepared.cautions, *case.cautions()),
    )
    if extension is not None:
        extension = extension_for(extension, verdict, limits_of(plan, judgement).uncertainty)
        verdict = replace(verdict, why="; ".join(filter(None, (verdict.why, extension.summary))))
    mark = f"constancy check {constancy}" if constancy else ""
    mark = verdict.why if verdict.outcome is CheckOutcome.NOT_JUDGED else mark
    origin = Origin(spool.root.name, "", engine.name, f"MQI Communicator {basis.version}", mark)
    try:
        document = verdict_document(spool.root.name, verdict, extension, constancy)
        named = [_with_own_number(dose, plan) for dose in _as_planned(computed, plan, convention)]
        digests = _write(spool, document, named, tokens, origin, ct)
    except OSError as error:
        raise DiskFull(f"the results cannot be written: {error.strerror}", "free space in paths.workspace") from None
    return verdict.outcome.value, verdict.why, digests


def _planned(spool: Spool, plan: IonPlan, convention: DoseConvention | None) -> list[Dose]:
    if convention is None:
        return []
    return [of_plan(read_rtdose(file, convention.dose_type), plan) for file in admitted(spool, Kind.DOSE)]


def of_plan(dose: Dose, plan: IonPlan) -> Dose:
    """A planned dose, which has the plan's own BeamNumber, with the number that its beam has here.

    Permanent if the plan has no such beam.
    """
    if dose.beam_number is None:
        return dose
    number = plan.number_of(dose.beam_number)
    if number is None:
        raise Permanent(f"a planned dose is of beam {dose.beam_number}, which is not a treatment beam of the plan")
    return replace(dose, beam_number=number)


def _with_own_number(dose: Dose, plan: IonPlan) -> Dose:
    """A computed dose with the plan's own BeamNumber, as a planning system reads it."""
    return replace(dose, beam_number=next(beam.own_number for beam in plan.beams if beam.number == dose.beam_number))


def _as_planned(computed: Sequence[Dose], plan: IonPlan, convention: DoseConvention | None) -> list[Dose]:
    """The computed doses as the dose type of the planned ones; without any, of the whole course, as in DICOM."""
    rbe = convention.rbe_factor if convention else 1.0
    return [
        converted(
            dose,
            convention.dose_type if convention else replace(dose.dose_type, extent=Extent.COURSE),
            fractions=plan.fractions,
            rbe_factor=rbe,
        )[0]
        for dose in computed
    ]


def _write(
    spool: Spool,
    verdict: VerdictDocument,
    doses: Sequence[Dose],
    tokens: Mapping[int, str],
    origin: Origin,
    ct: CTVolume,
) -> dict[str, str]:
    aside = spool.root / "results.aside"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "dose").mkdir(parents=True)
    (plan,) = admitted(spool, Kind.PLAN)

    def write(name: str, dose: Dose, token: str) -> None:
        target: Path = aside / "dose" / name
        frame = ct.frame_of_reference_uid
        write_rtdose(target, dose, replace(origin, token=token), plan=plan, frame_of_reference_uid=frame)

    for number, dose in zip(tokens, doses, strict=True):
        write(f"beam-{number}.dcm", dose, tokens[number])
    write("plan.dcm", summed(doses), " ".join(tokens.values()))
    (aside / VERDICT).write_bytes(as_json(verdict))
    digests = digests_of(aside)
    sync_tree(aside)
    shutil.rmtree(spool.results, ignore_errors=True)
    aside.rename(spool.results)
    sync_folder(spool.root)
    return digests
