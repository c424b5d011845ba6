"""Whether the noise of two Monte Carlo doses leaves room for a verdict on their difference. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mqi_communicator.case.numbers import short
from mqi_communicator.dicom.records import Dose, IonPlan
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.verdict import Check, CheckOutcome

_PART = 3  # the noise of the difference may be at most this part of the dose criterion of gamma


def noise_checks(
    plan: IonPlan, planned: Mapping[int, float | None], computed: Sequence[Dose], options: JudgementOptions
) -> tuple[Check, ...]:
    """One check for each beam: noise of both doses together, against the dose criterion of gamma.

    More noise never improves a verdict: gamma of noisy doses passes too easily. `planned`: relative uncertainty (1
    sigma) by beam.
    """
    own = {dose.beam_number: dose.uncertainty for dose in computed}
    return tuple(
        _check(
            f"beam {beam.number}",
            planned.get(beam.number),
            own.get(beam.number),
            options.for_machine(beam.machine).gamma.dose_percent / _PART,
        )
        for beam in plan.beams
    )


def _check(scope: str, planned: float | None, computed: float | None, limit: float) -> Check:
    value, outcome = None, CheckOutcome.UNDECIDED
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
    return Check("noise_of_difference", scope, outcome, value, "%", text, None, computed, note)
