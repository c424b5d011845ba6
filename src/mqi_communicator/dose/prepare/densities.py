"""The stage for structures that a planning system computed with a density of their own. Pure."""

from __future__ import annotations

from mqi_communicator.dose.checks import sound_beams
from mqi_communicator.dose.overrides import override_problems
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions


def override_densities(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Refuse overrides that would change a dose, where all machines and the scanner are configured."""
    ratio = models.ratio(draft.ct)
    machines = {beam.number: models.machine(beam) for beam in draft.plan.beams}
    distances = {number: one.sad for number, one in machines.items() if one is not None}
    complete = len(list(sound_beams(draft.plan))) == len(machines) == len(distances)
    if draft.structures is None or ratio is None or not complete:
        return draft
    return draft.refused(
        override_problems(draft.structures, draft.plan, draft.ct, ratio, lambda beam: distances[beam.number])
    )
