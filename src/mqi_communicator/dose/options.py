"""Settings of dose engine, treatment machines and CT scanners."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from mqi_communicator.dicom.configured import DicomText
from mqi_communicator.dose.mcsquare.options import MCsquareOptions
from mqi_communicator.dose.moqui.options import BuiltInMachineOptions, MoquiMachineOptions, MoquiOptions
from mqi_communicator.dose.range_shifter_options import RangeShifterOptions
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions

_SHA256 = r"^[0-9a-f]{64}$"
Keys = tuple[str, ...]


class MachineOptions(BaseModel):
    """The beam model of one treatment machine; the key above it is the plan's TreatmentMachineName."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam_model: Path = Field(
        description="Beam model file on this machine: MCsquare's beam data library, or moqui's beam file."
    )
    sha256: str = Field(pattern=_SHA256, description="sha256 of the commissioned beam model.")
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this model for this machine; empty: not commissioned."
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")
    moqui: MoquiMachineOptions | None = Field(
        default=None, description="With kind: moqui, settings that its beam file lacks."
    )
    range_shifters: dict[DicomText, RangeShifterOptions] = Field(
        default_factory=dict, description="Range shifters of this machine, by RangeShifterID (300A,0318) of the plan."
    )
    logs: SumitomoOptions | None = Field(
        default=None, description="Calibration of the machine's logs, for `mqi delivery`."
    )


TubeVoltage = Annotated[
    float | None,
    Field(
        gt=0,
        le=500,
        description="Tube voltage in kV for which the conversion was made; a CT with another KVP (0018,0060) is for "
        "review, and nothing is compared if this is unset.",
    ),
]


class ScannerOptions(BaseModel):
    """MCsquare's curve of one scanner; the key above it is "Manufacturer|ManufacturerModelName|StationName"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    density: Path = Field(description="File that maps HU to mass density in g/cm3 (HU_Density_Conversion.txt).")
    density_sha256: str = Field(pattern=_SHA256, description="sha256 of the commissioned density file.")
    material: Path = Field(description="File that maps HU to MCsquare material labels (HU_Material_Conversion.txt).")
    material_sha256: str = Field(pattern=_SHA256, description="sha256 of the commissioned material file.")
    kvp: TubeVoltage = None
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned this curve for this scanner; empty: not commissioned."
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")


class CalibrationOptions(BaseModel):
    """The conversion built into moqui: its only one, which is still commissioned for each scanner."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Literal["default"] = Field(description="Name of the conversion built into moqui.")
    kvp: TubeVoltage = None
    commissioned_by: str = Field(
        default="", max_length=200, description="Who commissioned it for this scanner; empty: not commissioned."
    )
    commissioned_on: date | None = Field(default=None, description="Date of commissioning, YYYY-MM-DD.")


def _value_of(value: Any, key: str) -> Any:
    """Return a group's value of a key, from a dictionary or a model."""
    return value.get(key) if isinstance(value, dict) else getattr(value, key, None)


def _kind(value: Any) -> str:
    return str(_value_of(value, "kind") or "mcsquare")


def _machine(value: Any) -> str:
    return "beam model" if _value_of(value, "gantry") is None else "built in"


def _scanner(value: Any) -> str:
    return "curve" if _value_of(value, "calibration") is None else "built in"


EngineOptions = Annotated[
    Annotated[MCsquareOptions, Tag("mcsquare")] | Annotated[MoquiOptions, Tag("moqui")], Discriminator(_kind)
]
AnyMachine = Annotated[
    Annotated[MachineOptions, Tag("beam model")] | Annotated[BuiltInMachineOptions, Tag("built in")],
    Discriminator(_machine),
]
AnyScanner = Annotated[
    Annotated[ScannerOptions, Tag("curve")] | Annotated[CalibrationOptions, Tag("built in")], Discriminator(_scanner)
]


def misfits(
    engine: MCsquareOptions | MoquiOptions,
    machines: Mapping[str, MachineOptions | BuiltInMachineOptions],
    scanners: Mapping[str, ScannerOptions | CalibrationOptions],
) -> Iterator[tuple[Keys, str]]:
    """Yield machines and scanners that are configured for another engine: key and what is wrong."""
    moqui = engine if isinstance(engine, MoquiOptions) else None
    file_wanted = moqui is None or moqui.chosen.reads_beam_file
    who = "mcsquare" if moqui is None else f"moqui ({moqui.flavour})"
    for name, machine in machines.items():
        if isinstance(machine, BuiltInMachineOptions) and file_wanted:
            yield ("machines", name, "gantry"), f"{who} needs a beam_model with its sha256, not a gantry number"
        elif isinstance(machine, MachineOptions) and not file_wanted:
            yield ("machines", name, "beam_model"), f"{who} has built-in beam models: set gantry and energies instead"
        elif isinstance(machine, MachineOptions) and machine.moqui and moqui is None:
            yield ("machines", name, "moqui"), "is valid only with kind: moqui"
    for name, scanner in scanners.items():
        if isinstance(scanner, CalibrationOptions) and moqui is None:
            yield ("scanners", name, "calibration"), f"{who} needs density and material files"
        elif isinstance(scanner, ScannerOptions) and moqui is not None:
            yield ("scanners", name, "density"), f"{who} has a built-in conversion: set calibration: default instead"
