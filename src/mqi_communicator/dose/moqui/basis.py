"""What a dose of moqui is based on: machines' beam models and scanners' calibrations; and whether it may be judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.commissioning import Commissioning, Measured
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.range_shifter import IN, RangeShifter

_NO_SAD = (2000.0, 2000.0)  # mm; for machines that are built into the program, which has its own


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A beam model that is built into the program, and the energies it was commissioned for (MeV)."""

    low: float
    high: float

    @property
    def span(self) -> str:
        """The energies for display."""
        return f"{self.low:g} to {self.high:g} MeV"

    def covers(self, energy: float) -> bool:
        """Whether this nominal energy (MeV) was commissioned."""
        return self.low <= energy <= self.high


@dataclass(frozen=True, slots=True)
class Machine:
    """One treatment machine as moqui knows it."""

    model: BeamFile | BuiltIn
    commissioning: Commissioning
    sent_name: str = "MACHINE"  # in the plan that is sent
    gantry: int = 0
    protons_per_mu: float | None = None
    counts_per_mu: float | None = None
    dose_factor: float | None = None
    snout_position: float | None = None  # mm, for plans without one
    spot_sigma: float | None = None  # mm, the narrowest in air at the isocentre, where no beam file has it
    shifters: Mapping[str, RangeShifter] = field(default_factory=dict)  # by RangeShifterID
    devices: Mapping[str, Measured] = field(default_factory=dict)  # that were commissioned, by abilities.COMMISSIONED

    @property
    def words(self) -> str:
        """The machine's beam model and factors, for the recipe."""
        model = self.model
        what = f"sha256 {model.sha256}" if isinstance(model, BeamFile) else f"built in, gantry {self.gantry}"
        numbers = {
            "protons/MU": self.protons_per_mu,
            "counts/MU": self.counts_per_mu,
            "dose factor": self.dose_factor,
            "mm snout": self.snout_position,
            "mm spot sigma": self.spot_sigma,
        }
        return ", ".join([what, *(f"{value:g} {name}" for name, value in numbers.items() if value is not None)])

    @property
    def file(self) -> str:
        """The beam file's name in common/; "" for a model that is built in."""
        return f"machine-{self.model.sha256[:12]}.txt" if isinstance(self.model, BeamFile) else ""

    @property
    def sad(self) -> tuple[float, float]:
        """The magnets' distances from the isocentre in mm, for the plan that is sent."""
        return self.model.sad if isinstance(self.model, BeamFile) else _NO_SAD


@dataclass(frozen=True, slots=True)
class Calibration:
    """moqui's conversion from HU, commissioned per scanner."""

    name: str
    commissioning: Commissioning = field(default_factory=Commissioning)
    kvp: float | None = None  # kV of the CTs that it was commissioned for


def machine_of(beam: Beam, machines: Mapping[str, Machine]) -> Machine:
    """The beam's machine. ActionRequired, naming the machine and what to add, if it is not configured."""
    if beam.machine in machines:
        return machines[beam.machine]
    raise ActionRequired(
        f"beam {beam.number} is for treatment machine {beam.machine!r}, which has no beam model in the configuration",
        f"add to the configuration, under machines, the key {beam.machine!r} with beam_model and sha256 (or gantry and "
        "energies), commissioned_by and commissioned_on, and restart the communicator; "
        f"known machines: {_known(machines)}",
    )


def calibration_of(ct: CTVolume, calibrations: Mapping[str, Calibration]) -> Calibration:
    """The CT's calibration. ActionRequired, naming the scanner and what to add, if it is not configured."""
    if ct.scanner in calibrations:
        return calibrations[ct.scanner]
    raise ActionRequired(
        f"the CT is of scanner {ct.scanner!r}, which has no calibration in the configuration",
        f"add to the configuration, under scanners, the key {ct.scanner!r} with calibration: default, commissioned_by "
        f"and commissioned_on, and restart the communicator; known scanners: {_known(calibrations)}",
    )


def snout_of(beam: Beam, machine: Machine) -> float:
    """The beam's snout position in mm. DicomProblem if neither the plan nor the machine has one."""
    snout = machine.snout_position if beam.snout_position is None else beam.snout_position
    if snout is None:
        raise DicomProblem(
            f"beam {beam.number} has no SnoutPosition (300A,030D), where moqui's protons start",
            f"export the plan with snout positions, or set snout_position for the machine {beam.machine!r}",
            code="dose.snout",
        )
    return snout


def reasons_not_to_judge(
    plan: IonPlan,
    ct: CTVolume,
    machines: Mapping[str, Machine],
    calibrations: Mapping[str, Calibration],
    lacking: Callable[[Machine], str],
) -> list[str]:
    """One sentence for each reason why a dose of this plan must not be judged; empty if it may be. `lacking` names the
    undeclared setting that would make a machine's dose absolute."""
    found = []
    for name in sorted({beam.machine for beam in plan.beams}):
        machine = machines.get(name)
        if machine is None:
            found.append(f"machine {name!r} has no beam model in the configuration")
            continue
        if not machine.commissioning:
            found.append(f"the beam model of machine {name!r} has no commissioned_by and commissioned_on")
        if what := lacking(machine):
            found.append(f"the dose of machine {name!r} is relative: {what} is not declared")
    found += [sentence for beam in plan.beams for sentence in _shifter_reasons(beam, machines.get(beam.machine))]
    calibration = calibrations.get(ct.scanner)
    if calibration is None:
        found.append(f"scanner {ct.scanner!r} has no calibration in the configuration")
    elif not calibration.commissioning:
        found.append(f"the calibration of scanner {ct.scanner!r} has no commissioned_by and commissioned_on")
    return list(dict.fromkeys(found))


def _shifter_reasons(beam: Beam, machine: Machine | None) -> list[str]:
    """For each range shifter in a prepared beam that nobody commissioned."""
    used = {one.id for layer in beam.layers for one in layer.shifters if one.setting == IN}
    known = machine.shifters if machine else {}
    return [
        f"range shifter {name!r} of machine {beam.machine!r} has no commissioned_by and commissioned_on"
        for name in sorted(used)
        if name not in known or not known[name].commissioning
    ]


def _known(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
