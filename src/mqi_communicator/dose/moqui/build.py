"""The configured build of moqui, and what follows from its options alone. Loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from mqi_communicator.dose.abilities import Abilities, abilities_of
from mqi_communicator.dose.moqui import inputs
from mqi_communicator.dose.moqui.basis import Machine
from mqi_communicator.dose.moqui.flavour import Flavour, Scale
from mqi_communicator.dose.moqui.options import MoquiOptions
from mqi_communicator.dose.moqui.programs import Programs


@dataclass(frozen=True, slots=True)
class Build:
    """One build in one configuration."""

    options: MoquiOptions
    machines: Mapping[str, Machine]  # by TreatmentMachineName

    @property
    def flavour(self) -> Flavour:
        """The configured flavour."""
        return self.options.chosen

    @property
    def programs(self) -> Programs:
        """The programs of a beam's job, which may have one device of each kind that a machine has."""
        kinds = {kind for machine in self.machines.values() for kind in machine.devices}
        return Programs(self.options, len(kinds))

    @property
    def abilities(self) -> Abilities:
        """The row of the built-in flavour that this build is, or is based on, with the devices of its machines."""
        commissioned = {(name, kind) for name, machine in self.machines.items() for kind in machine.devices}
        return replace(abilities_of("moqui", self.options.built_in), commissioned=frozenset(commissioned))

    @property
    def writes_lists(self) -> bool:
        """Whether we write the spot lists, rather than a step of the site."""
        return self.programs.spots.startswith(inputs.COMMON)

    @property
    def scale(self) -> Scale:
        """What makes the dose absolute. Lists written by a step of the site have counts of their own: only a declared
        factor makes them absolute."""
        return self.flavour.scale if self.writes_lists or not self.flavour.reads_spots else Scale.DECLARED
