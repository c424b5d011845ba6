"""Generates docs/verdict.md from the models of verdict.json.

python -m mqi_communicator.results.reference > docs/verdict.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from mqi_communicator.case.views import markdown_table
from mqi_communicator.results.documents import (
    CheckDocument,
    ExtensionDocument,
    GoalDocument,
    Unit,
    VerdictDocument,
    as_json,
    verdict_document,
)
from mqi_communicator.results.verdict import Check, CheckOutcome, worst

OUTCOMES = {
    CheckOutcome.PASS: "Every check is within the site's limits for a pass.",
    CheckOutcome.REVIEW: "A check is between its two limits, or beams have no planned dose: a physicist decides.",
    CheckOutcome.UNDECIDED: "The computed dose is too noisy for a verdict, or its uncertainty is unknown.",
    CheckOutcome.NOT_JUDGED: "There is no basis for a verdict; `why` says what is missing. The numbers decide nothing.",
    CheckOutcome.FAIL: "A check is outside both limits, or a required dose is missing.",
}
CHECKS = {  # scope, unit of the value, the value
    "dose_meaning": (
        "plan",
        "",
        "No value. Whether both doses have the same declared dose type (medium, RBE, fractions).",
    ),
    "planned_sum": (
        "plan",
        "%",
        "Difference between the planned plan dose and the sum of the planned beam doses, 99th percentile.",
    ),
    "uncertainty": (
        "plan",
        "%",
        "Relative uncertainty (1 sigma) of the computed dose, mean where planned ≥ 50 % of maximum.",
    ),
    "noise_of_both": (
        "plan",
        "%",
        "Noise (1 sigma) of the difference of two Monte Carlo doses. Present only for the dose of a fraction.",
    ),
    "reconstruction": (
        "plan",
        "MU",
        "MU of the recorded spots whose dose was computed. Present only for the dose of a fraction.",
    ),
    "gamma": ("plan, beams", "%", "Share of the points whose gamma is at most 1."),
    "dose_scale": ("plan, beams", "ratio", "Computed to planned dose, median where planned ≥ 80 % of its maximum."),
    "position_offset": (
        "beams; plan without beam doses",
        "mm",
        "Length of the shift between computed and planned dose; `note` has its direction.",
    ),
    "range_r80": ("beams", "mm", "R80, computed minus planned, median over rays along the beam: above 0 is deeper."),
    "falloff_r80_r20": (
        "beams",
        "mm",
        "Distance from R80 to R20, computed minus planned, median over rays: above 0 is longer.",
    ),
    "penumbra": (
        "beams",
        "mm",
        "Distance from 80 % to 20 % across the beam, computed minus planned, median over edges: above 0 is wider.",
    ),
    "beam_doses": (
        "plan",
        "",
        "No value. Present only if a beam has no planned dose; names it.",
    ),
    "ct_ends": (
        "plan",
        "%",
        "Highest planned dose at or beyond the first and last CT slice, of its maximum; `note` counts the slices.",
    ),
    "ct_slices": (
        "plan",
        "",
        "No value. Present only if unevenly spaced CT slices were interpolated; `note` has their distances.",
    ),
    "patient_position": (
        "plan",
        "",
        "No value. Present only if PatientPosition (0018,5100) is missing or differs in plan or CT; `note` says how.",
    ),
    "approval": ("plan", "", "No value. Present only if ApprovalStatus (300E,0002) is not APPROVED."),
    "intent": ("plan", "", "No value. Present only if PlanIntent (300A,000A) is not the treatment of a patient."),
    "tube_voltage": (
        "plan",
        "",
        "No value. Present only if the CT's KVP (0018,0060) is mixed, or not that of the scanner's conversion.",
    ),
    "source_distance": (
        "beams",
        "%",
        "VirtualSourceAxisDistances (300A,030A) against the beam model's: the larger deviation of x and y.",
    ),
    "doses_set_aside": (
        "plan",
        "",
        "No value. Present only if RTDOSE files are ignored because they are not of this plan; `note` counts them.",
    ),
    "beam_number": (
        "beams",
        "",
        "No value. Present only if the plan's BeamNumber is below 1, so that the beam has another number here.",
    ),
    "line_scanning": (
        "beams",
        "mm",
        "Present only for line scanning: the longest piece into which lines were cut; `note` counts lines and pieces.",
    ),
    "repainting": (
        "beams",
        "",
        "No value. Present only if the beam is painted several times; its dose is that of all paintings together.",
    ),
    "engine_air": (
        "beams",
        "mm",
        "With moqui: water-equivalent thickness of its air between the edge of the CT as sent and the skin.",
    ),
    "range_shifter": (
        "beams",
        "mm",
        "With a range shifter: planned minus declared water-equivalent thickness; `note` has layers and distance.",
    ),
    "overrides": (
        "structures",
        "mm",
        "Water that a structure's own density adds to a ray (below 0: removes), on the ray with most of it.",
    ),
    "removed_material": (
        "beams",
        "mm",
        "With `preparation.outside_body: air`: water outside the body that became air, on the ray with most of it.",
    ),
    "aperture": ("beams", "", "No value. With moqui and an aperture; `note` says how it is computed."),
    "proton_start": (
        "beams",
        "%",
        "With moqui and devices above the protons' start: by how much spots grow because they start farther away.",
    ),
    "clinical_goals": (
        "plan",
        "",
        "Present only if `judgement.goals.check` wants it: goals that are not met or unknown; `note` names three.",
    ),
    "completeness": ("plan", "", "No value. Present only if doses are missing or duplicated; names them."),
    "basis": ("plan", "", "No value. Present only if there is no basis for a verdict; says why."),
}
_DEEPER = "the computed range is 1.9 mm deeper than planned (80 % of the rays are within ± 0.4 mm)"
_EXAMPLE = Check(
    name="range_r80",
    scope="beam 1",
    outcome=CheckOutcome.REVIEW,
    value=1.94,
    unit="mm",
    limit="within ± 1.5 mm pass, ± 2.5 mm review",
    points=160,
    uncertainty=0.0121,
    note=_DEEPER,
)
_HEAD = f"""\
# The verdict's file

After this page you can read `verdict.json`, which is in the results folder of each case, or write a program that does.
The page is generated from the program's models by `python -m mqi_communicator.results.reference`; the JSON Schema is
[`verdict.schema.json`](../src/mqi_communicator/results/verdict.schema.json). Every field is always present; an unknown
value is null, or empty if it is text. `value` and `uncertainty` have four significant digits. No patient is named.
`schema` is the version of the format; page and schema describe the current one. The checks with their default
limits: [validation](validation.md#checks-and-default-limits). What a verdict does not cover: [limits](limits.md). An
example with one of its checks:

```json
{as_json(verdict_document("k3m9t5wq7xab", worst((_EXAMPLE,)))).decode()}```
"""

_GAMMA = """\
## Gamma

The planned dose is the reference, normalised to its own maximum (a local criterion, in the report alone, to each
point's own dose). The computed dose is the evaluated one, on its own grid, trilinear between its voxels. Gamma of a
point is the minimum of √((dose difference / its limit)² + (distance / its limit)²) over **all** positions
(`results/gamma_kernel.py`): the search proceeds outwards and halves boxes of positions until no box can contain a
smaller value. A point passes only if a position within the limits is found; one that fails has a gamma above 0.999.
Values, which only the report shows, are never too small and at most 0.005 too large. A point fails if either dose is
not a number there, or if it is outside the computed grid; positions next to a voxel that is not a number never match.

**Compared with pymedphys**, the reference in the tests (`tests/unit/results/test_gamma_referees.py`), which tries
positions in steps of a tenth of the distance: every point that passes there passes here. Up to 3 % of the points of the
test fields fail there and pass here, for two reasons. On a steep gradient the dose changes by more than its limit from
one step to the next, so that no step hits the matching position; local limits, which are narrow in low dose, increase
this. And near gamma = 1 its value is too large by the effect of up to half a step. With steps of a fiftieth it agrees
for nearly all of these points, and none of them has more than 1.02. Voxels that are not numbers must be replaced by a
high dose for pymedphys; if that is not high enough, it finds a match between such a voxel and its neighbour.
"""


def page() -> str:
    """docs/verdict.md."""
    parts = [
        _HEAD,
        _section("The file", VerdictDocument),
        _section("Each of `checks`", CheckDocument),
        _section("Each of `goals`", GoalDocument),
        _section("`extension`", ExtensionDocument),
        "## Outcomes\n\nFrom best to worst. A verdict is the worst outcome of its checks.\n",
        markdown_table(("outcome", "meaning"), ((f"`{outcome}`", text) for outcome, text in OUTCOMES.items())),
        "## Checks\n\nWhat `value` is, by `name`. A plan of one beam has `gamma` and `dose_scale` once.\n",
        markdown_table(
            ("name", "scope", "unit", "value"),
            ((f"`{name}`", scope, unit, text) for name, (scope, unit, text) in CHECKS.items()),
        ),
        _GAMMA,
    ]
    return "\n".join(parts)


def _section(title: str, model: type[BaseModel]) -> str:
    promise = (model.__doc__ or "").splitlines()[0]
    return f"## {title}\n\n{promise}\n\n{markdown_table(('field', 'type', 'unit', 'meaning'), _fields(model))}"


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    properties = model.model_json_schema(mode="serialization")["properties"]
    for name, field in model.model_fields.items():
        key = field.alias or name
        unit = next((one.text for one in field.metadata if isinstance(one, Unit)), "")
        yield f"`{key}`", _type(properties[key]), unit, field.description or ""


def _type(part: Mapping[str, Any]) -> str:
    """The type of a field as text, from its JSON Schema."""
    if "anyOf" in part:
        return " or ".join(_type(one) for one in part["anyOf"])
    if "$ref" in part:
        return "an outcome" if part["$ref"].endswith("Outcome") else "group"
    if "const" in part:
        return f"`{part['const']}`"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", "array": "list of groups"}
    return names.get(part["type"], str(part["type"]))


if __name__ == "__main__":
    sys.stdout.write(page())
