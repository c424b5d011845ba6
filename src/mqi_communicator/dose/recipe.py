"""What the dose of a case was computed with, compared with the current configuration.

A configuration may change while a case is computed, or before it is judged again. A dose is read, judged and signed
only as what it was computed with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from mqi_communicator.dose.prepare.options import OUTSIDE, Outside, planning_system

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import CTVolume, IonPlan


class Settings(Protocol):
    """What determines doses: an engine with the site's rules of preparation (`dose.prepare.preparer`)."""

    def recipe(self) -> Mapping[str, str]:
        """The settings; see `DoseEngine.recipe` and `PreparationOptions.recipe`."""
        ...

    def evidence(self) -> Mapping[str, str]:
        """The recipe, with who commissioned each model and curve."""
        ...


NOISE_SETTINGS = ("histories_per_beam", "target_uncertainty", "seed", "seeds")  # they determine the noise alone
JOB = "job"  # what input and job must agree on; it determines no dose
AGAIN = (
    "restore the previous configuration and restart the communicator; or cancel the case and copy its folder in again, "
    "so that it is computed with the current configuration"
)
UNKNOWN = "it is unknown what it was computed with: an earlier version of the communicator kept no record of it"


def recipe_of(settings: Settings, plan: IonPlan, ct: CTVolume) -> dict[str, str]:
    """The recipe for one case: of machines, scanners, range shifters and planning systems, only its own."""
    system = planning_system(plan.manufacturer)
    shifters = {f"{beam.machine}/{one.id}" for beam in plan.beams for layer in beam.layers for one in layer.shifters}
    own = {*(beam.machine for beam in plan.beams), *shifters, ct.scanner, system}
    recipe = {f"{OUTSIDE}{system}": Outside.AS_SCANNED.value, **settings.recipe()}
    return {name: words for name, words in recipe.items() if "/" not in name or name.split("/", 1)[1] in own}


def changes(then: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    """One sentence for each change of what determines a dose; empty if there is none. `then`: the recipe that was
    kept."""
    if not then:
        return (UNKNOWN,)
    now = dict(settings.recipe())
    if not any(name.startswith(OUTSIDE) for name in then):  # by an earlier version, which kept every CT as scanned
        then = {**then, **dict.fromkeys((name for name in now if name.startswith(OUTSIDE)), Outside.AS_SCANNED.value)}
    for name in then:
        if name.startswith(OUTSIDE):
            now.setdefault(name, Outside.AS_SCANNED.value)
    return tuple(
        f"it was computed with {name} {words}, and the configuration now has {now.get(name, 'none')}"
        for name, words in then.items()
        if name not in (*NOISE_SETTINGS, JOB) and now.get(name) != words
    )


def job_changes(then: Mapping[str, str], settings: Settings) -> tuple[str, ...]:
    """One sentence if jobs of the current configuration do not suit the input that was made with the recipe `then`, or
    its jobs cannot be read any more; empty otherwise, and for recipes of versions that did not keep it."""
    now = settings.recipe().get(JOB, "none")
    if then.get(JOB, now) == now:
        return ()
    return (f"its input was made for a job of {then[JOB]}, and the configuration now has {now}",)


def evidence_of(then: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """What determined the dose, for the manifest: the recipe that was kept, and who has commissioned its entries by
    now."""
    kept = then if changes(then, settings) else {**settings.evidence(), **_of(then, NOISE_SETTINGS)}
    return {name: words for name, words in kept.items() if name != JOB}


def _of(recipe: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: words for name, words in recipe.items() if name in names}
