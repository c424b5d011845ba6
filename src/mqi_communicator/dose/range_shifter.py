"""A range shifter as a site declares it for one machine. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mqi_communicator.dose.commissioning import Commissioning

IN, OUT = "IN", "OUT"
SAME_WET = 0.5  # mm: a plan whose water-equivalent thickness is farther from the declared one is for another device
PLAN = "plan"  # the distance is the plan's
_SNOUT = re.compile(r"snout *([+-]) *(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class RangeShifter:
    """One range shifter of one machine. Lengths in mm."""

    wet: float  # of water, water-equivalent thickness
    material: int  # MCsquare's number of the material
    density: float  # g/cm3
    distance: str  # PLAN, or `snout + 43`: the snout position plus this, isocentre to the downstream edge
    travel: tuple[float, float]  # nearest and farthest distance of its downstream edge from the isocentre
    settings: Mapping[str, str] = field(default_factory=dict)  # the machine's words: IN or OUT
    commissioning: Commissioning = field(default_factory=Commissioning)

    def state(self, setting: str) -> str | None:
        """IN or OUT for a RangeShifterSetting (300A,0362); None for a word that is not declared."""
        return setting if setting in (IN, OUT) else self.settings.get(setting)

    @property
    def snout_gap(self) -> float | None:
        """What is added to the snout position; None if the distance is the plan's."""
        return None if self.distance == PLAN else gap_of(self.distance)

    @property
    def description(self) -> str:
        """Everything that determines a dose, for the recipe of a case."""
        words = "".join(f", {word}: {state}" for word, state in sorted(self.settings.items()))
        return (
            f"WET {self.wet:g} mm, material {self.material}, density {self.density:g} g/cm3, distance {self.distance}, "
            f"travel {self.travel[0]:g} to {self.travel[1]:g} mm{words}"
        )


def gap_of(rule: str) -> float | None:
    """The number of mm in `snout + 43` or `snout - 5`; None for other text."""
    found = _SNOUT.fullmatch(rule)
    return float(found[1] + found[2]) if found else None


def recipe_of_shifters(shifters: Mapping[str, Mapping[str, RangeShifter]]) -> dict[str, str]:
    """The recipe's entries of all declared shifters, by machine and ID."""
    return {entry(machine, name): one.description for machine, own in shifters.items() for name, one in own.items()}


def commissioned_shifters(shifters: Mapping[str, Mapping[str, RangeShifter]]) -> dict[str, Commissioning]:
    """Who commissioned each of them, by the names of the recipe."""
    return {entry(machine, name): one.commissioning for machine, own in shifters.items() for name, one in own.items()}


def entry(machine: str, name: str) -> str:
    """The name of a shifter's entry in a recipe."""
    return f"range_shifter/{machine}/{name}"
