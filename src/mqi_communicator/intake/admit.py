"""Is this folder a case? Complete by its references, consistent, and of a kind that can be computed here.

Nothing is refused while files still arrive: a folder must have been still for a while before a wrong file counts as
wrong, and for longer before a short file counts as cut. `take` then copies what was found complete.
"""

from __future__ import annotations

import filecmp
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import Transient
from mqi_communicator.case.model import Kind
from mqi_communicator.dicom.ct import check_ct
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dicom.problem import UNFINISHED, DicomProblem, shown
from mqi_communicator.dicom.records import IonPlan
from mqi_communicator.dicom.rtdose import DoseFacts, dose_facts
from mqi_communicator.dicom.structures import read_structures, refuse_overrides
from mqi_communicator.dicom.walk import Limits
from mqi_communicator.intake.examination import Complete, Examination, Incomplete, Part, Rejected
from mqi_communicator.intake.options import IntakeOptions
from mqi_communicator.intake.references import Found, Linked, link, wrong_partner
from mqi_communicator.intake.survey import Seen, Survey, survey
from mqi_communicator.intake.take import load_manifest, take

__all__ = ["Complete", "Examination", "Incomplete", "Part", "Rejected", "examine", "load_manifest", "take"]

_UNREADABLE = "case.unreadable"
_PATIENTLY = UNFINISHED | {_UNREADABLE}  # a copy in progress locks, shortens or zeroes its file


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at one folder."""

    folder: Path
    survey: Survey
    still: float  # seconds without a change
    options: IntakeOptions

    @property
    def limits(self) -> Limits:
        return Limits(file_bytes=self.options.max_file_bytes)

    def path(self, found: Found) -> Path:
        return self.folder / found.name

    def waiting(self, missing: Sequence[str], until: float | None = None) -> Incomplete:
        """Incomplete, to be looked at again when the folder has been still until then."""
        links = tuple(f"{shown(odd.name)} is {odd.why}" for odd in self.survey.odd if not odd.unreadable)
        overdue = self.still >= self.options.patience_s
        ahead = self.options.patience_s if until is None and not overdue else until
        return Incomplete((*missing, *links), overdue, None if ahead is None else max(0.0, ahead - self.still))


def examine(folder: Path, options: IntakeOptions, *, still_for: float | None = None) -> Examination:
    """Complete, Incomplete or Rejected, in words. Reads headers only, and writes nothing.

    `still_for` is for how many seconds the caller has seen the folder's fingerprint unchanged; without it the files'
    own times are believed. Transient if the folder cannot be listed.
    """
    try:
        seen = survey(folder, options.max_files)
    except OSError as error:
        raise Transient(f"the case folder cannot be listed: {error.strerror}") from None
    still = max(0.0, time.time() - seen.newest) if still_for is None else still_for
    look = _Look(folder, seen, still, options)
    try:
        return _examine(look)
    except OSError as error:
        raise Transient(f"a file of the case went away while it was looked at: {error.strerror}") from None
    except DicomProblem as problem:
        wait = options.patience_s if problem.code in _PATIENTLY else options.still_s
        if still < wait:
            return look.waiting((f"not acceptable as it stands: {problem.reason}",), wait)
        return Rejected(problem.reason, problem.advice, problem.code)


def _examine(look: _Look) -> Examination:
    _refuse_size(look)
    if not look.survey.files and not look.survey.odd:
        return look.waiting(("the folder is empty",))
    found, unfinished = _headers(look)
    found = _without_copies(found, look)
    linked = link(found)
    plan = read_plan(look.path(linked.plan)) if linked.plan else None
    if unfinished:
        if look.still >= look.options.patience_s:
            raise unfinished[0]
        said = tuple(f"still being copied: {problem.reason}" for problem in unfinished[:3])
        more = (f"and {len(unfinished) - 3} more files",) if len(unfinished) > 3 else ()  # noqa: PLR2004 - as above
        return look.waiting((*said, *more, *linked.missing))
    if linked.missing or plan is None:
        problem = wrong_partner(linked, found)
        if problem:
            raise problem
        return look.waiting(linked.missing)
    return _settle(look, linked, plan)


def _refuse_size(look: _Look) -> None:
    if look.survey.too_many:
        raise DicomProblem(
            f"the folder holds more than {look.options.max_files} files",
            "Put one case into one folder; raise intake.max_files if your cases are that large.",
            "case.too_many_files",
        )
    if look.survey.bytes > look.options.max_case_bytes:
        raise DicomProblem(
            f"the folder holds {look.survey.bytes / 1e6:.4g} MB, "
            f"more than the {look.options.max_case_bytes / 1e6:.4g} MB allowed",
            "Put one case into one folder; raise intake.max_case_bytes if your cases are that large.",
            "case.too_large",
        )


def _headers(look: _Look) -> tuple[list[Found], list[DicomProblem]]:
    """The DICOM files of the folder, and what may only be half copied."""
    found: list[Found] = []
    unfinished = [
        DicomProblem(f"{shown(odd.name)} {odd.why}", "Let the communicator's user read it.", _UNREADABLE)
        for odd in look.survey.odd
        if odd.unreadable
    ]
    for seen in look.survey.files:
        if seen.partial:
            if look.still < look.options.patience_s:  # a copy that was given up long ago is nobody's concern
                unfinished.append(DicomProblem(f"{shown(seen.name)} is a copy under way", "", _UNREADABLE))
            continue
        try:
            header = read_header(look.folder / seen.name, look.limits)
        except OSError as error:
            why = f"{shown(seen.name)} cannot be read: {error.strerror}"
            unfinished.append(DicomProblem(why, "Let the communicator's user read it.", _UNREADABLE))
        except DicomProblem as problem:
            if problem.code not in _PATIENTLY:
                raise
            unfinished.append(problem)
        else:
            if header:
                found.append(Found(seen.name, header))
    return found, unfinished


def _without_copies(found: Sequence[Found], look: _Look) -> list[Found]:
    """Each object once. Two files with equal bytes are one object; with unequal bytes they contradict each other."""
    first: dict[str, Found] = {}
    for one in found:
        if one.header.kind is Kind.OTHER:
            continue
        other = first.setdefault(one.header.sop_instance_uid, one)
        if other is not one and not filecmp.cmp(look.path(one), look.path(other), shallow=False):
            raise DicomProblem(
                f"{shown(other.name)} and {shown(one.name)} claim to be the same object and differ",
                "Remove the one that is out of date.",
                "case.contradiction",
            )
    return list(first.values())


def _settle(look: _Look, linked: Linked, plan: IonPlan) -> Examination:
    """Everything the references name is there: is it sound, and may a planned dose still be on its way?"""
    assert linked.plan and linked.structures  # noqa: S101, PT018 - nothing is missing
    refuse_overrides(read_structures(look.path(linked.structures), look.limits))
    check_ct([look.path(one) for one in linked.ct], look.limits)
    doses = [(one, dose_facts(look.path(one), look.limits)) for one in linked.doses]
    wait, note = _planned(doses, plan, look.options)
    wait = max(wait, look.options.settle_s)
    if look.still < wait:
        return look.waiting(
            (f"{note or 'the folder has only just come to rest'}; taken as it is if nothing more comes",), wait
        )
    seen = {one.name: one for one in look.survey.files}
    members = (linked.plan, linked.structures, *linked.doses, *linked.ct)
    belongs = {one.name for one in members}
    return Complete(
        parts=tuple(_part(one, seen[one.name]) for one in members),
        others=tuple(name for name in seen if name not in belongs) + tuple(odd.name for odd in look.survey.odd),
        notes=(note,) if note else (),
    )


def _planned(doses: Sequence[tuple[Found, DoseFacts]], plan: IonPlan, options: IntakeOptions) -> tuple[float, str]:
    """How long the folder must have been still before these doses count as all there are, and what they lack."""
    by_scope: dict[int | None, Found] = {}
    beams = {beam.number for beam in plan.beams}
    for one, facts in doses:
        scope = "the whole plan" if facts.beam_number is None else f"beam {facts.beam_number}"
        other = by_scope.setdefault(facts.beam_number, one)
        if other is not one:
            raise DicomProblem(
                f"{shown(other.name)} and {shown(one.name)} both hold the dose of {scope}",
                "Leave the one that the plan is to be compared with.",
                "case.several_doses",
            )
        if facts.beam_number is not None and facts.beam_number not in beams:
            raise DicomProblem(
                f"{shown(one.name)} holds the dose of beam {facts.beam_number}, which the plan does not treat with",
                "Remove it, or export plan and dose together.",
                "case.other_dose",
            )
    without = sorted(beams - set(by_scope))
    if not by_scope:
        return options.no_dose_still_s, "no planned dose (RTDOSE) is there, so there is nothing to compare with"
    if not without:
        return (0.0 if None in by_scope else options.still_s), ""
    if set(by_scope) == {None}:
        return options.still_s, "the planned dose is of the whole plan only, so beams are not judged one by one"
    return options.no_dose_still_s, f"no planned dose for beam {', '.join(map(str, without))}"


def _part(found: Found, seen: Seen) -> Part:
    return Part(found.name, found.header.kind, found.header.sop_instance_uid, seen.size, seen.mtime_ns)
