"""What the dose of a case was computed with, held against what the configuration says now.

A configuration may change while a case is computed, and long before it is judged again. A dose counts as what it was
computed with: it is read, judged and signed as nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mqi_communicator.dose.engine import DoseEngine

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import CTVolume, IonPlan

NOISE_SETTINGS = ("histories_per_beam", "target_uncertainty", "seed", "seeds")  # they shape the noise alone
UNKNOWN = "nothing tells what it was computed with: an earlier version of the communicator kept no record of it"


def recipe_of(engine: DoseEngine, plan: IonPlan, ct: CTVolume) -> dict[str, str]:
    """The engine's recipe for one case: of machines and scanners, only its own."""
    own = {*(beam.machine for beam in plan.beams), ct.scanner}
    return {name: words for name, words in engine.recipe().items() if "/" not in name or name.split("/", 1)[1] in own}


def changes(then: Mapping[str, str], engine: DoseEngine) -> tuple[str, ...]:
    """Sentences on what shapes a dose and is not as it was; empty if all is. `then`: the recipe that was kept."""
    if not then:
        return (UNKNOWN,)
    now = engine.recipe()
    return tuple(
        f"it was computed with {name} {words}, and the configuration has {now.get(name, 'none')} now"
        for name, words in then.items()
        if name not in NOISE_SETTINGS and now.get(name) != words
    )


def evidence_of(then: Mapping[str, str], engine: DoseEngine) -> dict[str, str]:
    """What made the number, for the manifest: what was kept, and who vouches for it by now."""
    if changes(then, engine):
        return dict(then)
    return {**engine.evidence(), **{name: words for name, words in then.items() if name in NOISE_SETTINGS}}
