"""The formats of `verdict.json` and `manifest.json`, versioned. Neither contains patient data or file names.

The models are the format: `python -m mqi_communicator.results.documents` prints the JSON Schema of the verdict, which
is shipped as `results/verdict.schema.json`; `results.reference` generates docs/verdict.md from them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.case.model import Manifest
from mqi_communicator.results.extension import Extension
from mqi_communicator.results.goal_result import GoalOutcome, GoalResult
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

VERDICT = "verdict.json"
DELIVERY = "delivery.json"  # the verdict on a fraction (`results.delivered.documents`)
MANIFEST = "manifest.json"
SCHEMA = "verdict.schema.json"
_DIGITS = 4  # significant
_OF_FRACTION = (
    "Does the dose that is computed from what the machine recorded of this fraction agree with the recalculated dose "
    "of the plan? It is no evidence of what the patient received."
)
_Digest = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal digits.")


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a field, as an annotation: JSON Schema has none for it."""

    text: str


class CheckDocument(BaseModel):
    """One named check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Stable name of the check, for example gamma or range_r80.")
    scope: str = Field(
        description='"plan", "beam" and the BeamNumber (300A,00C0), or "structure" and the ROINumber (3006,0022).'
    )
    word: CheckOutcome = Field(description="The outcome of this check.")
    value: Annotated[float | None, Unit("see `unit`")] = Field(
        description="The measured number in `unit`; null if nothing could be measured."
    )
    unit: str = Field(description='Unit of the value: "%", "mm", "ratio" (1 where both are equal), or empty.')
    limit: str = Field(description="The limits at the time of the verdict, as text.")
    points: Annotated[int | None, Unit("voxels; rays for a range")] = Field(
        description="Number of voxels or rays; null if not applicable."
    )
    uncertainty: Annotated[float | None, Unit("ratio (0.01 is 1 %)")] = Field(
        description="Relative statistical uncertainty (1 sigma) of the evaluated computed dose; null if unknown or "
        "not applicable."
    )
    note: str = Field(description="One sentence: what the value means, or why there is no verdict.")


_InUnit = Unit("see `unit`")


class GoalDocument(BaseModel):
    """One clinical goal of one structure."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    structure: int = Field(description="ROINumber (3006,0022).")
    goal: str = Field(description="The goal as configured, for example D95% >= 95 %.")
    word: GoalOutcome = Field(
        description="Whether the computed dose meets it: met, not_met, undecided (the limit is between `low` and "
        "`high`, or the noise is unknown) or not_judged (`note` says why)."
    )
    unit: str = Field(description='Unit of limit and values: "Gy", "Gy(RBE)", "cc" or "%" (of prescription or volume).')
    limit: Annotated[float, _InUnit] = Field(description="The limit.")
    planned: Annotated[float | None, _InUnit] = Field(description="Of the planned dose; null if there is none.")
    planned_meets: bool | None = Field(description="Whether the planned dose meets it; null if unknown.")
    computed: Annotated[float | None, _InUnit] = Field(description="Of the computed dose; null if there is none.")
    low: Annotated[float | None, _InUnit] = Field(
        description="The computed value without statistical noise is at least this (2 sigma); null if unknown."
    )
    high: Annotated[float | None, _InUnit] = Field(
        description="The computed value without statistical noise is at most this (2 sigma); null if unknown."
    )
    note: str = Field(description="Why it is undecided or not judged; may be empty.")


_Protons = Unit("protons")


class ExtensionDocument(BaseModel):
    """The declared longer run of a case. Histories are protons per beam."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_histories_per_beam: Annotated[int, _Protons] = Field(
        description="Declared maximum of histories per beam for the longer run."
    )
    first_histories_per_beam: Annotated[int, _Protons] = Field(description="Histories per beam of the first run.")
    histories_per_beam: Annotated[int | None, _Protons] = Field(
        description="Histories per beam of the longer run; null if none is needed."
    )
    made: bool = Field(
        description="Whether this verdict is based on the longer run; if not, one may follow and supersede it."
    )
    note: str = Field(description="Summary as text; may be empty.")


class VerdictDocument(BaseModel):
    """The verdict of one case: the worst outcome of its named checks."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI verdict")

    format: Literal["mqi-verdict/1"] = Field(
        "mqi-verdict/1", alias="schema", description="Name and version of this format."
    )
    case: str = Field(description="The key of the case, 12 letters and digits; not derived from patient data.")
    word: CheckOutcome = Field(description="The verdict: the worst outcome of its checks.")
    why: str = Field(
        description="The cause of the verdict in one sentence: of the deciding checks, that of the one that explains "
        "the others."
    )
    question: str = Field(
        "Does an independent recalculation of this plan agree with the planned dose? It is no evidence of delivery.",
        description="The question that the verdict answers.",
    )
    checks: tuple[CheckDocument, ...] = Field(description="All checks, in the order in which they were made.")
    goals: tuple[GoalDocument, ...] = Field(
        default=(),
        description="Clinical goals of the structures (`judgement.goals`). They decide nothing without a check "
        "`clinical_goals`.",
    )
    constancy: str = Field(
        default="",
        description="Name of the constancy sample; empty for a patient case. A constancy check is not patient QA.",
    )
    fraction: str = Field(
        default="",
        description="The fraction whose dose was computed from what the machine recorded; `planned` is then the "
        "recalculated dose of the plan. Empty for the recalculation of a plan.",
    )
    extension: ExtensionDocument | None = Field(
        default=None, description="The declared longer run; null if none was declared."
    )


class InputDocument(BaseModel):
    """One admitted file, under its opaque name in the spool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stored: str = Field(description="Opaque name in the spool.")
    kind: str = Field(description="CT, RTPLAN, RTSTRUCT, RTDOSE or other.")
    bytes: int = Field(ge=0, description="Size in bytes.")
    sha256: str = _Digest


class OutputDocument(BaseModel):
    """One delivered file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Path relative to the delivered folder.")
    bytes: int = Field(ge=0, description="Size in bytes.")
    sha256: str = _Digest


class RunDocument(BaseModel):
    """The run of a beam whose dose was used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam: int = Field(description="BeamNumber.")
    token: str = Field(description="Name of the job: case key, beam, run.")
    run: int = Field(ge=1, description="Number of the run of this beam.")
    host: str = Field(description="Name of the compute host in the configuration.")
    started: str | None = Field(description="UTC, ISO 8601, by the host's clock.")
    ended: str | None = Field(description="UTC, ISO 8601, by the host's clock.")


class ChainDocument(BaseModel):
    """Position in the event hash chain at delivery, so that a later change of the store is detected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: int = Field(ge=1, description="Number of the last event of the case, counted over the whole store.")
    link: str = _Digest


class ManifestDocument(BaseModel):
    """Provenance of a verdict: software, configuration, inputs, runs, outputs."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI manifest")

    format: Literal["mqi-manifest/1"] = Field("mqi-manifest/1", alias="schema", description="Name and version.")
    case: str = Field(description="The opaque key of the case.")
    content: str = Field(description="Digest of all admitted files.")
    version: str = Field(description="Version of MQI Communicator.")
    configuration: str = Field(description="SHA-256 of the effective configuration.")
    engine: dict[str, str] = Field(description="Versions and digests of engine, beam models and curves.")
    admitted: str | None = Field(description="UTC, ISO 8601.")
    judged: str | None = Field(description="UTC, ISO 8601.")
    judgement: int = Field(1, ge=1, description="Number of this judgement of the case.")
    inputs: tuple[InputDocument, ...] = Field(description="Every admitted file.")
    runs: tuple[RunDocument, ...] = Field(description="The run of each beam.")
    outputs: tuple[OutputDocument, ...] = Field(description="Every delivered file except this one.")
    chain: ChainDocument | None = Field(default=None, description="The event hash chain at delivery.")


def verdict_document(
    case: str, verdict: Verdict, extension: Extension | None = None, constancy: str = "", *, fraction: str = ""
) -> VerdictDocument:
    """The verdict.json of a verdict, numbers rounded to four significant digits. `constancy`: name of the sample.
    `fraction`: the label of the fraction whose dose was computed."""
    question: dict[str, str] = {"question": _OF_FRACTION} if fraction else {}
    return VerdictDocument(
        **question,
        case=case,
        word=verdict.outcome,
        why=verdict.why,
        checks=tuple(check_document(check) for check in verdict.checks),
        goals=tuple(_goal(goal) for goal in verdict.goals),
        constancy=constancy,
        fraction=fraction,
        extension=None if extension is None else _extension(extension),
    )


def _extension(extension: Extension) -> ExtensionDocument:
    return ExtensionDocument(
        max_histories_per_beam=extension.most,
        first_histories_per_beam=extension.first,
        histories_per_beam=extension.second or None,
        made=extension.made,
        note=extension.summary,
    )


def check_document(check: Check) -> CheckDocument:
    """The document of a check, numbers rounded to four significant digits."""
    return CheckDocument(
        name=check.name,
        scope=check.scope,
        word=check.outcome,
        value=rounded(check.value),
        unit=check.unit,
        limit=check.limit,
        points=check.points,
        uncertainty=rounded(check.uncertainty),
        note=check.note,
    )


def _goal(goal: GoalResult) -> GoalDocument:
    facts = asdict(goal)
    numbers = {name: rounded(facts[name]) for name in ("planned", "computed", "low", "high")}
    return GoalDocument(word=facts.pop("outcome"), **facts | numbers)


def check_of(document: CheckDocument) -> Check:
    """The check that a `CheckDocument` was made from, its numbers rounded."""
    facts = document.model_dump()
    return Check(outcome=facts.pop("word"), **facts)


def goal_from(document: GoalDocument) -> GoalResult:
    """The goal that a `GoalDocument` was made from, its numbers rounded."""
    facts = document.model_dump()
    return GoalResult(outcome=facts.pop("word"), **facts)


def rounded(value: float | None) -> float | None:
    """Four significant digits; None if it is not finite, which JSON cannot represent."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{_DIGITS}g}")


def manifest_document(
    case: str,
    admitted: Manifest,
    *,
    version: str,
    configuration: str,
    engine: Mapping[str, str],
    runs: Sequence[RunDocument],
    outputs: Sequence[OutputDocument],
    chain: ChainDocument | None = None,
    judgement: int = 1,
    admitted_at: float | None = None,
    judged_at: float | None = None,
) -> ManifestDocument:
    """The manifest. Times are epoch seconds from the record, not from the clock, so that a repeated delivery has the
    same manifest."""
    inputs = tuple(
        InputDocument(stored=f.stored, kind=str(f.kind), bytes=f.size, sha256=f.sha256)
        for f in sorted(admitted.files, key=lambda f: f.stored)
    )
    return ManifestDocument(
        case=case,
        content=admitted.content,
        version=version,
        configuration=configuration,
        engine=dict(sorted(engine.items())),
        admitted=utc(admitted_at),
        judged=utc(judged_at),
        judgement=judgement,
        inputs=inputs,
        runs=tuple(sorted(runs, key=lambda run: run.beam)),
        outputs=tuple(sorted(outputs, key=lambda output: output.name)),
        chain=chain,
    )


def utc(seconds: float | None) -> str | None:
    """Epoch seconds as ISO 8601 in UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def as_json(document: BaseModel) -> bytes:
    """The document as indented JSON in UTF-8; equal documents give equal bytes."""
    return (document.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def verdict_of(text: bytes | str) -> Verdict:
    """Read a verdict.json. ValueError if it does not have this format version.

    Sections that a later version of the program has added are left out: after going back, results remain readable.
    """
    given = json.loads(text)
    if not isinstance(given, dict):
        raise ValueError("a verdict is an object")  # noqa: TRY004 - as for all that is not a verdict
    known = {field.alias or name for name, field in VerdictDocument.model_fields.items()}
    found = VerdictDocument.model_validate({name: given[name] for name in given.keys() & known})
    return Verdict(found.word, found.why, tuple(map(check_of, found.checks)), tuple(map(goal_from, found.goals)))


def schema_text() -> str:
    """The JSON Schema of verdict.json, draft 2020-12."""
    made = VerdictDocument.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | made, indent=2) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - the output of this command
