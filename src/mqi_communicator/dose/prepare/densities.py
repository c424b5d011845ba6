"""The stage for structures that a planning system computed with a density of their own, and for what is outside the
body. Pure.

One CT is computed for all beams. Structures are written into it; a bolus only where no beam that does not name it
passes. What cannot be written is refused where it would change a dose, and left out where it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.checks import beams_at
from mqi_communicator.dose.passage import Passage
from mqi_communicator.dose.prepare.body import Body
from mqi_communicator.dose.prepare.conversion import Conversion
from mqi_communicator.dose.prepare.density_checks import overrides_check, removed_check
from mqi_communicator.dose.prepare.density_problems import (
    MOST_OVERRIDES,
    body_problems,
    bolus_problems,
    gap_problems,
    outside_ct_problems,
    override_problems,
    too_many_overrides,
)
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.hits import find_hits
from mqi_communicator.dose.prepare.options import Outside, PreparationOptions
from mqi_communicator.dose.prepare.overrides import Override, naming_beams, overrides_of
from mqi_communicator.dose.prepare.painting import OUTSIDE, Painting, paint
from mqi_communicator.dose.prepare.water_paths import WaterPaths
from mqi_communicator.dose.rays import BeamPath, beam_path_of
from mqi_communicator.dose.stopping import Ratio


def override_densities(draft: Draft, models: Models, options: PreparationOptions) -> Draft:
    """Write the densities into the CT, where all machines and the scanner are configured."""
    boli = bolus_problems(draft.plan, draft.structures)
    ratio = models.ratio(draft.ct)
    machines = [(beam, models.machine(beam)) for beam in beams_at(draft.plan, draft.ct)]
    paths = [beam_path_of(beam, machine.sad) for beam, machine in machines if machine is not None]
    complete = len(paths) == len(draft.plan.beams) and draft.ct.hu.shape == draft.ct.grid.shape
    complete = complete and bool(np.isfinite(draft.ct.hu).all())  # what is not is refused elsewhere
    if boli or draft.structures is None or ratio is None or not complete:
        return draft.refused(boli)
    return _Densities(draft, draft.structures, ratio, paths, options).applied()


@dataclass(frozen=True, slots=True)
class _Densities:
    """One case in which densities may have to be changed."""

    draft: Draft
    structures: StructureSet
    ratio: Ratio
    beam_paths: Sequence[BeamPath]
    options: PreparationOptions

    def applied(self) -> Draft:
        """The case with its densities."""
        draft, ct = self.draft, self.draft.ct
        conversion = Conversion(self.ratio)
        overrides = overrides_of(self.structures.rois, draft.plan, ct.grid, conversion, self.options)
        if len(overrides) > MOST_OVERRIDES:
            return draft.refused((too_many_overrides(len(overrides), self.structures.file),))
        body = self._body()
        if body is None and not overrides:
            return draft
        file = self.structures.file
        doubts = body_problems(overrides, body, file, self._rule)
        if doubts:
            return draft.refused(doubts)
        paths = [WaterPaths(one, ct.grid) for one in self.beam_paths]
        painting = paint(ct, overrides, body, conversion, paths)
        painted = replace(ct, hu=painting.hu)
        passages = [Passage(one, painted, self.ratio) for one in self.beam_paths]
        hits = find_hits(ct, overrides, body, self.ratio, passages)
        problems = (
            *override_problems(overrides, hits, self.ratio, file),
            *gap_problems(hits, file, self._rule),
            *outside_ct_problems(overrides, ct.grid, passages, file),
        )
        changed = replace(draft, ct=painted)
        return changed.refused(problems).noted(self._checks(overrides, painting, conversion, paths, body))

    def _body(self) -> Body | None:
        if self.options.outside(self.draft.plan.manufacturer) is not Outside.AIR:
            return None
        return Body(self.structures.rois, frozenset(naming_beams(self.draft.plan)), self.draft.ct.grid)

    @property
    def _rule(self) -> str:
        return f"preparation.outside_body of {self.draft.plan.manufacturer} is air"

    def _checks(
        self,
        overrides: Sequence[Override],
        painting: Painting,
        conversion: Conversion,
        paths: Sequence[WaterPaths],
        body: Body | None,
    ) -> Iterator[Caution]:
        numbers = [*range(len(overrides)), OUTSIDE]
        changes: Mapping[int, Mapping[int, float]] = {one.number: one.changes(numbers) for one in paths}
        for number, one in enumerate(overrides):
            counts = painting.counts[number]
            own = {beam: change[number] for beam, change in changes.items()}
            mean, count = conversion.mean(counts), int(counts.sum())
            yield overrides_check(one, mean, count, own, self.draft.ct.grid, self.options)
        if body is not None:
            for beam, change in changes.items():
                yield removed_check(beam, max(0.0, -change[OUTSIDE]))
