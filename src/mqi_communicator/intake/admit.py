"""Examines a folder: a case must be complete by its references, consistent, and computable by the engine.

Nothing is refused while files still arrive: the folder must be unchanged for a while before a faulty file counts as
faulty, and for longer before a short file counts as truncated. `spooling.copy_to_spool` then copies a complete case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mqi_communicator.case.faults import Transient
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.ct import check_ct, read_ct
from mqi_communicator.dicom.equality import same_object
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dicom.problem import UNFINISHED, DicomProblem, Problem, as_problem, printable, refusal
from mqi_communicator.dicom.records import CTVolume, IonPlan
from mqi_communicator.dicom.rtdose import DoseFacts, dose_facts
from mqi_communicator.dicom.structures import StructureSet, read_structures
from mqi_communicator.dicom.walk import Budget, Limits
from mqi_communicator.intake.examination import Complete, Examination, Incomplete, Part, Rejected
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.references import Found, Linked, link, wrong_partner
from mqi_communicator.intake.scan import FileEntry, FolderScan, scan_folder

__all__ = ["Refusals", "examine"]

_Read = TypeVar("_Read")
_UNREADABLE = "case.unreadable"
_UNREAD = "dicom."  # codes of files that are present but unreadable, so that objects seem to be missing
_PATIENTLY = UNFINISHED | {_UNREADABLE}  # a copy in progress locks, shortens or zeroes its file

Refusals = Callable[[IonPlan, CTVolume | None, StructureSet | None], Sequence[Problem]]
"""Returns why the dose engine cannot compute a plan. A CT or structure set that is unreadable is None."""


def _no_refusals(plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> Sequence[Problem]:  # noqa: ARG001
    return ()


@dataclass(frozen=True, slots=True)
class _CaseFolder:
    """The examination of one folder."""

    folder: Path
    scan: FolderScan
    still: float  # seconds without a change
    options: IntakeOptions
    limits: Limits
    refusals: Refusals = _no_refusals
    problems: list[Problem] = field(default_factory=list)

    def path(self, found: Found) -> Path:
        return self.folder / found.name

    def read(self, reader: Callable[[Path, Limits], _Read], found: Found) -> _Read | None:
        """Read a file; None, and a collected problem, if the reader refuses it."""
        try:
            return reader(self.path(found), self.limits)
        except DicomProblem as error:
            self.problems.append(as_problem(error))
            return None

    def waiting(self, missing: Sequence[str], until: float | None = None) -> Incomplete:
        """Return Incomplete, to be examined again when the folder has been unchanged until then."""
        links = tuple(
            f"{printable(skipped.name)} is {skipped.why}" for skipped in self.scan.skipped if not skipped.unreadable
        )
        overdue = self.still >= self.options.patience_s
        ahead = self.options.patience_s if until is None and not overdue else until
        return Incomplete((*missing, *links), overdue, None if ahead is None else max(0.0, ahead - self.still))


def examine(
    folder: Path, options: IntakeOptions, refusals: Refusals = _no_refusals, *, still_for: float | None = None
) -> Examination:
    """Examine a case folder without writing anything.

    `refusals` returns what the engine cannot compute, so that a case is rejected once, with all reasons. `still_for`
    is the time in s for which the caller has seen the folder's fingerprint unchanged; without it the modification
    times of the files count. Transient if the folder cannot be listed.
    """
    try:
        seen = scan_folder(folder, options.max_files)
    except OSError as error:
        raise Transient(f"the case folder cannot be listed: {error.strerror}") from None
    still = max(0.0, time.time() - seen.newest) if still_for is None else still_for
    limits = Limits(file_bytes=options.max_file_bytes, budget=Budget(options.max_case_elements))
    case = _CaseFolder(folder, seen, still, options, limits, refusals)
    try:
        found = _examine(case)
    except OSError as error:
        raise Transient(f"a file of the case disappeared while it was read: {error.strerror}") from None
    except DicomProblem as problem:
        case.problems.append(as_problem(problem))
        found = None
    return _rejected(case, found) if case.problems or found is None else found


def _rejected(case: _CaseFolder, found: Examination | None) -> Examination:
    """Return Rejected with all problems if the folder has been unchanged for long enough, else Incomplete."""
    problems = list(case.problems)
    if isinstance(found, Incomplete) and not any(one.code.startswith(_UNREAD) for one in problems):
        problems += [
            Problem("case.incomplete", "", one, advice="Export the whole case again.") for one in found.missing
        ]
    wait = case.options.patience_s if any(one.code in _PATIENTLY for one in problems) else case.options.still_s
    all_reasons = refusal(problems)
    if case.still < wait:
        return case.waiting((f"not acceptable so far: {all_reasons.reason}",), wait)
    return Rejected(all_reasons.reason, all_reasons.advice, all_reasons.code)


def _examine(case: _CaseFolder) -> Examination | None:
    """Examine what has arrived so far, and collect problems in `case.problems`. None if there are only problems."""
    _refuse_size(case)
    if not case.scan.files and not case.scan.skipped:
        return case.waiting(("the folder is empty",))
    found, unfinished = _headers(case)
    found = _without_copies(found, case)
    linked = link(found)
    case.problems.extend(linked.problems)
    plan = _plan(case, linked)
    if unfinished:
        if case.still >= case.options.patience_s:
            case.problems.extend(map(as_problem, unfinished))
            return None
        incomplete = tuple(f"still being copied: {problem.reason}" for problem in unfinished[:3])
        more = (f"and {len(unfinished) - 3} more files",) if len(unfinished) > 3 else ()  # noqa: PLR2004 - as above
        return case.waiting((*incomplete, *more, *linked.missing))
    if linked.missing or plan is None:
        if problem := wrong_partner(linked, found):
            case.problems.append(problem)
            return None
        if plan is not None and case.problems:
            case.problems.extend(case.refusals(plan, None, None))
        return case.waiting(linked.missing)
    return _check_complete(case, linked, plan)


def _plan(case: _CaseFolder, linked: Linked) -> IonPlan | None:
    if linked.plan is None:
        return None
    read = case.read(read_plan, linked.plan)
    if read is None:
        return None
    plan, problems = read
    case.problems.extend(problems)
    return plan


def _refuse_size(case: _CaseFolder) -> None:
    if case.scan.too_many:
        raise DicomProblem(
            f"the folder contains more than {case.options.max_files} files",
            "Put one case into each folder; raise intake.max_files if your cases are that large.",
            "case.too_many_files",
        )
    if case.scan.bytes > case.options.max_case_bytes:
        raise DicomProblem(
            f"the folder contains {case.scan.bytes / 1e6:.4g} MB, "
            f"more than the {case.options.max_case_bytes / 1e6:.4g} MB allowed",
            "Put one case into each folder; raise intake.max_case_bytes if your cases are that large.",
            "case.too_large",
        )


def _headers(case: _CaseFolder) -> tuple[list[Found], list[DicomProblem]]:
    """Return the DICOM files of the folder, and the problems of files that may still be copied."""
    found: list[Found] = []
    unfinished = [
        DicomProblem(
            f"{printable(skipped.name)} {skipped.why}", "Give the communicator's account read permission.", _UNREADABLE
        )
        for skipped in case.scan.skipped
        if skipped.unreadable
    ]
    for seen in _each_once(case.scan.files):
        if seen.partial:
            if case.still < case.options.patience_s:  # a copy that was abandoned long ago does not matter
                unfinished.append(DicomProblem(f"{printable(seen.name)} is still being copied", "", _UNREADABLE))
            continue
        try:
            header = read_header(case.folder / seen.name, case.limits)
        except OSError as error:
            why = f"{printable(seen.name)} cannot be read: {error.strerror}"
            unfinished.append(DicomProblem(why, "Give the communicator's account read permission.", _UNREADABLE))
        except DicomProblem as problem:
            if problem.code in _PATIENTLY:
                unfinished.append(problem)
            else:
                case.problems.append(as_problem(problem))
        else:
            if header:
                found.append(Found(seen.name, header))
    return found, unfinished


def _each_once(files: Sequence[FileEntry]) -> Iterator[FileEntry]:
    """Yield the files, but only the first of several hard links to one file."""
    met: set[tuple[int, int]] = set()
    for seen in files:
        if seen.inode is not None and not seen.partial:
            if seen.inode in met:
                continue
            met.add(seen.inode)
        yield seen


def _without_copies(found: Sequence[Found], case: _CaseFolder) -> list[Found]:
    """Return each object once. Two files with the same UID must have equal data sets, else they are a problem."""
    first: dict[str, Found] = {}
    for one in found:
        if one.header.kind is Kind.OTHER:
            continue
        other = first.setdefault(one.header.sop_instance_uid, one)
        if other is not one and not same_object(case.path(one), case.path(other), case.limits):
            case.problems.append(
                Problem(
                    "case.contradiction",
                    "",
                    f"{other.label} and {one.label} have the same SOPInstanceUID (0008,0018) but different contents",
                    advice="Remove the outdated one.",
                )
            )
    return list(first.values())


def _check_complete(case: _CaseFolder, linked: Linked, plan: IonPlan) -> Examination | None:
    """Check a case whose referenced objects are all present; wait while slices or a planned dose may still arrive."""
    assert linked.plan and linked.structures  # noqa: S101, PT018 - nothing is missing
    structures = case.read(read_structures, linked.structures)
    facts = [(one, read) for one in linked.doses if (read := case.read(dose_facts, one)) is not None]
    wait, note = _planned_doses(case, facts, plan)
    wait = max(wait, case.options.settle_s)
    paths = [case.path(one) for one in linked.ct]
    problems = check_ct(paths, case.limits)[1] if paths else ()
    case.problems.extend(problems)
    if case.problems and case.still < case.options.still_s:
        return None  # more files may arrive that resolve it
    if case.still < wait and not case.problems:
        return case.waiting(
            (f"{note or 'the folder changed a moment ago'}; the case is admitted as it is if nothing more arrives",),
            wait,
        )
    case.problems.extend(
        case.refusals(plan, None if problems or not paths else read_ct(paths, case.limits), structures)
    )
    seen = {one.name: one for one in case.scan.files}
    members = (linked.plan, linked.structures, *linked.doses, *linked.ct)
    belongs = {one.name for one in members}
    return Complete(
        parts=tuple(_part(one, seen[one.name]) for one in members),
        others=tuple(name for name in seen if name not in belongs)
        + tuple(skipped.name for skipped in case.scan.skipped),
        notes=(note,) if note else (),
        aside=linked.aside,
    )


def _planned_doses(case: _CaseFolder, doses: Sequence[tuple[Found, DoseFacts]], plan: IonPlan) -> tuple[float, str]:
    """Return how long the folder must be unchanged before these doses count as complete, and a note on missing ones."""
    options = case.options
    by_scope: dict[int | None, Found] = {}
    beams = {beam.own_number for beam in plan.beams}
    for one, facts in doses:
        scope = "the whole plan" if facts.beam_number is None else f"beam {facts.beam_number}"
        other = by_scope.setdefault(facts.beam_number, one)
        if other is not one:
            found = f"{other.label} and {one.label} both contain the dose of {scope}"
            advice = "Keep only the dose to compare with."
            case.problems.append(Problem("case.several_doses", "", found, advice=advice))
        if facts.beam_number is not None and facts.beam_number not in beams:
            found = f"the dose is of beam {facts.beam_number} (300C,0006), which is not a treatment beam of the plan"
            advice = "Remove it, or export plan and dose together."
            case.problems.append(Problem("case.other_dose", one.label, found, advice=advice))
    without = sorted(beams - set(by_scope))
    if not by_scope:
        return options.no_dose_still_s, "the case has no planned dose (RTDOSE) to compare with"
    if not without:
        return (0.0 if None in by_scope else options.still_s), ""
    if set(by_scope) == {None}:
        return options.still_s, "the planned dose is of the whole plan only, so single beams are not judged"
    return options.no_dose_still_s, f"no planned dose for beam {', '.join(map(str, without))}"


def _part(found: Found, seen: FileEntry) -> Part:
    return Part(found.name, found.header.kind, found.header.sop_instance_uid, seen.size, seen.mtime_ns)
