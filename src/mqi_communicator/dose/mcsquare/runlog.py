"""Read the engine's log. Its exit code alone proves nothing: it was seen to exit 0 without a dose."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mqi_communicator.dose.engine import Accepted, Progress, Refused
from mqi_communicator.dose.log_excerpt import pieces
from mqi_communicator.dose.mcsquare.shifter_log import read_expected, shifter_problem

DOSE = "Outputs/Dose.raw"
NO_INPUT = r"ERROR: Configuration file .* not found"  # its message when there is no configuration
HEADER = "Outputs/Dose.mhd"

# An uncertainty is a number, or nan with or without a sign if no proton has reached the CT.
_PERCENT = re.compile(r"^ *(\d+(?:\.\d+)?) % ?(?:\(stat uncertainty: (\S+) %\))? *$", re.MULTILINE)
_BATCH = re.compile(r"^batch \d+ completed \(stat uncertainty: (\S+) %\) *$", re.MULTILINE)
_UNCERTAINTY = re.compile(r"\(stat uncertainty: (\S+) %\) *$", re.MULTILINE)
# The part in brackets is omitted if no proton was generated outside: on every CT with air around the patient.
_PRIMARIES = re.compile(
    r"^Nbr primaries simulated: (\d+) *(?:\((\d+) generated outside the geometry\))? *$", re.MULTILINE
)
_END = re.compile(r"^Total computation time: (\d+(?:\.\d+)?) s *$", re.MULTILINE)
_EXPECTED = re.compile(r"^Expected dose size: (\d+) bytes$", re.MULTILINE)
_ERROR = re.compile(r"^\s*(error\b.*|unable to\b.*|warning ?: (?!Num_Threads).*)$", re.MULTILINE | re.IGNORECASE)
_INITIALIZED = "Initialization time:"  # ends the head
_MISSED = 0.2  # of the protons; halos of narrow CTs are well below
_SIGNALS = {124: "its time limit", 137: "SIGKILL (no memory left?)", 143: "SIGTERM"}
_NOT_STARTED = (126, 127)


def read_progress(log_tail: str, target: float | None) -> Progress:
    """The last percentage and uncertainty. With a target uncertainty the engine prints no percentage: the share of
    the protons needed then follows from the uncertainty, which falls with the root of their number."""
    log_tail = pieces(log_tail)[-1]
    if target is None:
        found = _PERCENT.findall(log_tail)
        if not found:
            return Progress(percent=None)
        percent, uncertainty = found[-1]
        return Progress(min(float(percent), 100.0), _fraction(uncertainty))
    batches = _BATCH.findall(log_tail)
    reached = _fraction(batches[-1]) if batches else None
    if not reached:
        return Progress(percent=None)
    return Progress(min(100.0, 100 * (target / reached) ** 2), reached)


def uncertainty(log: str) -> float | None:
    """The last mean relative uncertainty (1 sigma, where dose is at least half of its maximum); None if that is not
    a number, whatever was printed before."""
    found = _UNCERTAINTY.findall(log)
    return _fraction(found[-1]) if found else None


def first_error(log: str) -> str | None:
    """The first error line of the engine, if any."""
    found = _ERROR.search(log)
    return found.group(1).strip() if found else None


def judge(exit_code: int, log_tail: str, products: Mapping[str, int], beam: int) -> Accepted | Refused:
    """Exit code 0, no error, end mark, size, histories and the beam's range shifters together.

    Refused with the first thing missing.

    Where part of the log was left out, nothing is concluded from what is missing: the run is judged again when the
    whole log has been fetched.
    """
    parts = pieces(log_tail)
    log, whole = "\n".join(parts), len(parts) == 1
    if refused := _exit_problem(exit_code, log) or _log_problem(log, whole=whole):
        return refused
    if refused := _size_problem(log, products, whole=whole):
        return refused
    known = whole or _INITIALIZED in parts[0]  # all that the head of the log says about range shifters
    if _EXPECTED.search(log) and (problem := shifter_problem(parts[0], read_expected(log, beam), whole=known)):
        return Refused(problem, retryable=False, advice="run `mqi check`: the engine on the host may be another one")
    facts: dict[str, object] = {}
    if (reached := uncertainty(log)) is not None:
        facts["uncertainty"] = reached
    if ended := _END.findall(log):
        facts["seconds"] = float(ended[-1])
    if counts := _PRIMARIES.findall(log):
        facts["histories"], facts["outside"] = (int(n or 0) for n in counts[-1])
    return Accepted(facts)


def check_whole(log: str) -> str | None:
    """The problem in the whole log, whatever a program printed; None if there is none."""
    if error := first_error(log):
        return f"the engine reported an error: {error}"
    refused = _log_problem(log, whole=True)
    return refused.why if refused else None


def _exit_problem(exit_code: int, log_tail: str) -> Refused | None:
    if error := first_error(log_tail):
        why = f"the engine refused its input: {error}"
        return Refused(why, retryable=False, advice="run `mqi check`: the engine's files and its input do not match")
    if exit_code == 0:
        return None
    if exit_code in _NOT_STARTED:
        why = f"the engine could not be started (exit code {exit_code})"
        return Refused(
            why, retryable=False, advice="run `mqi check`: the engine is missing on the host or not executable"
        )
    if exit_code == 124:  # noqa: PLR2004 - the code of the wrapper, as of `timeout`
        why = "the run reached its time limit"
        return Refused(why, retryable=False, advice="raise time_limit_s, or lower histories_per_beam")
    ended_by = f", ended by {_SIGNALS[exit_code]}" if exit_code in _SIGNALS else ""
    return Refused(f"the engine failed with exit code {exit_code}{ended_by}", retryable=True)


def _log_problem(log: str, *, whole: bool) -> Refused | None:
    if whole and not _END.search(log):
        return Refused("the log has no end mark (Total computation time) although the exit code is 0", retryable=True)
    counts = _PRIMARIES.findall(log)
    if (whole and not counts) or (counts and int(counts[-1][0]) == 0):
        return Refused("the engine simulated no protons", retryable=False)
    histories, outside = (int(n or 0) for n in counts[-1]) if counts else (0, 0)
    if outside > _MISSED * histories:
        share = 100 * outside / histories
        why = f"{share:.0f} % of the protons started outside the CT, expected less than {100 * _MISSED:.0f} %"
        return Refused(
            why, retryable=False, advice="the CT does not contain the whole field, or the beam model is damaged"
        )
    if uncertainty(log) is None and (whole or _UNCERTAINTY.search(log)):
        return Refused("the engine reported no statistical uncertainty", retryable=False)
    return None


def _size_problem(log: str, products: Mapping[str, int], *, whole: bool) -> Refused | None:
    if not products.get(HEADER):
        return Refused(f"{HEADER} is missing or empty", retryable=True)
    expected = _EXPECTED.findall(log)
    if not expected:
        why = "the job ended before it wrote the expected dose size"
        return Refused(why, retryable=True) if whole else None
    found = products.get(DOSE, 0)
    if found != int(expected[-1]):
        return Refused(f"{DOSE} has {found} bytes, expected {expected[-1]}", retryable=True)
    return None


def _fraction(percent: str) -> float | None:
    """None if it is not a number: before the first one, or of a dose that is zero everywhere."""
    try:
        value = float(percent)
    except ValueError:
        return None
    return round(value / 100, 6) if math.isfinite(value) else None
