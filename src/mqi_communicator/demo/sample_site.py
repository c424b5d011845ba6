"""Writes a sample as a case of a site: with the names of its machine, its scanner and its planning system.

The planned dose is still that of the generic beam model: with the site's own model the verdict need not be `pass`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.visible import visible
from mqi_communicator.config import Config
from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.truth import FRACTIONS
from mqi_communicator.dicom.records import Biology, Extent


@dataclass(frozen=True, slots=True)
class SiteNames:
    """The names of a site in the files of a case, and what its planned doses are."""

    machine: str  # TreatmentMachineName
    scanner: tuple[str, str, str]  # Manufacturer, ManufacturerModelName, StationName of the CT
    planning_system: str  # Manufacturer of plan, structure set and doses
    rbe_factor: float  # in the planned doses; 1: physical dose
    fractions: int  # of which the planned doses are; 1 or all


def names_of(config: Config, machine: str, scanner: str = "", planning_system: str = "") -> SiteNames:
    """The names of a configured machine, with a scanner and a planning system; empty: the first of the configuration.

    ActionRequired, with those that there are, for a name that is not configured.
    """
    _configured("machines", config.machines, machine)
    scanner = _configured("scanners", config.scanners, scanner)
    system = _configured("dose_conventions", config.dose_conventions, planning_system)
    convention = config.dose_conventions[system]
    made_by = [*scanner.split("|"), "", ""]
    factor = convention.rbe_factor if convention.biology == Biology.RBE else 1.0
    fractions = 1 if convention.extent == Extent.FRACTION else FRACTIONS
    return SiteNames(machine, (made_by[0], made_by[1], made_by[2]), system, factor, fractions)


def as_of_site(draft: Draft, names: SiteNames) -> None:
    """Give a case the names of a site, and its doses the type that the site declares for its planning system."""
    for ds in draft.objects("CT."):
        ds.Manufacturer, ds.ManufacturerModelName, ds.StationName = names.scanner
    for prefix in ("RP.", "RS.", "RD."):
        for ds in draft.objects(prefix):
            ds.Manufacturer = names.planning_system
    for beam in draft.object("RP.dcm").IonBeamSequence:
        beam.TreatmentMachineName = names.machine
    for dose in draft.objects("RD."):
        scaling = float(dose.DoseGridScaling) * names.rbe_factor * names.fractions / FRACTIONS
        dose.DoseGridScaling = f"{scaling:.9e}"  # a DS has 16 characters at most
        dose.DoseType = "PHYSICAL" if names.rbe_factor == 1.0 else "EFFECTIVE"


def _configured(section: str, known: Mapping[str, object], name: str) -> str:
    """The name if it is configured, or the first one in place of an empty name."""
    if not name and known:
        return next(iter(known))
    if name not in known:
        wanted = f"has no {visible(name)!r} under {section}" if name else f"has nothing under {section}"
        raise ActionRequired(f"the configuration {wanted}", f"configured: {', '.join(known) or 'none'}")
    return name
