"""One longer run, declared before a case is computed, for a verdict that is undecided only because of noise.

Repeating a computation until it passes would prove nothing. So the run is declared beforehand, depends on the noise and
no other check, and is made once. Pure.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

from mqi_communicator.results.options import UncertaintyOptions
from mqi_communicator.results.uncertainty import histories_factor
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict


@dataclass(frozen=True, slots=True)
class Extension:
    """The declaration and its result. All numbers are protons per beam."""

    most: int  # maximum of any run
    first: int  # of the first run
    second: int = 0  # of the longer run; 0: none is needed
    closed: bool = False  # no further run: the judged doses are those of the longer run, or none was needed
    needed: int = 0  # histories needed, if more than `most`; else 0

    @property
    def made(self) -> bool:
        """Whether the judged doses are those of the longer run."""
        return self.closed and self.second > 0

    @property
    def summary(self) -> str:
        """One clause about what was done or will be done; may be empty."""
        if self.made:
            return f"extended once from {grouped(self.first)} to {grouped(self.second)} histories per beam"
        if self.second:
            return f"being extended once from {grouped(self.first)} to {grouped(self.second)} histories per beam"
        if self.needed:
            return f"not extended: {grouped(self.needed)} histories per beam are more than {grouped(self.most)}"
        return ""

    def text(self) -> str:
        """The JSON that is stored: what does not depend on the state of the case."""
        return json.dumps({name: asdict(self)[name] for name in ("most", "first", "second")}, sort_keys=True)


def extension_of(text: str, *, closed: bool = False) -> Extension | None:
    """Read what `Extension.text` wrote; None for an empty text (nothing was declared)."""
    return Extension(**json.loads(text), closed=closed) if text else None


def extension_for(declared: Extension, verdict: Verdict, limits: UncertaintyOptions) -> Extension:
    """The declaration, with the longer run that this verdict requires, if any.

    If `most` is below what is needed, the run is made with `most` histories as long as only the margin of
    `histories_factor` is missing; else it is not made, since it could not decide the case.
    """
    noisy = uncertainty_alone(verdict)
    if declared.closed or noisy is None or noisy.value is None:
        return declared
    needed = histories_needed(declared.first, histories_factor(noisy.value / 100, limits))
    least = math.ceil(declared.first * (noisy.value / limits.limit_percent) ** 2)
    if declared.most < least or declared.most <= declared.first:
        return replace(declared, second=0, needed=needed)
    return replace(declared, second=min(needed, declared.most))


def uncertainty_alone(verdict: Verdict) -> Check | None:
    """The check of the uncertainty, if it has a value and is the only undecided check."""
    if verdict.outcome is not CheckOutcome.UNDECIDED:
        return None
    undecided = [check for check in verdict.checks if check.outcome is CheckOutcome.UNDECIDED]
    noisy = [check for check in undecided if check.name == "uncertainty" and check.value is not None]
    return noisy[0] if noisy and len(noisy) == len(undecided) else None


def histories_needed(first: int, factor: float) -> int:
    """`first` times `factor` (to one decimal, as in the note of the check), rounded up to two significant digits."""
    value = -(-first * round(10 * factor) // 10)
    size: int = 10 ** max(len(str(value)) - 2, 0)
    return -(-value // size) * size


def grouped(number: int) -> str:
    """A whole number with spaces between thousands."""
    return f"{number:,}".replace(",", " ")
