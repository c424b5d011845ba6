"""What a dose is based on: the machines' beam models and the scanners' curves, and whether it may be judged."""

from __future__ import annotations

import hashlib
import math
import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.optics import sigma_at, unsendable
from mqi_communicator.dose.range_shifter import RangeShifter

DEMO_MACHINE = "MQI-DEMO"  # the machine of the sample cases: the example model is its model
EXAMPLE_MODELS = frozenset(  # the beam models that come with the engine, LF line ends
    {
        "4a1c050ba63ed63bdcda59fa1c99608d5f979b56d1b144ff6cf13779820d9b96",  # BDL_default_DN_RangeShifter.txt
        "113a94628a8182dedfd7a4f0fadb628f4e872d2b8f69d31206700165d83e5c1e",  # BDL_default_UN_RangeShifter.txt
    }
)
EXAMPLE_CURVES = frozenset(  # UCL_Toshiba/HU_Density_Conversion.txt
    {"904f0be93603f46d537c9e44735aee0411a7f08e0ce3f2e53e51cdc9c79735ee"}
)
_FAR = 2000.0  # mm, for a library without the distances of its magnets


@dataclass(frozen=True, slots=True)
class BeamModel:
    """One machine's beam data library. Rows by ascending nominal energy."""

    text: bytes  # LF line ends
    nominal: tuple[float, ...]  # MeV
    mean: tuple[float, ...]  # MeV
    protons: tuple[float, ...]  # protons per MU
    commissioning: Commissioning = field(default_factory=Commissioning)
    table: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # every column, by optics.COLUMNS
    shifters: Mapping[str, RangeShifter] = field(default_factory=dict)  # of the machine, by RangeShifterID

    @property
    def sha256(self) -> str:
        """Digest of the LF-normalised text."""
        return hashlib.sha256(self.text).hexdigest()

    @property
    def span(self) -> str:
        """The energies for display."""
        return f"{self.nominal[0]:g} to {self.nominal[-1]:g} MeV"

    @property
    def sad(self) -> tuple[float, float]:
        """The x and y magnet's distances from the isocentre in mm, from the library; 2 m if it has none."""
        x, y = self._distance("SMX"), self._distance("SMY")
        return x or _FAR, y or _FAR

    def _distance(self, of: str) -> float | None:
        """The distance in mm of something from the isocentre; None if the library does not have it."""
        found = re.search(rf"^{of} to Isocenter distance.*\n\s*([0-9.]+)".encode(), self.text, re.MULTILINE)
        return float(found[1]) if found else None

    def spot_sigma(self, energy: float) -> float:
        """Sigma in mm in air at the isocentre of spots of this nominal energy (MeV), the narrower axis; NaN outside the
        table, or if the library has no optics."""
        distance = self._distance("Nozzle exit")
        if not self.covers(energy) or not self.table or distance is None:
            return math.nan
        return sigma_at(self._row(energy), distance)

    def covers(self, energy: float) -> bool:
        """Whether this nominal energy (MeV) lies within the table. The engine extrapolates without a warning."""
        return self.nominal[0] <= energy <= self.nominal[-1]

    def protons_per_mu(self, energy: float) -> float:
        """Protons per MU at this nominal energy (MeV), linear between rows, as the engine itself weights layers."""
        return _between(energy, self.nominal, self.protons)

    def unsendable(self, energy: float) -> str:
        """Why the engine would send no protons of a layer of this nominal energy (MeV), "" if it sends them. Between
        rows a correlation may pass through zero."""
        return unsendable(self._row(energy)) if self.table else ""

    def _row(self, energy: float) -> dict[str, float]:
        return {name: _between(energy, self.nominal, values) for name, values in self.table.items()}

    def mean_energy(self, energy: float) -> float:
        """Mean energy in MeV of protons of this nominal energy (MeV), linear between rows."""
        return _between(energy, self.nominal, self.mean)


@dataclass(frozen=True, slots=True)
class Curve:
    """One scanner's conversion from HU, in the engine's own two files."""

    density: bytes  # HU, g/cm3; LF line ends
    material: bytes  # HU, material label; LF line ends
    commissioning: Commissioning = field(default_factory=Commissioning)
    kvp: float | None = None  # kV of the CTs that it was made for

    @property
    def digests(self) -> tuple[str, str]:
        """sha256 of the density and of the material file."""
        return hashlib.sha256(self.density).hexdigest(), hashlib.sha256(self.material).hexdigest()


def model_of(beam: Beam, models: Mapping[str, BeamModel]) -> BeamModel:
    """The beam's model. ActionRequired, naming the machine and what to add, if there is none."""
    if beam.machine in models:
        return models[beam.machine]
    raise ActionRequired(
        f"beam {beam.number} is for treatment machine {beam.machine!r}, which has no beam model in the configuration",
        f"add to the configuration, under machines, the key {beam.machine!r} with beam_model, sha256, "
        f"commissioned_by and commissioned_on, and restart the communicator; known machines: {_known(models)}",
    )


def check_optics(beam: Beam, model: BeamModel) -> None:
    """Verify that the engine sends every layer's protons. DicomProblem, naming beam and layer, if it would omit one."""
    for index, layer in enumerate(beam.layers, start=1):
        if problem := model.unsendable(layer.energy):
            raise DicomProblem(
                f"beam {beam.number}, layer {index} ({layer.energy:g} MeV): between the model's rows {problem}",
                "add a row for this energy to the beam model and commission it",
                code="dose.beam_model",
            )


def curve_of(ct: CTVolume, curves: Mapping[str, Curve]) -> Curve:
    """The CT's conversion curve. ActionRequired, naming the scanner and what to add, if there is none."""
    if ct.scanner in curves:
        return curves[ct.scanner]
    raise ActionRequired(
        f"the CT is of scanner {ct.scanner!r}, which has no conversion curve in the configuration",
        f"add to the configuration, under scanners, the key {ct.scanner!r} with density, density_sha256, material, "
        f"material_sha256, commissioned_by and commissioned_on, and restart the communicator; "
        f"known scanners: {_known(curves)}",
    )


def reasons_not_to_judge(
    plan: IonPlan, ct: CTVolume, models: Mapping[str, BeamModel], curves: Mapping[str, Curve]
) -> list[str]:
    """One sentence for each reason why a dose of this plan must not be judged; empty if it may be."""
    machines = sorted({beam.machine for beam in plan.beams})
    found = [sentence for name in machines for sentence in _machine_reasons(name, models.get(name))]
    found += [sentence for beam in plan.beams for sentence in _shifter_reasons(beam, models.get(beam.machine))]
    curve = curves.get(ct.scanner)
    if curve is None:
        found.append(f"scanner {ct.scanner!r} has no conversion curve in the configuration")
    elif curve.digests[0] in EXAMPLE_CURVES:
        if machines != [DEMO_MACHINE]:
            found.append(f"scanner {ct.scanner!r} uses the engine's example curve, which describes another scanner")
    elif not curve.commissioning:
        found.append(f"the conversion curve of scanner {ct.scanner!r} has no commissioned_by and commissioned_on")
    return list(dict.fromkeys(found))


def _shifter_reasons(beam: Beam, model: BeamModel | None) -> list[str]:
    """For each range shifter in a prepared beam that nobody commissioned."""
    used = {one.id for layer in beam.layers for one in layer.shifters}
    if model and model.sha256 in EXAMPLE_MODELS:
        return []  # of the samples' machine, or reported with the machine
    known = model.shifters if model else {}
    return [
        f"range shifter {name!r} of machine {beam.machine!r} has no commissioned_by and commissioned_on"
        for name in sorted(used)
        if name not in known or not known[name].commissioning
    ]


def _machine_reasons(name: str, model: BeamModel | None) -> list[str]:
    if model is None:
        return [f"machine {name!r} has no beam model in the configuration"]
    if model.sha256 in EXAMPLE_MODELS:
        own = name == DEMO_MACHINE
        return (
            [] if own else [f"machine {name!r} uses the engine's example beam model, which describes no real machine"]
        )
    return (
        []
        if model.commissioning
        else [f"the beam model of machine {name!r} has no commissioned_by and commissioned_on"]
    )


def _between(at: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if not xs[0] <= at <= xs[-1]:
        raise ValueError(f"{at} MeV is outside the beam model's {xs[0]} to {xs[-1]} MeV")
    upper = bisect_left(xs, at)
    if xs[upper] == at:
        return ys[upper]
    share = (at - xs[upper - 1]) / (xs[upper] - xs[upper - 1])
    return ys[upper - 1] + share * (ys[upper] - ys[upper - 1])


def _known(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"
