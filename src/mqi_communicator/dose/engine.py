"""The port to a dose engine. An engine translates; it never touches a disk, a network or a process.

The flow writes what `common_files`/`beam_files` return, sends it, has the host do `work` in a fresh folder, and hands
back the log, the exit code and the products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from mqi_communicator.case.caution import Caution
from mqi_communicator.case.work import Need, Work
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, CTVolume, Dose, IonPlan
from mqi_communicator.dicom.structures import StructureSet
from mqi_communicator.dose.abilities import Abilities
from mqi_communicator.dose.stopping import Ratio

NO_INPUT = "there-is-no-input"  # the name of a file that is not there: an engine that is tried reads nothing


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, from the engine's own words."""

    percent: float | None  # 0..100
    uncertainty: float | None = None  # relative, 1 sigma


@dataclass(frozen=True, slots=True)
class Accepted:
    """The log, exit code and products tell of a complete run."""

    facts: Mapping[str, object]  # e.g. {"uncertainty": 0.012, "seconds": 21.3, "histories": 400000}


@dataclass(frozen=True, slots=True)
class Refused:
    """The run ended and its result does not count."""

    why: str
    retryable: bool  # a fresh run may succeed (a random crash); False: the same input will fail again
    advice: str = ""


@dataclass(frozen=True, slots=True)
class GpuDemand:
    """What one beam's job asks of GPUs. None of it: the engine computes on the CPU."""

    most: int  # GPUs it can make use of
    least: int  # with fewer it does not begin
    mib: int  # memory it needs on each, in MiB


class DoseEngine(Protocol):
    """One engine in one configuration."""

    name: str

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam, as configured; None where the engine itself decides how many."""
        ...

    def with_histories(self, histories: int) -> DoseEngine:
        """The same engine with so many protons per beam; a beam that got more than configured gets as much more now."""
        ...

    def basis(self, plan: IonPlan, ct: CTVolume) -> tuple[str, ...]:
        """Sentences why a dose of this engine must not be judged (example beam model, nobody commissioned it);
        empty if it may be."""
        ...

    @property
    def abilities(self) -> Abilities:
        """The row of this engine and flavour in the table of what engines compute."""
        ...

    def refusals(self, plan: IonPlan, ct: CTVolume | None, structures: StructureSet | None) -> tuple[Problem, ...]:
        """Why this engine cannot compute the plan, all reasons; of a CT or structure set that is None, nothing is said.

        A machine or a scanner that is not configured is none of them: the case waits for it (`common_files`).
        """
        ...

    def cautions(self, plan: IonPlan, ct: CTVolume) -> tuple[Caution, ...]:
        """What a person should look at in a dose of this engine on this CT, for example dense air on a beam's way."""
        ...

    def stopping_ratio(self, ct: CTVolume) -> Ratio:
        """What the engine takes this CT's HU for: stopping power relative to water at 100 MeV, NaN where it is not
        known. ActionRequired for a scanner that is not configured."""
        ...

    def common_files(self, plan: IonPlan, ct: CTVolume) -> Mapping[str, bytes]:
        """Input shared by all beams of a case; paths relative to `input/common/`. DicomProblem if it cannot serve;
        ActionRequired, by name, for a machine or a scanner that is not configured."""
        ...

    def beam_files(self, plan: IonPlan, beam: Beam, ct: CTVolume) -> Mapping[str, bytes]:
        """Input of one beam; paths relative to `input/beam-<number>/`. DicomProblem if it cannot serve."""
        ...

    def gpu_demand(self, ct: CTVolume) -> GpuDemand | None:
        """What a beam on this CT asks of GPUs; None where the engine needs none."""
        ...

    def work(self, beam_number: int, gpus: int = 0) -> Work:
        """What the job of one beam does, with so many GPUs handed to it. Nothing in it came from the case but the beam
        number."""
        ...

    def progress(self, log_tail: str) -> Progress:
        """Read the run's log so far: whole, or its first and last kB (see excerpt), possibly cut in mid-line."""
        ...

    def judge_run(
        self, beam_number: int, exit_code: int, log_tail: str, products: Mapping[str, int]
    ) -> Accepted | Refused:
        """Exit code, end mark and product sizes (bytes, by path) together. Exit 0 alone is never success.

        Asked twice: at the end of the job with what a look shows of its log (see excerpt), where what was left out
        refuses nothing, and with the whole log when that is here."""
        ...

    def read_dose(self, plan: IonPlan, beam: Beam, ct: CTVolume, products: Mapping[str, bytes], log: str) -> Dose:
        """The beam's dose in Gy, with meaning and uncertainty. Permanent if not finite, zero, or of another grid, or if
        the whole log does not prove that every run was complete."""
        ...

    def needs(self) -> Sequence[Need]:
        """What the host must have. For `mqi check`."""
        ...

    def recipe(self) -> Mapping[str, str]:
        """What shapes the number: engine, settings, digests. What only some cases rest on is called `beam_model/`
        and the machine, or `curve/` or `calibration/` and the scanner."""
        ...

    def evidence(self) -> Mapping[str, str]:
        """The recipe, and who vouches for each of its models and curves. For the delivered manifest."""
        ...
