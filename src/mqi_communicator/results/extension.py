"""One longer run, declared before a case is computed: for a verdict that the Monte Carlo noise alone leaves undecided.

Computing until a verdict pleases would prove nothing. So it is declared beforehand, follows from the noise and not from
any other check, and happens once. Pure.
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
    """What was declared, and what came of it. All numbers are protons per beam."""

    most: int  # no run gets more
    first: int  # of the first run
    second: int = 0  # of the longer run; 0: none is wanted
    closed: bool = False  # no run follows any more: the judged doses are the longer run's, or none was wanted at first
    needed: int = 0  # what would settle it, where that is more than `most`; else 0

    @property
    def made(self) -> bool:
        """Whether the judged doses are those of the longer run."""
        return self.closed and self.second > 0

    @property
    def summary(self) -> str:
        """One clause: what was done or will be done; "" where there is nothing to say."""
        if self.made:
            return f"extended once from {grouped(self.first)} to {grouped(self.second)} histories per beam"
        if self.second:
            return f"being extended once from {grouped(self.first)} to {grouped(self.second)} histories per beam"
        if self.needed:
            return f"not extended: {grouped(self.needed)} histories per beam are more than {grouped(self.most)}"
        return ""

    def text(self) -> str:
        """As it is kept in the store: JSON of what does not depend on where the case stands."""
        return json.dumps({name: asdict(self)[name] for name in ("most", "first", "second")}, sort_keys=True)


def extension_of(text: str, *, closed: bool = False) -> Extension | None:
    """What `Extension.text` wrote; None for the empty text of a case for which nothing was declared."""
    return Extension(**json.loads(text), closed=closed) if text else None


def extension_for(declared: Extension, verdict: Verdict, limits: UncertaintyOptions) -> Extension:
    """The declaration with the longer run that this verdict calls for, if it does and none was made.

    Where fewer than what is needed are allowed, the run is made with what is allowed if that lacks no more than the
    reserve of `histories_factor`; else it could not settle anything, and is not made.
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
    """The check of the uncertainty, if it has a value and nothing else keeps the verdict from being decided."""
    if verdict.outcome is not CheckOutcome.UNDECIDED:
        return None
    undecided = [check for check in verdict.checks if check.outcome is CheckOutcome.UNDECIDED]
    noisy = [check for check in undecided if check.name == "uncertainty" and check.value is not None]
    return noisy[0] if noisy and len(noisy) == len(undecided) else None


def histories_needed(first: int, factor: float) -> int:
    """So many times as many, the factor to a tenth as the check tells it, rounded up to two significant digits."""
    value = -(-first * round(10 * factor) // 10)
    size: int = 10 ** max(len(str(value)) - 2, 0)
    return -(-value // size) * size


def grouped(number: int) -> str:
    """A whole number, its thousands apart."""
    return f"{number:,}".replace(",", " ")
