"""Read the log of moqui and of the site's programs. Exit code 0 proves nothing.

moqui exits 0 without a file when it cannot write one, with a dose of zero when no spot had a history, and with a wrong
dose when an energy is outside its table. It crashes with SIGSEGV, about once in 256 files saved, when everything has
been computed. All of this is recognised from its log, by the flavour's patterns, and from the files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mqi_communicator.dose.engine import Accepted, Refused
from mqi_communicator.dose.moqui.device_log import device_fault
from mqi_communicator.dose.moqui.flavour import Flavour
from mqi_communicator.dose.moqui.job_layout import JobLayout, JobProgram, sections_by_program
from mqi_communicator.dose.moqui.products import size_problem
from mqi_communicator.dose.moqui.progress import computed, ended, last, share
from mqi_communicator.dose.moqui.requested import RequestedRun, requested_in
from mqi_communicator.dose.moqui.sections import Section

_NEAR = 0.01  # of the histories: builds round spots differently
_SEGFAULT, _ABORT, _TIMEOUT = 139, 134, 124
_SIGNALS = {_ABORT: "SIGABRT", 130: "SIGINT", 137: "SIGKILL (no memory left?)", _SEGFAULT: "SIGSEGV", 143: "SIGTERM"}
_NOT_STARTED = (126, 127)
_DIFFERS = re.compile(r"^mqi-input differs", re.MULTILINE)  # printed by the host script, as the next
_NOT_ALLOWED = re.compile(r"^mqi-refused (.+)$", re.MULTILINE)
_LOOK = "read the job's log with `mqi show`; docs/moqui.md explains moqui's messages"


def judge(layout: JobLayout, exit_code: int, log_tail: str, products: Mapping[str, int]) -> Accepted | Refused:
    """Errors, exit code, histories, end marks and files together; else Refused with the first problem.

    Nothing is concluded from what is missing in a section that is not whole: the run is judged again when the whole log
    has been fetched.
    """
    code = 128 - exit_code if exit_code < 0 else exit_code
    parts = sections_by_program(layout, log_tail)
    refused = (
        _reported_error(parts)
        or _exit_problem(layout, parts, code)
        or _incomplete_run(layout, parts, log_tail)
        or _product_problem(layout, log_tail, products)
    )
    if refused:
        return refused
    requested, runs = requested_in(log_tail), len(layout.moqui_programs)
    if requested and requested.histories:
        return Accepted({"histories": runs * requested.histories, "runs": runs})
    found = [last(layout.flavour.histories, part.text) for program, part in parts if program.moqui]
    counts = [int(count) for count in found if count]
    return Accepted({"histories": sum(counts), "runs": runs} if len(counts) == runs else {"runs": runs})


def check_whole(layout: JobLayout, log: str) -> str | None:
    """The problem in the whole log, whatever a program printed: each run must be there from its mark to its end."""
    parts = sections_by_program(layout, log, whole=True)
    if refused := _reported_error(parts) or _incomplete_run(layout, parts, log):
        return refused.why
    seen = {program.name: part.text for program, part in parts if part.name}
    if lost := [name for name in layout.moqui_programs if name not in seen]:
        return f"the log does not show that {', '.join(lost)} began"
    requested = requested_in(log)
    silent = [name for name in layout.moqui_programs if last(layout.flavour.histories, seen[name]) is None]
    if silent and requested and requested.histories:
        return f"{', '.join(silent)} did not report how many histories it computed"
    return None


def _reported_error(parts: Sequence[tuple[JobProgram, Section]]) -> Refused | None:
    for program, part in parts:
        for one in program.error_patterns:
            if found := re.search(one.pattern, part.text, re.MULTILINE):
                message = next((group for group in found.groups() if group), found.group(0)).strip()
                return Refused(f"{program.name}: {message}", one.retryable, one.advice or _LOOK)
    return None


def _exit_problem(layout: JobLayout, parts: Sequence[tuple[JobProgram, Section]], code: int) -> Refused | None:
    program, part = parts[-1]
    if _DIFFERS.search(part.text):
        why = "the input on the host differs from what was sent"
        return Refused(why, retryable=False, advice="check the host's disk, then retry the case from `upload`")
    if part.missing:
        why = f"{program.name} exited 0 without {', '.join(part.missing)}"
        return Refused(why, retryable=program.moqui, advice=_LOOK)
    if code == 0:
        return None
    if not_allowed := _NOT_ALLOWED.search(part.text):
        why = f"the host does not allow jobs to run {not_allowed[1]}"
        advice = "its administrator allows programs (--program); if stdbuf is not allowed, set engine.stdbuf: false"
        return Refused(why, retryable=False, advice=advice)
    if code in _NOT_STARTED:
        why = f"{program.name} could not be started (exit code {code})"
        return Refused(
            why, retryable=False, advice="run `mqi check`: the program is missing on the host or not executable"
        )
    if code == _TIMEOUT:
        why = f"{program.name} reached its time limit"
        advice = "raise time_limit_s, or lower histories_per_beam; a fork that cannot write its spot lists never ends"
        return Refused(why, retryable=False, advice=advice)
    if code == _SEGFAULT and program.moqui:
        return _crash(layout.flavour, program, part)
    by = f", ended by {_SIGNALS[code]}" if code in _SIGNALS else ""
    retryable = code != _ABORT and (program.moqui or code in _SIGNALS)
    return Refused(f"{program.name} failed with exit code {code}{by}", retryable, _LOOK)


def _crash(flavour: Flavour, program: JobProgram, part: Section) -> Refused:
    """A crash at the save is random; one before the first particle would be repeated."""
    if computed(flavour, part.text):
        return Refused(
            f"{program.name} crashed while it saved its dose (SIGSEGV), as moqui occasionally does", retryable=True
        )
    if share(flavour, part.text) is not None:
        return Refused(f"{program.name} crashed while it computed (SIGSEGV)", retryable=True, advice=_LOOK)
    if not part.whole:
        return Refused(f"{program.name} crashed (SIGSEGV)", retryable=True, advice=_LOOK)
    return Refused(f"{program.name} crashed before it computed anything (SIGSEGV)", retryable=False, advice=_LOOK)


def _incomplete_run(layout: JobLayout, parts: Sequence[tuple[JobProgram, Section]], log: str) -> Refused | None:
    """A run of moqui in the log without its end mark, or with other histories than requested."""
    requested = requested_in(log)
    for program, part in parts:
        if not program.moqui:
            continue
        if refused := _histories_problem(layout.flavour, program, part, requested):
            return refused
        if requested and (why := device_fault(part, requested)):
            return Refused(f"{program.name} {why}", retryable=False, advice=_LOOK)
        if part.whole and not ended(layout.flavour, part.text):
            return Refused(f"{program.name}: the log has no end mark although the exit code is 0", retryable=True)
    if requested is None:
        return Refused("the log lacks the line that a job writes when all its programs have succeeded", retryable=True)
    return None


def _histories_problem(
    flavour: Flavour, program: JobProgram, part: Section, requested: RequestedRun | None
) -> Refused | None:
    for count in re.findall(flavour.histories, part.text, re.MULTILINE):
        if int(count) == 0:
            why = f"{program.name} had no histories to compute: its dose would be zero"
            return Refused(why, retryable=False, advice="its spots were not read; " + _LOOK)
        if requested and requested.histories and abs(int(count) - requested.histories) > _NEAR * requested.histories:
            why = f"{program.name} computed {count} histories, expected {requested.histories}: it read other spots"
            return Refused(why, retryable=False, advice=_LOOK)
    return None


def _product_problem(layout: JobLayout, log: str, products: Mapping[str, int]) -> Refused | None:
    if (requested := requested_in(log)) is None:
        return None
    for product in layout.dose_paths(requested.devices):
        if problem := size_problem(product, layout.read_format, products, requested.voxels):
            return Refused(problem, retryable=True, advice="if it is repeated: free space on the compute host")
    return None
