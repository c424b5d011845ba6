"""The kinds of samples: the correct case, and variants with one small change each.

To add one, write a function that changes the draft, and a row in _ROWS with a one-line description.
"""

from __future__ import annotations

from collections.abc import Callable

from mqi_communicator.demo import sample_apertures as apertures
from mqi_communicator.demo import sample_densities as densities
from mqi_communicator.demo import sample_files_wrong as files
from mqi_communicator.demo import sample_lines as lines
from mqi_communicator.demo import sample_plans_wrong as plans
from mqi_communicator.demo import sample_shifters as shifters
from mqi_communicator.demo.sample_canary import plant
from mqi_communicator.demo.sample_case import Draft, Uids
from mqi_communicator.demo.sample_positions import lying

_Change = Callable[[Draft], None]


def _nothing(draft: Draft) -> None:
    """Leave the correct case unchanged."""
    del draft


_ROWS: dict[str, tuple[_Change, str]] = {
    "pass": (_nothing, "correct case: the recalculation agrees with the planned dose"),
    "canary": (plant, "correct case of a patient with distinctive name, id and labels to search for"),
    "no-suffix": (files.no_suffix, "correct case in subfolders, file names without .dcm"),
    "setup-beam": (plans.setup_beam, "correct case with a SETUP beam as number 1, treatment beams from 2 on"),
    "prone": (lying("HFP"), "correct case of a patient who lies head first, prone (HFP)"),
    "feet-first": (lying("FFS"), "correct case of a patient who lies feet first, supine (FFS)"),
    "decubitus": (lying("HFDR"), "correct case of a patient who lies head first on the right side (HFDR)"),
    "re-export": (plans.re_export, "the objects of `pass` under the same UIDs, the plan written a day later"),
    "range-error": (
        plans.range_error,
        "energies raised so that beams reach 5 mm deeper, same number of protons; dose unchanged",
    ),
    "scale-error": (files.scale_error, "the planned doses 4 % too high (DoseGridScaling x 1.04)"),
    "shift-error": (plans.shift_error, "the plan's isocentre 3 mm towards the head; dose unchanged"),
    "swapped-beams": (files.swapped_beams, "the doses of the first two beams with exchanged beam numbers"),
    "fraction-dose": (files.fraction_dose, "the planned doses of one fraction instead of the course"),
    "rbe-dose": (files.rbe_dose, "the planned doses multiplied by 1.1 and marked EFFECTIVE"),
    "lying-rbe": (files.lying_rbe, "the planned doses multiplied by 1.1 but still marked PHYSICAL"),
    "sum-mismatch": (files.sum_mismatch, "the plan's dose is 5 % higher than the sum of its beams' doses"),
    "no-dose": (files.no_dose, "no RTDOSE to compare with"),
    "sum-only": (files.sum_only, "an RTDOSE of the plan, none of single beams"),
    "beams-only": (files.beams_only, "an RTDOSE of each beam, none of the plan"),
    "wrong-dose": (files.wrong_dose, "the RTDOSEs belong to another plan"),
    "missing-slice": (files.missing_slice, "one CT slice in the middle is missing"),
    "no-plan": (files.no_plan, "the RTPLAN is missing"),
    "no-structures": (files.no_structures, "the RTSTRUCT is missing"),
    "wrong-structure": (files.wrong_structure, "the RTSTRUCT belongs to another CT"),
    "two-plans": (plans.two_plans, "two different RTPLANs in one folder"),
    "truncated": (files.truncated, "one CT slice is truncated"),
    "zero-byte": (files.zero_byte, "one CT slice is an empty file"),
    "text-as-dcm": (files.text_as_dcm, "correct case with an additional text file named .dcm"),
    "photon-plan": (plans.photon_plan, "an RT Plan with a photon beam instead of an RT Ion Plan"),
    "carbon": (plans.carbon, "a plan of carbon ions"),
    "no-spots": (plans.no_spots, "control points without spot positions and weights"),
    "private-spots": (plans.private_spots, "spots in a manufacturer's private tags (300B,1094) and (300B,1096)"),
    "zero-weights": (plans.zero_weights, "spots whose weights are all zero"),
    "energy-outside": (plans.energy_outside, "layers above the highest energy of the beam model"),
    "energy-uncommissioned": (plans.energy_uncommissioned, "layers below the lowest commissioned energy (100 MeV)"),
    "unmapped-machine": (plans.unmapped_machine, "a treatment machine without a beam model"),
    "unmapped-scanner": (files.unmapped_scanner, "a CT scanner without a conversion curve"),
    "range-shifter": (shifters.range_shifter, "correct case with a range shifter in the first beam, like RayStation"),
    "range-shifter-layers": (
        shifters.range_shifter_layers,
        "correct case with a range shifter in for half of the layers, like Eclipse",
    ),
    "shifter-unknown": (shifters.unknown, "a range shifter that the machine does not have"),
    "shifter-word": (shifters.unknown_word, "a range shifter whose setting is neither in nor out"),
    "shifter-in-body": (shifters.in_body, "a range shifter 30 mm below the skin"),
    "shifter-travel": (shifters.beyond_travel, "a range shifter farther away than the machine can set it"),
    "shifter-thick": (shifters.too_thick, "a range shifter that some layers do not pass"),
    "aperture": (apertures.aperture, "an aperture (block) in the first beam, on the source's side of its tray"),
    "aperture-patient-side": (
        apertures.on_the_patients_side,
        "an aperture in the first beam, on the patient's side of its tray",
    ),
    "aperture-openings": (apertures.two_openings, "an aperture with two openings in the first beam"),
    "aperture-points": (apertures.wrong_count, "an aperture whose number of points is not that of its outline"),
    "bolus": (plans.bolus, "the bone is the bolus of the first beam, and has no density"),
    "bolus-density": (densities.bolus_density, "a bolus with a density that the first beam names; dose unchanged"),
    "unnamed-bolus": (densities.unnamed_bolus, "a bolus with a density in the path of a beam, named by no beam"),
    "couch": (densities.couch, "correct case with a couch that has a density and is longer than the CT"),
    "external-water": (densities.external_water, "EXTERNAL has the properties of water: no fat, bone and lung"),
    "overlap": (densities.overlap, "two structures with different densities overlap in the path of a beam"),
    "metal": (densities.metal, "a structure in the path of the beams has a density beyond the conversion curve"),
    "forgotten-couch": (densities.forgotten_couch, "a plate in the CT and not in the plan; dose unchanged"),
    "couch-pitch": (plans.couch_pitch, "a table pitched by 3 degrees"),
    "line-scan": (lines.line_scan, "ScanMode LINE: each spot drawn out into a line, with the weight on it"),
    "line-private": (lines.line_private, "the same as Sumitomo writes it: implicit VR, private elements of IMPAC"),
    "linear-scan": (lines.linear_scan, "the same as MODULATED_SPEC LINEAR"),
    "leaping-scan": (lines.leaping_scan, "MODULATED_SPEC LEAPING"),
    "line-first": (lines.line_first, "ScanMode LINE with a first weight that is not 0"),
    "line-creator": (lines.line_creator, "ScanMode LINE with private elements of another creator"),
    "uniform-scan": (plans.uniform_scan, "ScanMode UNIFORM: no spots"),
    "passive": (plans.passive, "ScanMode NONE: passive scattering, no spots"),
    "two-fraction-groups": (plans.two_fraction_groups, "a plan of two fraction groups"),
}

KINDS: dict[str, str] = {kind: what for kind, (_, what) in _ROWS.items()}
"""The kinds, with a one-line description each."""

NOT_CONFORMANT = frozenset(
    {"truncated", "zero-byte", "text-as-dcm", "no-spots", "private-spots"}
    | {"line-scan", "line-private", "line-first", "line-creator", "linear-scan", "leaping-scan"}
)
"""Kinds with files that do not conform to DICOM, deliberately or as real systems write them."""


def uids_of(kind: str, size: str, seed: int, vendor: str = "") -> Uids:
    """Return the UIDs of a sample; a re-export has those of the correct case."""
    return Uids(f"{'pass' if kind == 're-export' else kind}|{size}|{seed}{vendor and f'|{vendor}'}")


def apply(kind: str, draft: Draft) -> None:
    """Change the correct case into one of that kind."""
    _ROWS[kind][0](draft)
