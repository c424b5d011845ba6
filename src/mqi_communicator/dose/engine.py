"""The port to a dose engine. An engine translates; it never touches a disk, a network or a process.

`DoseEngine` is one engine in one configuration. `EngineCase` is what it makes of one plan on one CT: the flow writes
its files, sends them, and later reads the doses with it. `BeamJob` is the job that computes one beam: it depends on
the beam's number and the configuration alone, so that steps which submit and follow jobs load no CT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.work import Need, Work
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, Dose, IonPlan
from mqi_communicator.dose.abilities import Abilities
from mqi_communicator.dose.machine_model import MachineModel

if TYPE_CHECKING:
    from mqi_communicator.dose.stopping import Ratio

NO_INPUT = "there-is-no-input"  # name of a file that does not exist: a trial start of an engine reads nothing


@dataclass(frozen=True, slots=True)
class PreparedCase:
    """The plan and the CT that an engine's input is made from: head first supine, spots, one grid (`dose.prepare`)."""

    plan: IonPlan
    ct: CTVolume

    def beam(self, number: int) -> Beam:
        """The beam of this number. KeyError if the plan has none."""
        return {beam.number: beam for beam in self.plan.beams}[number]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """Which beam a job computes, and on how many GPUs."""

    beam: int
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, read from the engine's log."""

    percent: float | None  # 0..100
    uncertainty: float | None = None  # relative, 1 sigma


@dataclass(frozen=True, slots=True)
class Accepted:
    """Log, exit code and products are those of a complete run."""

    facts: Mapping[str, object]  # e.g. {"uncertainty": 0.012, "seconds": 21.3, "histories": 400000}


@dataclass(frozen=True, slots=True)
class Refused:
    """The run ended, and its result does not count."""

    why: str
    retryable: bool  # a new run may succeed (a random crash); False: the same input fails again
    advice: str = ""


@dataclass(frozen=True, slots=True)
class GpuDemand:
    """The GPUs that the job of one beam needs."""

    most: int  # GPUs it can use
    least: int  # it does not start with fewer
    mib: int  # memory it needs on each, in MiB


class EngineCase(Protocol):
    """One plan on one CT, for one configured engine."""

    def basis(self) -> tuple[str, ...]:
        """Reasons why a dose of this case must not be judged (example beam model, not commissioned); empty if none."""
        ...

    def cautions(self) -> tuple[Caution, ...]:
        """What a person should check in a dose of this case, for example dense air in a beam's path."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """All input, by path relative to `input/`: `common/NAME` for all beams, `beam-NUMBER/NAME` for one.

        ActionRequired, by name, for a machine or a scanner that is not configured; DicomProblem, with all reasons, for
        a plan or a CT that the engine cannot compute.
        """
        ...

    def gpu_demand(self) -> GpuDemand | None:
        """The GPUs that the job of each beam needs; None if it needs none."""
        ...

    def read_dose(self, beam: int, products: Mapping[str, bytes], log: str) -> Dose:
        """The beam's dose in Gy on the CT's grid, with its meaning and uncertainty.

        `products`: contents by path. `log`: the whole log. Permanent if the dose is not finite, is zero, or is on
        another grid, or if the log does not prove that every run was complete.
        """
        ...


class BeamJob(Protocol):
    """The job that computes one beam."""

    def work(self) -> Work:
        """The programs, products and limits of the job. From the case it contains the beam's number only."""
        ...

    def progress(self, log_tail: str) -> Progress:
        """How far the run is, by its log so far: whole, or an excerpt (see log_excerpt) that may end within a line."""
        ...

    def judge(self, exit_code: int, log_tail: str, products: Mapping[str, int]) -> Accepted | Refused:
        """Judge exit code, end mark and product sizes (bytes, by path) together. Exit code 0 alone is no success.

        It is called twice: when the job has ended, with an excerpt of the log (see log_excerpt), where nothing is
        concluded from what the excerpt leaves out; and with the whole log when that has been fetched.
        """
        ...


class DoseEngine(Protocol):
    """One engine in one configuration. It can be pickled."""

    name: str
    uses_gpus: bool  # whether `EngineCase.gpu_demand` is ever another than None

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam, as configured; None if the engine itself decides how many."""
        ...

    def with_histories(self, histories: int) -> DoseEngine:
        """The same engine with this number of protons per beam; a beam that gets more than the configured number gets
        more in the same proportion."""
        ...

    @property
    def abilities(self) -> Abilities:
        """The row of this engine and flavour in the table of what engines compute."""
        ...

    def machine(self, beam: Beam) -> MachineModel | None:
        """Its model of the beam's machine; None if it is not configured."""
        ...

    def ratio(self, ct: CTVolume) -> Ratio | None:
        """Its conversion from the HU of the CT's scanner to stopping ratios; None if it is not configured."""
        ...

    def tube_voltage(self, ct: CTVolume) -> float | None:
        """The kV that the conversion of the CT's scanner is for; None if that is not configured."""
        ...

    def refusals(self, prepared: PreparedCase) -> tuple[Problem, ...]:
        """All reasons why this engine cannot compute a prepared case.

        A machine or a scanner that is not configured is no reason: the case waits for it (`EngineCase.files`).
        """
        ...

    def case(self, prepared: PreparedCase) -> EngineCase:
        """This engine's view of one plan on one CT. Nothing is checked or computed yet."""
        ...

    def job(self, request: JobRequest) -> BeamJob:
        """The job that computes one beam."""
        ...

    def needs(self) -> Sequence[Need]:
        """What the compute host must provide; `mqi check` verifies it."""
        ...

    def recipe(self) -> Mapping[str, str]:
        """What determines the dose: engine, settings, digests; and, named `job`, what a case's input and its jobs must
        agree on, where that may change without changing the dose. Entries for one machine are named
        `beam_model/MACHINE`, those for one of its range shifters `range_shifter/MACHINE/ID`, those for one scanner
        `curve/SCANNER` or `calibration/SCANNER`."""
        ...

    def evidence(self) -> Mapping[str, str]:
        """The recipe, with who commissioned each model and curve. It goes into the delivered manifest."""
        ...
