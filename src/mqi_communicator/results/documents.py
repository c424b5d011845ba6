"""What is delivered in words: `verdict.json` and `manifest.json`, versioned. Neither holds a patient or a file name.

The models are the format: `python -m mqi_communicator.results.documents` prints the JSON Schema of the verdict, which
is shipped as `results/verdict.schema.json`; `results.reference` makes docs/verdict.md of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.case.model import Manifest
from mqi_communicator.results.extension import Extension
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

VERDICT = "verdict.json"
MANIFEST = "manifest.json"
SCHEMA = "verdict.schema.json"
_DIGITS = 4  # significant; a check's number is not better than that
_Digest = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 in hexadecimal digits.")


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a number, beside its field: JSON Schema has no word for it."""

    text: str


class CheckDocument(BaseModel):
    """One named check."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Stable name of the check, for example gamma or range_r80.")
    scope: str = Field(description='"plan", or "beam" and the BeamNumber (300A,00C0).')
    word: CheckOutcome = Field(description="What this check says.")
    value: Annotated[float | None, Unit("as `unit` says")] = Field(
        description="The measured number in `unit`; null if nothing could be measured."
    )
    unit: str = Field(description='Unit of the value: "%", "mm", "ratio" (1 where both are equal), or empty.')
    limit: str = Field(description="The limits in words, as they were when it was judged.")
    points: Annotated[int | None, Unit("voxels; rays for a range")] = Field(
        description="How many voxels or rays were counted; null where none are."
    )
    uncertainty: Annotated[float | None, Unit("ratio (0.01 is 1 %)")] = Field(
        description="Relative statistical uncertainty (1 sigma) of the computed dose looked at; null if it is not "
        "known, or none was looked at."
    )
    note: str = Field(description="One sentence: what it means, or why it could not be judged.")


_Protons = Unit("protons")


class ExtensionDocument(BaseModel):
    """One longer run, declared before the case was computed. Histories are protons per beam."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_histories_per_beam: Annotated[int, _Protons] = Field(
        description="Declared: the longer run gets no more histories per beam."
    )
    first_histories_per_beam: Annotated[int, _Protons] = Field(description="Histories per beam of the first run.")
    histories_per_beam: Annotated[int | None, _Protons] = Field(
        description="Histories per beam of the longer run; null if none is wanted."
    )
    made: bool = Field(description="This verdict rests on the longer run; otherwise one may follow and supersede it.")
    note: str = Field(description="In words; empty if there is nothing to say.")


class VerdictDocument(BaseModel):
    """The verdict of one case: the worst of its named checks."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI verdict")

    format: Literal["mqi-verdict/1"] = Field(
        "mqi-verdict/1", alias="schema", description="Name and version of this format."
    )
    case: str = Field(description="The key of the case, 12 letters and digits; it says nothing about the patient.")
    word: CheckOutcome = Field(description="The verdict: the worst word of its checks.")
    why: str = Field(
        description="The verdict in one line: the checks that gave the word, and what the first of them says."
    )
    question: str = Field(
        "Does an independent recalculation of this plan agree with the planned dose? It is no evidence of delivery.",
        description="What the verdict answers.",
    )
    checks: tuple[CheckDocument, ...] = Field(description="Every check, in the order in which they were made.")
    constancy: str = Field(
        default="",
        description="Name of the constancy sample; empty for a patient's case. Constancy is no patient's QA.",
    )
    extension: ExtensionDocument | None = Field(
        default=None, description="The one longer run that was declared beforehand; null if none was."
    )


class InputDocument(BaseModel):
    """One admitted file, under the opaque name that it has here."""

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
    """The one run of a beam whose dose counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    beam: int = Field(description="BeamNumber.")
    token: str = Field(description="Names the job: case key, beam, run.")
    run: int = Field(ge=1, description="Which run of the beam it was.")
    host: str = Field(description="Name of the host in the configuration.")
    started: str | None = Field(description="UTC, ISO 8601, by the host's clock.")
    ended: str | None = Field(description="UTC, ISO 8601, by the host's clock.")


class ChainDocument(BaseModel):
    """Where the chain of events stood: who rewrites the store cannot rewrite what was delivered."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    event: int = Field(ge=1, description="Number of the last event of the case; all events of the store are counted.")
    link: str = _Digest


class ManifestDocument(BaseModel):
    """Everything that made the number."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI manifest")

    format: Literal["mqi-manifest/1"] = Field("mqi-manifest/1", alias="schema", description="Name and version.")
    case: str = Field(description="The opaque key of the case.")
    content: str = Field(description="One digest of all that was admitted.")
    version: str = Field(description="Version of MQI Communicator.")
    configuration: str = Field(description="SHA-256 of the effective configuration.")
    engine: dict[str, str] = Field(description="Versions and digests of engine, beam models and curves.")
    admitted: str | None = Field(description="UTC, ISO 8601.")
    judged: str | None = Field(description="UTC, ISO 8601.")
    judgement: int = Field(1, ge=1, description="Which judgement of the case this is.")
    inputs: tuple[InputDocument, ...] = Field(description="Every admitted file.")
    runs: tuple[RunDocument, ...] = Field(description="The run of each beam.")
    outputs: tuple[OutputDocument, ...] = Field(description="Every delivered file but this one.")
    chain: ChainDocument | None = Field(default=None, description="The chain of events at delivery.")


def verdict_document(
    case: str, verdict: Verdict, extension: Extension | None = None, constancy: str = ""
) -> VerdictDocument:
    """The verdict as it is delivered, numbers rounded to four significant digits. `constancy`: the sample's name."""
    return VerdictDocument(
        case=case,
        word=verdict.outcome,
        why=verdict.why,
        checks=tuple(_check(check) for check in verdict.checks),
        constancy=constancy,
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


def _check(check: Check) -> CheckDocument:
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


def check_of(document: CheckDocument) -> Check:
    """The check that a `CheckDocument` was made from, its numbers rounded."""
    facts = document.model_dump()
    return Check(outcome=facts.pop("word"), **facts)


def rounded(value: float | None) -> float | None:
    """Four significant digits; None for what is not a finite number, which JSON does not know."""
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
    """The manifest. Times are epoch seconds that come from the record, never from the clock: a repeated delivery has
    the same manifest."""
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


def as_json(document: VerdictDocument | ManifestDocument) -> bytes:
    """The document as it is written: UTF-8, indented, the same bytes each time."""
    return (document.model_dump_json(by_alias=True, indent=2) + "\n").encode()


def verdict_of(text: bytes | str) -> Verdict:
    """Read a verdict.json back. ValueError if it is not one of this version."""
    found = VerdictDocument.model_validate_json(text)
    return Verdict(found.word, found.why, tuple(check_of(check) for check in found.checks))


def schema_text() -> str:
    """The JSON Schema of verdict.json, draft 2020-12."""
    made = VerdictDocument.model_json_schema(by_alias=True, mode="serialization")
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | made, indent=2) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - this is what it is for
