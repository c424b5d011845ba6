"""From an admitted plan and CT to what an engine computes, and back. Pure.

The stages run in this order: which patient position, attributes of plan and CT, range shifters, lines, densities, the
space for range shifters and apertures, turning to head first supine. Each leaves a plan and a CT that later stages and
engines read as if the planning system had written them that way: an engine sees head first supine, spots, and one CT
whose densities are those that the dose is computed with. Until the last stage, plan and CT are in the patient system,
as structures are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.axes import Axes
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import CTVolume, Dose, Grid, IonPlan
from mqi_communicator.dose.engine import DoseEngine, PreparedCase
from mqi_communicator.dose.prepare.attributes import check_attributes
from mqi_communicator.dose.prepare.densities import override_densities
from mqi_communicator.dose.prepare.draft import Draft, Stage
from mqi_communicator.dose.prepare.lines import cut_lines
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.shifter_space import check_shifter_space
from mqi_communicator.dose.prepare.shifters import resolve_shifters
from mqi_communicator.dose.prepare.turn import settle_position, turn_to_hfs

if TYPE_CHECKING:
    from mqi_communicator.dicom.structures import StructureSet

STAGES: tuple[Stage, ...] = (
    settle_position,
    check_attributes,
    resolve_shifters,
    cut_lines,
    override_densities,
    check_shifter_space,
    turn_to_hfs,
)
OF_THE_CT: tuple[Stage, ...] = (override_densities, check_shifter_space)
"""Those that read or write HU. They leave the plan as it is."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """A prepared case."""

    case: PreparedCase
    problems: tuple[Problem, ...]  # why it cannot be computed as planned
    cautions: tuple[Caution, ...]  # what the stages changed or assumed, for the verdict
    axes: Axes  # of the case, in the patient system
    grid: Grid  # of the admitted CT

    def patient_ct(self) -> CTVolume:
        """The CT that is computed, on the grid and in the patient system of the admitted one."""
        ct = self.case.ct
        return replace(ct, grid=self.grid, hu=self.axes.inverse.array(ct.hu))

    def back(self, dose: Dose) -> Dose:
        """A dose of the prepared case on the grid and in the patient system of the admitted CT: the same values.

        ValueError for a dose on another grid than the prepared CT's.
        """
        if dose.grid != self.case.ct.grid:
            raise ValueError("the dose is not on the grid of the prepared CT")
        gy = np.ascontiguousarray(self.axes.inverse.array(dose.gy))
        gy.setflags(write=False)
        return replace(dose, grid=self.grid, gy=gy)


def prepare(
    plan: IonPlan,
    ct: CTVolume,
    structures: StructureSet | None,
    engine: DoseEngine,
    options: PreparationOptions,
) -> Preparation:
    """Prepare a plan and its CT for this engine. Without a structure set, densities are those of the CT."""
    draft = Draft(plan, ct, structures)
    for stage in STAGES:
        draft = stage(draft, engine, options)
    case = PreparedCase(draft.plan, draft.ct)
    return Preparation(case, draft.problems, draft.cautions, draft.axes, ct.grid)


def restore(
    plan: IonPlan, ct: CTVolume, cautions: Sequence[Caution], engine: DoseEngine, options: PreparationOptions
) -> Preparation:
    """A case that was prepared before without a problem. `ct`: in the patient system, with the densities that are
    computed; `cautions`: what the stages reported then."""
    draft = Draft(plan, ct, None)
    for stage in STAGES:
        if stage not in OF_THE_CT:
            draft = stage(draft, engine, options)
    return Preparation(PreparedCase(draft.plan, draft.ct), (), tuple(cautions), draft.axes, ct.grid)


def refusals(
    engine: DoseEngine,
    options: PreparationOptions,
    plan: IonPlan,
    ct: CTVolume | None,
    structures: StructureSet | None,
) -> tuple[Problem, ...]:
    """All reasons why this engine cannot compute the plan, each once. What is None (CT, structure set) is not checked.

    A machine or a scanner that is not configured is no reason: the case waits for it (`EngineCase.files`).
    """
    if ct is None:
        return tuple(dict.fromkeys(engine.abilities.refusals(plan)))
    return refusals_of(engine, plan, prepare(plan, ct, structures, engine, options))


def refusals_of(engine: DoseEngine, plan: IonPlan, prepared: Preparation) -> tuple[Problem, ...]:
    """All reasons why this engine cannot compute a plan that has been prepared for it, each once."""
    found = (*engine.abilities.refusals(plan), *prepared.problems, *engine.refusals(prepared.case))
    return tuple(dict.fromkeys(found))
