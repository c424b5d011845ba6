"""Settings of moqui on the compute host."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mqi_communicator.dicom.configured import DicomText
from mqi_communicator.dicom.records import Extent
from mqi_communicator.dose.moqui.device_options import DevicesOptions
from mqi_communicator.dose.moqui.flavour import Flavour
from mqi_communicator.dose.moqui.flavour_options import FlavourOptions
from mqi_communicator.dose.moqui.flavours import BUILT_IN
from mqi_communicator.dose.moqui.step_options import StepOptions
from mqi_communicator.dose.range_shifter_options import RangeShifterOptions
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

_SHA256 = r"^([0-9a-f]{64})?$"
_PATH = r"^(/|~/)[^\n\t]*$"


class MoquiOptions(BaseModel):
    """moqui, the GPU Monte Carlo, on the compute host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["moqui"] = Field(description="Dose engine.")
    program: str = Field(
        pattern=_PATH, description="Path of the program tps_env on the compute host; absolute, or beginning with ~/."
    )
    program_sha256: str = Field(
        default="",
        pattern=_SHA256,
        description="sha256 of the program that `mqi check` requires on the compute host; empty: any.",
    )
    stdbuf: bool = Field(
        default=True,
        description="Start the program with `stdbuf -oL`, without which its output appears only at its end. Set false "
        "if "
        "`program` is a script that does this itself, for a host that restricts which programs jobs may run.",
    )
    flavour: str = Field(
        default="upstream",
        description="Build of moqui: upstream (MGHPhysicsResearch/moquimc), fork (public forks that read "
        "spots from CSV), clinic (the same with NormalizeTotalHistories and several GPUs), or a key of flavours.",
    )
    flavours: dict[str, FlavourOptions] = Field(default_factory=dict, description="The site's own builds, by name.")
    format: Literal["", "mha", "mhd", "raw", "dcm"] = Field(
        default="", description="Requested format of the dose; empty: the flavour's first."
    )
    spots: Literal["", "plan", "csv", "before"] = Field(
        default="",
        description="Source of the spots: plan, csv (lists written from the plan), or before (lists that a step under "
        "`before` writes into the folder spots/); empty: csv if the flavour reads lists, else plan.",
    )
    histories_per_beam: int = Field(
        default=10_000_000, ge=1_000, le=2_000_000_000, description="Protons simulated per beam, all seeds together."
    )
    max_histories_per_beam: int = Field(
        default=500_000_000,
        ge=1_000,
        le=2_000_000_000,
        description="Largest number of protons per beam to which histories_per_beam is raised so that each spot gets "
        "enough.",
    )
    max_histories_per_batch: int = Field(
        default=10_000_000, ge=1_000, le=1_000_000_000, description="Protons in the GPU's memory at a time."
    )
    seeds: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Number of runs per beam with different seeds: moqui reports no uncertainty, so it is estimated "
        "from "
        "their differences. With 1 the verdict is `undecided`.",
    )
    seed: int = Field(default=1, ge=0, le=1_000_000_000, description="Seed of the random numbers of the first run.")
    gpus_per_beam: int = Field(
        default=1, ge=1, le=64, description="GPUs that one beam's job may use, if the flavour supports several."
    )
    gpu_base_mib: int = Field(
        default=2048, ge=1, description="GPU memory that a job needs independent of the CT, in MiB."
    )
    gpu_bytes_per_voxel: int = Field(
        default=64, ge=0, le=100_000, description="Additional GPU memory per voxel of the CT, in bytes."
    )
    air_mm_water: float = Field(
        default=0.5,
        ge=0,
        le=100,
        description="A beam's verdict is `review` if moqui's dense air between the edge of the CT as sent and the skin "
        "has a larger water-equivalent thickness than this, in mm.",
    )
    answer_rbe: float = Field(
        default=1.0,
        ge=1.0,
        le=5.0,
        description="RBE factor in the dose of a flavour that cannot report physical dose; the dose is divided by it.",
    )
    answer_extent: Extent = Field(
        default=Extent.FRACTION,
        description="Extent of the dose of a flavour for which it cannot be requested: one fraction or the course.",
    )
    time_limit_s: float = Field(
        default=7200.0, gt=0, description="Wall time after which one beam's job is killed, in s."
    )
    before: tuple[StepOptions, ...] = Field(default=(), description="Programs that run in the job before moqui.")
    after: tuple[StepOptions, ...] = Field(default=(), description="Programs that run in the job after moqui.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.flavour not in {*BUILT_IN, *self.flavours}:
            raise ValueError(f"flavour: {self.flavour!r} is not one of {', '.join([*BUILT_IN, *self.flavours])}")
        if clash := set(BUILT_IN) & set(self.flavours):
            raise ValueError(f"flavours: {min(clash)} is built in; choose another name")
        for problem in self._misfits(self.chosen):
            raise ValueError(problem)
        names = [step.name for step in (*self.before, *self.after)]
        if len(set(names)) != len(names):
            raise ValueError("before and after: two steps have the same name")
        return self

    def _misfits(self, flavour: Flavour) -> list[str]:
        """Return what this flavour does not support."""
        problems = []
        if self.format and self.format not in flavour.formats:
            problems.append(f"format: {flavour.name} writes {', '.join(flavour.formats)}, not {self.format}")
        if self.spots and (self.spots != "plan") != flavour.reads_spots:
            problems.append(f"spots: {flavour.name} reads {'lists' if flavour.reads_spots else 'the plan'}")
        if self.spots == "before" and not self.before:
            problems.append("spots: before needs a step under before that writes the lists")
        if self.seeds > 1 and "{output}" not in flavour.product:
            problems.append(
                f"seeds: {self.seeds} runs would write one file; add the placeholder {{output}} to the flavour's "
                f"product"
            )
        steps = (*self.before, *self.after)
        if self.seeds > 1 and any("{outputs}" in text for step in steps for text in step.templates):
            problems.append(
                "before and after: with several seeds there is no single folder {outputs}; use Outputs-1, Outputs-2"
            )
        if self.gpus_per_beam > 1 and not flavour.several_gpus:
            problems.append(f"gpus_per_beam: {flavour.name} uses one GPU per beam")
        if flavour.physical and (self.answer_rbe != 1 or self.answer_extent is not Extent.FRACTION):
            problems.append(f"answer_rbe and answer_extent: {flavour.name} reports physical dose of one fraction")
        return problems

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam, all seeds together."""
        return self.histories_per_beam

    @property
    def built_in(self) -> str:
        """The chosen built-in flavour, or the one that the chosen flavour is based on."""
        named = self.flavours.get(self.flavour)
        return named.based_on if named else self.flavour

    @property
    def chosen(self) -> Flavour:
        """The chosen flavour."""
        named = self.flavours.get(self.flavour)
        return named.build(self.flavour) if named else BUILT_IN[self.flavour]


class MoquiMachineOptions(BaseModel):
    """Settings of a machine that moqui needs besides its beam file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protons_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Protons per MU, if the beam file's column `ratio` is relative; unset if that column is protons "
        "per "
        "MU itself.",
    )
    snout_position: float | None = Field(
        default=None,
        gt=0,
        lt=5_000,
        description="Snout position in mm for plans without one. moqui starts its protons 50 mm upstream of it, where "
        "the "
        "beam file's spot sizes apply.",
    )
    devices: DevicesOptions = Field(
        default_factory=DevicesOptions,
        description="Devices in the beam that were commissioned with this machine and this program.",
    )


class BuiltInMachineOptions(BaseModel):
    """A machine whose beam model is built into the program (flavours fork and clinic)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gantry: int = Field(ge=1, le=99, description="The program's number of the machine (GantryNum).")
    energies: tuple[float, float] = Field(
        description="Lowest and highest commissioned energy of the built-in model, in MeV."
    )
    sent_name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,16}$",
        description="Machine name in the plan that is sent, if the program compares it; empty: G and gantry.",
    )
    protons_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Flavour fork with spots: csv: protons per MU, if the program's factors are 1; without it the "
        "dose is "
        "relative and `not_judged`.",
    )
    counts_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Flavour clinic with spots: csv: counts per MU in the written lists, as in machine logs.",
    )
    dose_factor: float | None = Field(
        default=None,
        gt=0,
        description="Flavour clinic, or spots: before: factor from the program's dose of one beam to Gy of one "
        "fraction; without it the dose is relative and `not_judged`.",
    )
    snout_position: float | None = Field(
        default=None, gt=0, lt=5_000, description="Snout position in mm for plans without one."
    )
    logs: SumitomoOptions | None = Field(
        default=None, description="Calibration of the machine's logs, for `mqi delivery`."
    )
    spot_sigma: float | None = Field(
        default=None,
        ge=0.5,
        le=50,
        description="Sigma in mm of the narrowest spot of all energies, in air at the isocentre. Line scanning is "
        "computed in pieces shorter than a third of it; without it line scanning is refused.",
    )
    range_shifters: dict[DicomText, RangeShifterOptions] = Field(
        default_factory=dict, description="Range shifters of this machine, by RangeShifterID (300A,0318) of the plan."
    )

    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this model for this machine; empty: not commissioned."
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")

    @field_validator("energies")
    @classmethod
    def _rising(cls, energies: tuple[float, float]) -> tuple[float, float]:
        if not 0 < energies[0] < energies[1]:
            raise ValueError("must be two energies in MeV, the lower one first")
        return energies
