"""Whether the noise of two Monte Carlo doses leaves room for a verdict on their difference. Pure."""

from __future__ import annotations

import math

from mqi_communicator.case.numbers import short
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

_PART = 3  # the noise of the difference may be at most this part of the dose criterion of gamma


def noise_check(planned: float | None, computed: float | None, gamma: GammaOptions) -> Check:
    """Judge the noise of both doses of a plan together against the dose criterion of gamma.

    More noise never improves a verdict: gamma of noisy doses passes too easily. `planned`, `computed`: relative
    uncertainty (1 sigma) of each; None: the engine reports none.
    """
    value, outcome, limit = None, CheckOutcome.UNDECIDED, gamma.dose_percent / _PART
    if planned is None or computed is None:
        note = "the engine reports no statistical uncertainty: configure it to report one"
    else:
        value = 100 * math.hypot(planned, computed)
        note = f"the difference of both doses has a noise of {short(value, 2)} % (1 sigma)"
        if value <= limit:
            outcome = CheckOutcome.PASS
        else:
            note += f": {short((value / limit) ** 2, 1)} times as many histories are needed for both"
    text = f"<= {short(limit, 2)} %, a third of the dose criterion of gamma"
    return Check("noise_of_both", "plan", outcome, value, "%", text, None, computed, note)
