"""What the dose of a case was computed with, compared with the current configuration.

A configuration may change while a case is computed, or before it is judged again. A dose is read, judged and signed
only as what it was computed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mqi_communicator.dose.engine import DoseEngine

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import CTVolume, IonPlan

NOISE_SETTINGS = ("histories_per_beam", "target_uncertainty", "seed", "seeds")  # they determine the noise alone
UNKNOWN = "it is unknown what it was computed with: an earlier version of the communicator kept no record of it"


def recipe_of(engine: DoseEngine, plan: IonPlan, ct: CTVolume) -> dict[str, str]:
    """The engine's recipe for one case: of machines, scanners and range shifters, only its own."""
    shifters = {f"{beam.machine}/{one.id}" for beam in plan.beams for layer in beam.layers for one in layer.shifters}
    own = {*(beam.machine for beam in plan.beams), *shifters, ct.scanner}
    return {name: words for name, words in engine.recipe().items() if "/" not in name or name.split("/", 1)[1] in own}


def changes(then: Mapping[str, str], engine: DoseEngine) -> tuple[str, ...]:
    """One sentence for each change of what determines a dose; empty if there is none. `then`: the recipe that was
    kept."""
    if not then:
        return (UNKNOWN,)
    now = engine.recipe()
    return tuple(
        f"it was computed with {name} {words}, and the configuration now has {now.get(name, 'none')}"
        for name, words in then.items()
        if name not in NOISE_SETTINGS and now.get(name) != words
    )


def evidence_of(then: Mapping[str, str], engine: DoseEngine) -> dict[str, str]:
    """What determined the dose, for the manifest: the recipe that was kept, and who has commissioned its entries by
    now."""
    if changes(then, engine):
        return dict(then)
    return {**engine.evidence(), **{name: words for name, words in then.items() if name in NOISE_SETTINGS}}
