"""Writes synthetic QA cases: a correct one, and one for each kind of fault."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.demo.planned import planned_dose
from mqi_communicator.demo.sample_beside import add_others
from mqi_communicator.demo.sample_canary import CANARY
from mqi_communicator.demo.sample_case import Draft, Uids, encode
from mqi_communicator.demo.sample_images import add_ct, add_doses, add_structures
from mqi_communicator.demo.sample_kinds import KINDS, apply, uids_of
from mqi_communicator.demo.sample_plan import add_plan
from mqi_communicator.demo.sample_site import SiteNames, as_of_site
from mqi_communicator.demo.truth import SIZES
from mqi_communicator.demo.vendors import VENDORS, check_combination

__all__ = ["CANARY", "KINDS", "SIZES", "VENDORS", "sample_files", "write_sample"]


def sample_files(
    kind: str = "pass", size: str = "standard", seed: int = 1, vendor: str = "", site: SiteNames | None = None
) -> dict[str, bytes]:
    """Return a case as bytes by relative file name. The same arguments give the same bytes; another seed, other UIDs.

    With a `vendor` it is written as that system's export, with a `site` as a case of that site, which is another case
    than that of the sample's own machine. ValueError, with the choices, for an unknown kind, size or
    vendor, and for a kind that has no vendor's form.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {kind!r}; choose from: {', '.join(KINDS)}")
    if size not in SIZES:
        raise ValueError(f"unknown size {size!r}; choose from: {', '.join(SIZES)}")
    if vendor:
        check_combination(vendor, kind, size)
    draft = draft_case(size, uids_of(kind, size, seed, vendor or (site.machine if site else "")), vendor)
    if site is not None:
        as_of_site(draft, site)
    apply(kind, draft)
    if vendor:
        VENDORS[vendor].rewrite(draft)
    files = sorted(draft.files.items())
    return {name: made if isinstance(made, bytes) else encode(made, draft.writer) for name, made in files}


def draft_case(size: str, uids: Uids, vendor: str = "") -> Draft:
    """Return the correct case, ready to be written or changed; with the beams of a vendor's sample."""
    draft = Draft(VENDORS[vendor].sizes[size] if vendor else SIZES[size], uids)
    add_ct(draft)
    add_structures(draft)
    add_plan(draft)
    doses = planned_dose(draft.size)
    add_doses(draft, doses)
    add_others(draft, doses)
    return draft


def write_sample(
    target: Path,
    *,
    kind: str = "pass",
    size: str = "standard",
    seed: int = 1,
    vendor: str = "",
    site: SiteNames | None = None,
) -> None:
    """Write a case into the folder `target`, which is created if missing; see KINDS, SIZES and VENDORS.

    Not atomic: write the case beside a watched folder and move it in.
    """
    for name, content in sample_files(kind, size, seed, vendor, site).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
