"""Samples as clinical systems write their exports: one module for each, with a function that rewrites a correct case.

What they have is read off public plans of phantoms and the DICOM standard; every value of a patient or a plan is the
sample's own. The beams stay those of the demo's machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.truth import LINES, SHIFTED, SIZES, THROUGH_COUCH, Size
from mqi_communicator.demo.vendors import eclipse, hitachi, iba, opentps, raystation, sumitomo

COMBINED = frozenset(
    {
        "pass",
        "range-error",
        "scale-error",
        "shift-error",
        "swapped-beams",
        "fraction-dose",
        "sum-mismatch",
        "no-dose",
        "sum-only",
        "missing-slice",
        "no-plan",
        "no-structures",
        "unmapped-machine",
        "unmapped-scanner",
    }
)
"""Kinds of samples that can be written as a vendor's export."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """One system's export."""

    what: str
    manufacturer: str  # of the planning system: the key of its dose convention
    rewrite: Callable[[Draft], None]
    biology: str = "physical"  # of its doses, or "rbe"
    sizes: Mapping[str, Size] = field(default_factory=lambda: SIZES)  # by the name of --size
    outside: str = "as_scanned"  # what it computes outside the body, or "air"


VENDORS: dict[str, Vendor] = {
    "eclipse-varian": Vendor(
        "Eclipse for a Varian ProBeam: magnets, private groups, RBE-weighted doses of 32 bit",
        eclipse.MANUFACTURER,
        eclipse.rewrite,
        "rbe",
    ),
    "eclipse-iba": Vendor(
        "Eclipse for an IBA machine: a range shifter at the nozzle in one beam, with a negative distance in the plan",
        eclipse.MANUFACTURER,
        iba.rewrite,
        "rbe",
        {"tiny": SHIFTED},
    ),
    "raystation": Vendor(
        "RayStation: a beam through couch and range shifter, densities of the couch, a blanket outside the body",
        raystation.MANUFACTURER,
        raystation.rewrite,
        "rbe",
        {"tiny": THROUGH_COUCH},
        "air",
    ),
    "sumitomo-line": Vendor(
        "a Sumitomo machine: line scanning, positions and weights in private elements",
        raystation.MANUFACTURER,
        sumitomo.rewrite,
        "rbe",
        {"tiny": LINES},
        "air",
    ),
    "hitachi": Vendor(
        "a Hitachi PROBEAT: ScanMode MODULATED_SPEC STATIONARY, layers painted twice",
        hitachi.MANUFACTURER,
        hitachi.rewrite,
    ),
    "opentps": Vendor(
        "OpenTPS: one control point per layer, no patient position, beams numbered from 0, dose of the plan alone",
        opentps.MANUFACTURER,
        opentps.rewrite,
    ),
}
"""The systems, by the name of `mqi sample --vendor`."""


def check_combination(vendor: str, kind: str, size: str) -> None:
    """ValueError, with the choices, for an unknown vendor, and a kind or size that it cannot be combined with."""
    if vendor not in VENDORS:
        raise ValueError(f"unknown vendor {vendor!r}; choose from: {', '.join(VENDORS)}")
    if kind not in COMBINED:
        choices = ", ".join(sorted(COMBINED))
        raise ValueError(f"kind {kind!r} has no vendor's form; with --vendor choose from: {choices}")
    if size not in VENDORS[vendor].sizes:
        choices = ", ".join(VENDORS[vendor].sizes)
        raise ValueError(f"vendor {vendor!r} has no size {size!r}; choose from: {choices}")
