"""Samples as clinical systems write their exports: one module for each, with a function that rewrites a correct case.

What they have is read off public plans of phantoms and the DICOM standard; every value of a patient or a plan is the
sample's own. The beams stay those of the demo's machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mqi_communicator.demo.sample_case import Draft
from mqi_communicator.demo.vendors import eclipse, hitachi, opentps

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


VENDORS: dict[str, Vendor] = {
    "eclipse-varian": Vendor(
        "Eclipse for a Varian ProBeam: magnets, private groups, RBE-weighted doses of 32 bit",
        eclipse.MANUFACTURER,
        eclipse.rewrite,
        "rbe",
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


def check_combination(vendor: str, kind: str) -> None:
    """ValueError, with the choices, for an unknown vendor or a kind that it cannot be combined with."""
    if vendor not in VENDORS:
        raise ValueError(f"unknown vendor {vendor!r}; choose from: {', '.join(VENDORS)}")
    if kind not in COMBINED:
        raise ValueError(
            f"kind {kind!r} has no vendor's form; with --vendor choose from: {', '.join(sorted(COMBINED))}"
        )
