"""What dose engines can compute: one row per engine and flavour, and the refusals that follow from it. Pure.

Readers describe a plan; for each feature that the engine lacks, a refusal is made here. `mqi plan`, admission, `mqi
check` and the table in docs/limits.md (`python -m mqi_communicator.dose.abilities`) all come from `FEATURES` and
`TABLE`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from mqi_communicator.dicom.positions import KNOWN, POSITIONS
from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, IonPlan


@dataclass(frozen=True, slots=True)
class Need:
    """How a beam uses a feature."""

    tag: str  # element of the plan
    found: str  # what the plan has
    expected: str  # what an engine without the feature can compute
    clause: str = ""  # replaces "TAG is FOUND, expected EXPECTED"


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature of a plan that an engine may or may not compute."""

    name: str  # a row of the table
    code: str  # of the refusal
    needs: Callable[[Beam], Iterable[Need]]  # how this beam uses it; nothing if it does not
    advice: str = "This engine cannot compute it: check the beam by another method."


def _mode(*modes: str) -> Callable[[Beam], Iterable[Need]]:
    """Used by beams of these scan modes; MODULATED_SPEC is named with its ModulatedScanModeType."""

    def needs(beam: Beam) -> Iterator[Need]:
        if scan_mode(beam) in modes:
            yield Need(_SCAN_MODE, scan_mode(beam), _SPOTS_ONLY)

    return needs


def scan_mode(beam: Beam) -> str:
    """ScanMode, with ModulatedScanModeType (300A,0309) where it is MODULATED_SPEC (PS3.3 C.8.8.25.8)."""
    delivery = beam.delivery
    mode = delivery.scan_mode
    if mode == "MODULATED_SPEC":
        mode = f"{mode} {delivery.scan_type}".rstrip()
    if delivery.private_spots and delivery.scan_mode in ("MODULATED", "MODULATED_SPEC"):
        return f"{mode} with spots in private elements (300B,xx94), (300B,xx96)"
    return mode


def _other_mode(beam: Beam) -> Iterator[Need]:
    if scan_mode(beam) not in _KNOWN_MODES:
        yield Need(_SCAN_MODE, printable(scan_mode(beam)), _SPOTS_ONLY)


def _device(kind: str) -> Callable[[Beam], Iterable[Need]]:
    article = "an" if kind[0] in "aeiou" else "a"

    def needs(beam: Beam) -> Iterator[Need]:
        for device in beam.devices:
            if device.kind == kind:
                clause = f"needs {article} {kind}, {device.tag}: {device.description}"
                yield Need(device.tag, device.description, f"no {kind} in the beam", clause)

    return needs


def _other(element: str, value: Callable[[Beam], str], expected: str) -> Callable[[Beam], Iterable[Need]]:
    def needs(beam: Beam) -> Iterator[Need]:
        if value(beam) != expected:
            yield Need(element, printable(value(beam)), expected)

    return needs


def _turned(beam: Beam) -> Iterator[Need]:
    if beam.position in POSITIONS and beam.position != "HFS":
        yield Need(_POSITION, beam.position, "HFS (head first supine)")


def _other_position(beam: Beam) -> Iterator[Need]:
    """A plan without a position has the CT's, which is checked separately."""
    if beam.position and beam.position not in POSITIONS:
        yield Need(_POSITION, printable(beam.position), KNOWN)


def _motion(expected: str, *, tilt: bool) -> Callable[[Beam], Iterable[Need]]:
    def needs(beam: Beam) -> Iterator[Need]:
        for motion in beam.motions:
            if motion.tilt is tilt:
                clause = f"{motion.tag} {motion.description}, expected {expected}"
                yield Need(motion.tag, motion.description, expected, clause)

    return needs


_POSITION = "PatientPosition (0018,5100)"
_SCAN_MODE, _SPOTS_ONLY = "ScanMode (300A,0308)", "MODULATED, LINE, or MODULATED_SPEC STATIONARY or LINEAR"
_SPOT_MODES = ("MODULATED", "MODULATED_SPEC STATIONARY")
_LINE_MODES = ("LINE", "MODULATED_SPEC LINEAR")
_KNOWN_MODES = frozenset({*_SPOT_MODES, *_LINE_MODES, "MODULATED_SPEC LEAPING", "UNIFORM", "NONE"})
_SHIFTER, _APERTURE, _BOLUS = "range shifter in the beam", "aperture (block)", "bolus"
_TPS = "Plan the beam without it, or check it by another method."

FEATURES = (
    Feature("spot scanning (MODULATED, MODULATED_SPEC STATIONARY)", "beam.scan_mode", _mode(*_SPOT_MODES)),
    Feature("line scanning (LINE, MODULATED_SPEC LINEAR)", "beam.scan_mode", _mode(*_LINE_MODES)),
    Feature("MODULATED_SPEC LEAPING", "beam.scan_mode", _mode("MODULATED_SPEC LEAPING")),
    Feature("uniform scanning (UNIFORM)", "beam.scan_mode", _mode("UNIFORM")),
    Feature("passive scattering (NONE)", "beam.scan_mode", _mode("NONE")),
    Feature("another scan mode", "beam.scan_mode", _other_mode),
    Feature(
        "another radiation than PROTON",
        "beam.radiation",
        _other("RadiationType (300A,00C6)", lambda beam: beam.delivery.radiation, "PROTON"),
    ),
    Feature(
        "another delivery than TREATMENT",
        "beam.delivery_type",
        _other("TreatmentDeliveryType (300A,00CE)", lambda beam: beam.delivery.kind, "TREATMENT"),
    ),
    Feature(
        "another dosimeter unit than MU",
        "beam.unit",
        _other("PrimaryDosimeterUnit (300A,00B3)", lambda beam: beam.delivery.unit, "MU"),
    ),
    Feature(
        "another patient support than TABLE",
        "beam.support",
        _other("PatientSupportType (300A,0350)", lambda beam: beam.delivery.support, "TABLE"),
    ),
    Feature(_SHIFTER, "beam.range_shifter", _device("range shifter"), _TPS),
    Feature(_APERTURE, "beam.aperture", _device("aperture"), _TPS),
    Feature("shielding block", "beam.aperture", _device("shielding block"), _TPS),
    Feature("collimator", "beam.collimator", _device("collimator"), _TPS),
    Feature(_BOLUS, "beam.bolus", _device("bolus"), _TPS),
    Feature("compensator", "beam.compensator", _device("compensator"), _TPS),
    Feature("wedge", "beam.wedge", _device("wedge"), _TPS),
    Feature("range modulator", "beam.range_modulator", _device("range modulator"), _TPS),
    Feature("scatterer or wobbling magnets", "beam.spreader", _device("spreader"), _TPS),
    Feature("tilted couch, gantry or head fixation", "beam.tilt", _motion("0 degrees", tilt=True), _TPS),
    Feature(
        "gantry, couch or isocentre that moves within a beam",
        "beam.arc",
        _motion("one value for the whole beam", tilt=False),
        _TPS,
    ),
    Feature("another patient position than HFS", "beam.position", _turned),
    Feature("a patient who is not lying (SITTING) or is inclined", "beam.position", _other_position),
)


RANGE_SHIFTERS, APERTURES = "range_shifters", "apertures"
COMMISSIONED = {_SHIFTER: RANGE_SHIFTERS, _APERTURE: APERTURES}
"""Features that may need commissioning with the engine, and their keys in machines.NAME.moqui.devices."""
COMPUTED, CONDITIONAL, REFUSED = "computed", "refused until commissioned", "refused"


@dataclass(frozen=True, slots=True)
class Abilities:
    """What one engine in one flavour can compute, by names of FEATURES."""

    engine: str
    flavour: str  # "" where the engine has none
    features: frozenset[str]
    conditional: frozenset[str] = frozenset()  # computed for machines where the site has commissioned them
    commissioned: frozenset[tuple[str, str]] = frozenset()  # machine and key of COMMISSIONED

    @property
    def name(self) -> str:
        """For display: "moqui (upstream)"."""
        return f"{self.engine} ({self.flavour})" if self.flavour else self.engine

    @property
    def description(self) -> str:
        """For display: what it computes, on one line."""
        words = {COMPUTED: "", CONDITIONAL: " (where it is commissioned)"}
        named = ((feature.name, self.cell(feature)) for feature in FEATURES)
        computed = "; ".join(name + words[cell] for name, cell in named if cell in words)
        lacking = sum(self.cell(feature) == REFUSED for feature in FEATURES)
        return f"{self.name} computes {computed}; it refuses {lacking} other features by name (docs/limits.md)"

    def cell(self, feature: Feature) -> str:
        """What the table says of this feature."""
        if feature.name in self.conditional:
            return CONDITIONAL
        return COMPUTED if feature.name in self.features else REFUSED

    def refusals(self, plan: IonPlan) -> tuple[Problem, ...]:
        """The features of the plan that this engine cannot compute, beam by beam; and several positions in one plan."""
        lacking = (
            Problem(
                code=feature.code,
                file=plan.file,
                found=need.found,
                tag=need.tag,
                expected=need.expected,
                advice=self._advice(feature, beam),
                where=where(beam),
                clause=need.clause,
            )
            for beam in plan.beams
            for feature in FEATURES
            if not self._computes(feature, beam)
            for need in feature.needs(beam)
        )
        return (*lacking, *several_positions(plan))

    def _computes(self, feature: Feature, beam: Beam) -> bool:
        if feature.name in self.conditional:
            return (beam.machine, COMMISSIONED[feature.name]) in self.commissioned
        return feature.name in self.features

    def _advice(self, feature: Feature, beam: Beam) -> str:
        if feature.name not in self.conditional:
            return feature.advice
        key = f"machines, {printable(beam.machine)}, {self.engine}, devices, {COMMISSIONED[feature.name]}"
        return (
            f"{self.name} computes it once the site has commissioned it: compare a measured field with its dose, and "
            f"declare who did so, when, and which field, in the configuration under {key}."
        )


def several_positions(plan: IonPlan) -> Iterator[Problem]:
    """Why no engine computes the plan at once, if its beams have several patient positions."""
    first: dict[str, Beam] = {}
    for beam in plan.beams:
        if beam.position:
            first.setdefault(beam.position, beam)
    if len(first) > 1:
        found = " and ".join(f"{printable(position)} for {where(beam)}" for position, beam in first.items())
        advice = "Export one plan per patient position."
        yield Problem("plan.positions", plan.file, found, _POSITION, "one position for all beams", advice)


def where(beam: Beam) -> str:
    """The beam as messages name it: "beam 2 (LAO)"."""
    return f"beam {beam.own_number}" + (f" ({printable(beam.name)})" if beam.name else "")


_SCANNED = frozenset(feature.name for feature in FEATURES[:2])  # lines are cut into spots (`prepare.lines`)
_ALL = _SCANNED | {"another patient position than HFS"}
MCSQUARE = Abilities("mcsquare", "", _ALL | {_SHIFTER, _BOLUS})
TABLE = (
    MCSQUARE,
    Abilities("moqui", "upstream", _ALL | {_BOLUS}, frozenset(COMMISSIONED)),
    *(Abilities("moqui", flavour, _ALL) for flavour in ("fork", "clinic")),  # their conversions are not known
)


def abilities_of(engine: str, flavour: str = "") -> Abilities:
    """The row of an engine and a built-in flavour. KeyError if there is none."""
    return {(one.engine, one.flavour): one for one in TABLE}[engine, flavour]


def markdown() -> str:
    """The table as it is in docs/limits.md: a row per feature, a column per engine and flavour."""
    head = ["| of a plan |", *(f" {one.name} |" for one in TABLE)]
    rows = ["".join(head), "|---|" + "---|" * len(TABLE)]
    for feature in FEATURES:
        cells = (one.cell(feature) for one in TABLE)
        rows.append(f"| {feature.name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(markdown())  # noqa: T201 - this is the purpose of this module
