"""What a site says about moqui on its compute host."""

from __future__ import annotations

from datetime import date
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mqi_communicator.dicom.records import Extent
from mqi_communicator.dose.moqui.flavour import Flavour
from mqi_communicator.dose.moqui.flavour_options import FlavourOptions
from mqi_communicator.dose.moqui.flavours import BUILT_IN
from mqi_communicator.dose.moqui.step_options import StepOptions

_SHA256 = r"^([0-9a-f]{64})?$"
_PATH = r"^(/|~/)[^\n\t]*$"


class MoquiOptions(BaseModel):
    """moqui, the GPU Monte Carlo, on the compute host."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["moqui"] = Field(description="Which engine computes the dose.")
    program: str = Field(
        pattern=_PATH, description="The program tps_env on the compute host; absolute, or beginning with ~/."
    )
    program_sha256: str = Field(
        default="",
        pattern=_SHA256,
        description="Digest of the program that `mqi check` demands on the compute host; empty: any.",
    )
    stdbuf: bool = Field(
        default=True,
        description="Whether the program is started by `stdbuf -oL`, without which nothing is seen of it before it "
        "ends; false where `program` is a script that does so itself, for a host that names the programs jobs may run.",
    )
    flavour: str = Field(
        default="upstream",
        description="Which build of moqui it is: upstream (MGHPhysicsResearch/moquimc), fork (public forks that read "
        "spots from CSV), clinic (the same with NormalizeTotalHistories and several GPUs), or one of flavours.",
    )
    flavours: dict[str, FlavourOptions] = Field(
        default_factory=dict, description="Builds of the site's own, by a name of its choice."
    )
    format: Literal["", "mha", "mhd", "raw", "dcm"] = Field(
        default="", description="Format in which the dose is asked for; empty: the flavour's first."
    )
    spots: Literal["", "plan", "csv", "before"] = Field(
        default="",
        description="Where the program takes its spots from: plan, csv (lists that we write from the plan), or before "
        "(lists that a step under `before` writes into the folder spots/); empty: plan, or csv where it reads lists.",
    )
    histories_per_beam: int = Field(
        default=10_000_000, ge=1_000, le=2_000_000_000, description="Protons simulated per beam, all seeds together."
    )
    max_histories_per_beam: int = Field(
        default=500_000_000,
        ge=1_000,
        le=2_000_000_000,
        description="Protons per beam up to which that number is raised so that each spot gets its share.",
    )
    max_histories_per_batch: int = Field(
        default=10_000_000, ge=1_000, le=1_000_000_000, description="Protons that lie in the GPU's memory at one time."
    )
    seeds: int = Field(
        default=2,
        ge=1,
        le=8,
        description="How often each beam is computed, each time with another seed: moqui reports no uncertainty, it is "
        "told from their differences. With 1 the verdict is `undecided`.",
    )
    seed: int = Field(default=1, ge=0, le=1_000_000_000, description="Seed of the random numbers of the first run.")
    gpus_per_beam: int = Field(
        default=1, ge=1, le=64, description="GPUs that one beam's job may use, where the flavour can use several."
    )
    gpu_base_mib: int = Field(default=2048, ge=1, description="GPU memory in MiB that a job needs whatever the CT.")
    gpu_bytes_per_voxel: int = Field(
        default=64, ge=0, le=100_000, description="GPU memory in bytes that each voxel of the CT needs besides."
    )
    air_mm_water: float = Field(
        default=0.5,
        ge=0,
        le=100,
        description="Water-equivalent thickness in mm of moqui's dense air between the edge of the CT as it is sent "
        "and the skin above which a beam's verdict is `review`.",
    )
    answer_rbe: float = Field(
        default=1.0,
        ge=1.0,
        le=5.0,
        description="RBE factor in the dose of a flavour that cannot be asked for physical dose; it is divided out.",
    )
    answer_extent: Extent = Field(
        default=Extent.FRACTION,
        description="Whether the dose of a flavour that cannot be asked is of one fraction or of the course.",
    )
    time_limit_s: float = Field(
        default=7200.0, gt=0, description="Wall time in seconds after which one beam's job is ended."
    )
    before: tuple[StepOptions, ...] = Field(default=(), description="Programs that run in the job before moqui.")
    after: tuple[StepOptions, ...] = Field(default=(), description="Programs that run in the job after moqui.")

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.flavour not in {*BUILT_IN, *self.flavours}:
            raise ValueError(f"flavour: {self.flavour!r} is none of {', '.join([*BUILT_IN, *self.flavours])}")
        if clash := set(BUILT_IN) & set(self.flavours):
            raise ValueError(f"flavours: {min(clash)} is built in; give yours another name")
        for problem in self._misfits(self.chosen):
            raise ValueError(problem)
        names = [step.name for step in (*self.before, *self.after)]
        if len(set(names)) != len(names):
            raise ValueError("before and after: two steps have the same name")
        return self

    def _misfits(self, flavour: Flavour) -> list[str]:
        """What cannot be had from this flavour."""
        problems = []
        if self.format and self.format not in flavour.formats:
            problems.append(f"format: {flavour.name} writes {', '.join(flavour.formats)}, not {self.format}")
        if self.spots and (self.spots != "plan") != flavour.reads_spots:
            problems.append(f"spots: {flavour.name} reads {'lists' if flavour.reads_spots else 'the plan'}")
        if self.spots == "before" and not self.before:
            problems.append("spots: before needs a step under before that writes the lists")
        if self.seeds > 1 and "{output}" not in flavour.product:
            problems.append(
                f"seeds: {self.seeds} runs would have one product; give the flavour's product the place {{output}}"
            )
        steps = (*self.before, *self.after)
        if self.seeds > 1 and any("{outputs}" in text for step in steps for text in step.templates):
            problems.append(
                "before and after: with several seeds there is no one folder {outputs}; name Outputs-1, Outputs-2"
            )
        if self.gpus_per_beam > 1 and not flavour.several_gpus:
            problems.append(f"gpus_per_beam: {flavour.name} uses one GPU per beam")
        if flavour.physical and (self.answer_rbe != 1 or self.answer_extent is not Extent.FRACTION):
            problems.append(f"answer_rbe and answer_extent: {flavour.name} is asked for physical dose of one fraction")
        return problems

    @property
    def histories(self) -> int | None:
        """Protons simulated per beam, all seeds together."""
        return self.histories_per_beam

    @property
    def built_in(self) -> str:
        """The built-in flavour that is meant, or that a flavour of the site is based on."""
        named = self.flavours.get(self.flavour)
        return named.based_on if named else self.flavour

    @property
    def chosen(self) -> Flavour:
        """The flavour that is meant."""
        named = self.flavours.get(self.flavour)
        return named.build(self.flavour) if named else BUILT_IN[self.flavour]


class MoquiMachineOptions(BaseModel):
    """What moqui needs to know of a machine besides its beam file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    protons_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Protons per MU, where the beam file's column `ratio` is relative; left out where that column is "
        "protons per MU itself.",
    )
    snout_position: float | None = Field(
        default=None,
        gt=0,
        lt=5_000,
        description="Snout position in mm of plans that name none. moqui starts its protons 50 mm upstream of it, and "
        "the beam file's spot sizes hold there.",
    )


class BuiltInMachineOptions(BaseModel):
    """A machine whose beam model is built into the program (flavours fork and clinic)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gantry: int = Field(ge=1, le=99, description="The program's own number of the machine (GantryNum).")
    energies: tuple[float, float] = Field(
        description="Lowest and highest energy in MeV that the built-in model was commissioned for."
    )
    sent_name: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,16}$",
        description="What the plan that is sent calls the machine, where the program compares it; empty: G and gantry.",
    )
    protons_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Flavour fork with spots: csv: protons per MU where the program's own factors are 1. Left out, the "
        "dose is relative and `not_judged`.",
    )
    counts_per_mu: float | None = Field(
        default=None,
        gt=0,
        description="Flavour clinic with spots: csv: counts per MU in the lists that we write, as in machine logs.",
    )
    dose_factor: float | None = Field(
        default=None,
        gt=0,
        description="Flavour clinic, or spots: before: what the program's dose of one beam is multiplied by to be Gy "
        "of one fraction. Left out, the dose is relative and `not_judged`.",
    )
    snout_position: float | None = Field(
        default=None, gt=0, lt=5_000, description="Snout position in mm of plans that name none."
    )

    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this model for this machine; empty: nobody yet."
    )
    commissioned_on: date | None = Field(default=None, description="Day of the commissioning, as YYYY-MM-DD.")

    @field_validator("energies")
    @classmethod
    def _rising(cls, energies: tuple[float, float]) -> tuple[float, float]:
        if not 0 < energies[0] < energies[1]:
            raise ValueError("must be two energies in MeV, the lower one first")
        return energies
