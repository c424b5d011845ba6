"""What workers do with deliveries: read what they name, join them to a plan, and judge a fraction."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mqi_communicator.case.faults import DiskFull, Permanent
from mqi_communicator.case.figure import Figure
from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.dicom.identity import id_line
from mqi_communicator.dicom.problem import DicomProblem, Problem, refusal, without_repeats
from mqi_communicator.dicom.recorded import RecordedDelivery
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.dicom.treatment_record import read_treatment_record
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.flow.tasks.engine_input import read_plan
from mqi_communicator.flow.tasks.fraction_sources import FractionSources
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.intake.spooling import content_of, lineage_of, write_manifest
from mqi_communicator.results.delivered.documents import JudgedFraction, delivery_document
from mqi_communicator.results.delivered.figures import figures_of_fraction
from mqi_communicator.results.delivered.judge import judge_fraction
from mqi_communicator.results.documents import DELIVERY, as_json
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.system.durable import sync_folder, sync_tree
from mqi_communicator.treatment.files import read_deliveries
from mqi_communicator.treatment.fractions import Fraction, Refused, by_fraction
from mqi_communicator.treatment.join import join_all
from mqi_communicator.treatment.reconstruction import obstacles
from mqi_communicator.treatment.sumitomo.folder import PLAN_INFO, PlanInfo, read_plan_info
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

_HELD = "another delivery of this fraction was refused"


@dataclass(frozen=True, slots=True)
class NamedPlans:
    """What the files of a delivery name. Crosses a process boundary; never logged."""

    lineages: tuple[str, ...]  # of the plans that records name by UID
    patients: tuple[str, ...]  # PatientID of each, as the store has it


@dataclass(frozen=True, slots=True)
class JoinResult:
    """To which of several plans a delivery belongs. `fits`: keys of those that it does not contradict."""

    fits: tuple[str, ...]
    labels: tuple[str, ...]  # of the fractions, as far as they are known
    refused: DicomProblem | None = None  # every contradiction to the first of `tried`
    tried: tuple[str, ...] = ()  # keys of the plans that it contradicts, if it fits none


def named_plans(spool: Spool) -> NamedPlans:
    """What names the plan of a delivery. DicomProblem, with every reason, if its files cannot be read."""
    lineages, patients = set(), set()
    for path in _records(spool):
        delivery, problems = read_treatment_record(path)
        if not delivery.plan_uid:
            raise refusal(_named(problems, spool))
        lineages.add(lineage_of(delivery.plan_uid))
        patients.add(delivery.patient_id)
    for folder in _logs(spool):
        patients.add(_info(folder, spool).patient_id)
    return NamedPlans(tuple(sorted(lineages)), tuple(sorted({id_line(one) for one in patients} - {""})))


def join_delivery(spool: Spool, plans: Mapping[str, Spool], calibrations: Mapping[str, SumitomoOptions]) -> JoinResult:
    """Join a delivery to each plan (by the key of its case) that its logs may be of."""
    named = bool(_records(spool))  # records name their plan; of logs it must be found
    studies = set() if named else {_info(folder, spool).study_uid for folder in _logs(spool)}
    fits: list[str] = []
    labels: tuple[str, ...] = ()
    contradicted: list[tuple[str, tuple[str, ...], list[Problem]]] = []
    for key, of_plan in plans.items():
        plan = read_plan(of_plan)
        if studies - {plan.study_uid}:
            continue
        found, unread = _read([spool], plan, calibrations)
        joined, contradicting = join_all(plan, found)
        problems = [problem for one in (*unread, *contradicting) for problem in one.problems]
        if problems:
            known = [*found, *(one for refused in unread for one in refused.deliveries)]
            contradicted.append((key, _labels_named(known), problems))
        else:
            fits.append(key)
            labels = tuple(one.label for one in by_fraction(joined, plan.beams))
    if fits:
        return JoinResult(tuple(fits), labels)
    if not contradicted:
        return JoinResult((), ())
    _, labels, problems = contradicted[0]
    tried = tuple(key for key, _, _ in contradicted)
    return JoinResult((), labels, refusal(_named(without_repeats(problems), spool)), tried)


def judge_delivered(
    spool: Spool, label: str, sources: FractionSources, judgement: JudgementOptions, now: float
) -> tuple[str, str, dict[str, str], list[Figure], str]:
    """Judge one fraction from all deliveries of it, and write `results/` in one rename.

    `now`: epoch seconds. Returns the verdict, its cause, the digests of the files, the numbers for trends, and why its
    dose cannot be computed ("" if it can). Permanent if nothing is recorded of it.
    """
    plan = read_plan(sources.plan_case)
    fraction, unjudged = recorded_fraction(plan, label, sources)
    held = [Refused((Problem("delivery.refused", "", _HELD),))] * sources.refused
    everything = (*unjudged, *held)
    problems = [problem for one in everything if one.may_be_of(fraction) for problem in one.problems]
    verdict = judge_fraction(fraction, plan, judgement, everything)
    judged = [JudgedFraction(fraction, verdict)]
    document = delivery_document(plan.sop_instance_uid, judged, without_repeats(problems), sources.plan_case.root.name)
    text = as_json(document)
    try:
        _write(spool, text)
        write_manifest(spool.manifest, _manifest(sources.plan_case, sources.deliveries))
    except OSError as error:
        raise DiskFull(f"the results cannot be written: {error.strerror}", "free space in paths.workspace") from None
    found = figures_of_fraction(spool.root.name, fraction, verdict, now)
    digests = {DELIVERY: hashlib.sha256(text).hexdigest()}
    return document.word.value, verdict.why, digests, found, no_dose(plan, fraction, unjudged, sources)


def no_dose(plan: IonPlan, fraction: Fraction, unjudged: Sequence[Refused], sources: FractionSources) -> str:
    """Why the dose of a fraction cannot be computed, as clauses; "" if it can."""
    held = sources.refused or any(one.may_be_of(fraction) for one in unjudged)
    return "; ".join((*obstacles(plan, fraction), *(("a delivery that may be of it was refused",) if held else ())))


def recorded_fraction(plan: IonPlan, label: str, sources: FractionSources) -> tuple[Fraction, tuple[Refused, ...]]:
    """What is recorded of one fraction, and the records of any fraction that are refused.

    Permanent if nothing is recorded of it.
    """
    found, unread = _read(sources.deliveries, plan, sources.calibrations)
    joined, contradicting = join_all(plan, found)
    fraction = next((one for one in by_fraction(joined, plan.beams) if one.label == label), None)
    if fraction is None:
        raise Permanent("nothing is recorded of this fraction any more", "mqi cancel ends it")
    return fraction, (*unread, *contradicting)


def _write(spool: Spool, text: bytes) -> None:
    aside = spool.root / "results.aside"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    (aside / DELIVERY).write_bytes(text)
    sync_tree(aside)
    shutil.rmtree(spool.results, ignore_errors=True)
    aside.rename(spool.results)
    sync_folder(spool.root)
    spool.case.mkdir(mode=0o700, exist_ok=True)


def _manifest(plan_case: Spool, deliveries: Sequence[Spool]) -> Manifest:
    """The files that were judged, each with the key of its case."""
    of_plan = load_manifest(plan_case.manifest)
    files = [_of_case(plan_case, file) for file in of_plan.of(Kind.PLAN)]
    files += [_of_case(spool, file) for spool in deliveries for file in load_manifest(spool.manifest).files]
    return Manifest(content_of(files), of_plan.lineage, of_plan.beams, tuple(files))


def _of_case(spool: Spool, file: StoredFile) -> StoredFile:
    return replace(file, stored=f"{spool.root.name}/{file.stored}", original="")


def _records(spool: Spool) -> list[Path]:
    return sorted(path for path in spool.case.iterdir() if path.suffix == ".dcm")


def _logs(spool: Spool) -> list[Path]:
    return sorted(below for folder in spool.case.iterdir() if folder.is_dir() for below in folder.iterdir())


def _info(folder: Path, spool: Spool) -> PlanInfo:
    problems: list[Problem] = []
    advice = "Copy the folder of this delivery again; if it is the same, ask the vendor of the machine."

    def report(code: str, found: str) -> None:
        problems.append(Problem(code, _original(folder, spool), found, advice=advice))

    info = read_plan_info(folder, report, {})
    if info is None:
        raise refusal(problems)
    return info


def _read(
    spools: Sequence[Spool], plan: IonPlan, calibrations: Mapping[str, SumitomoOptions]
) -> tuple[list[RecordedDelivery], list[Refused]]:
    found: list[RecordedDelivery] = []
    refused: list[Refused] = []
    for spool in spools:
        _verify(spool)
        deliveries, unread = read_deliveries([*_records(spool), *_logs(spool)], plan, calibrations)
        found += deliveries
        refused += unread
    return found, refused


def _verify(spool: Spool) -> None:
    for file in load_manifest(spool.manifest).files:
        path = spool.case / file.stored
        if not path.is_file() or digest_of(path) != file.sha256:
            raise Permanent(
                "a file in the spool is not the one that was admitted",
                "the disk of paths.workspace may be failing; put the delivery into its folder again",
            )


def _labels_named(found: Sequence[RecordedDelivery]) -> tuple[str, ...]:
    """The fractions that a delivery with a contradiction names itself."""
    numbers = {beam.fraction for one in found for beam in one.beams}
    dates = {one.started[:8] for one in found if any(beam.fraction is None for beam in one.beams)}
    labels = [f"fraction {number}" for number in sorted(number for number in numbers if number is not None)]
    return (*labels, *(f"date {date or 'unknown'}" for date in sorted(dates)))


def _named(problems: Sequence[Problem], spool: Spool) -> list[Problem]:
    """Problems with the names that the files had when they arrived."""
    names = {Path(file.stored).name: Path(file.original).name for file in load_manifest(spool.manifest).files}
    return [replace(problem, file=names.get(problem.file, problem.file)) for problem in problems]


def _original(folder: Path, spool: Spool) -> str:
    below = str((folder / PLAN_INFO).relative_to(spool.case))
    names = {file.stored: file.original for file in load_manifest(spool.manifest).files}
    return Path(names.get(below, below)).parent.name
