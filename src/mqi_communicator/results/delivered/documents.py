"""The format of the verdict on what a machine recorded, `mqi-delivery/1`. No patient data, no names of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.results.documents import CheckDocument, check_document
from mqi_communicator.results.verdict import CheckOutcome, Verdict
from mqi_communicator.treatment.fractions import Fraction

_FROZEN = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class JudgedFraction:
    """One fraction and its verdict."""

    fraction: Fraction
    verdict: Verdict


class RefusalDocument(BaseModel):
    """One reason why a record was not judged."""

    model_config = _FROZEN

    code: str = Field(description="Stable name of the reason.")
    reason: str = Field(description="The reason in one sentence, without the name of a file.")


class FractionDocument(BaseModel):
    """One fraction."""

    model_config = _FROZEN

    fraction: int | None = Field(description="CurrentFractionNumber (3008,0022); null if it is not recorded.")
    label: str = Field(description="The fraction's number, or the date of its records.")
    records: int = Field(description="How many records it has.")
    word: CheckOutcome = Field(description="The verdict: the worst outcome of its checks.")
    why: str = Field(description="The cause of the verdict in one sentence.")
    checks: tuple[CheckDocument, ...] = Field(description="All checks, in the order in which they were made.")


class DeliveryDocument(BaseModel):
    """What machines recorded of the fractions of one plan."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title="MQI delivery verdict")

    format: Literal["mqi-delivery/1"] = Field(
        "mqi-delivery/1", alias="schema", description="Name and version of this format."
    )
    plan: str = Field(description="SOPInstanceUID (0008,0018) of the plan.")
    case: str = Field("", description="Key of the plan's case; empty on the command line.")
    word: CheckOutcome = Field(
        description="The worst outcome of the fractions; not_judged, or worse, if a record was refused."
    )
    why: str = Field(description="The cause in one sentence.")
    question: str = Field(
        "Did the machine record what was planned? It is evidence of what the machine recorded, not of what the patient "
        "received.",
        description="The question that the verdict answers.",
    )
    fractions: tuple[FractionDocument, ...] = Field(description="The fractions in order.")
    refused: tuple[RefusalDocument, ...] = Field(description="Why records were refused; empty if none was.")


def delivery_document(
    plan_uid: str, judged: Sequence[JudgedFraction], refused: Sequence[Problem], case: str = ""
) -> DeliveryDocument:
    """The document of all fractions and refusals. ValueError if there is neither."""
    outcomes = [(one.verdict.outcome, f"{one.fraction.label}: {one.verdict.why}") for one in judged]
    if refused:
        count = len({problem.file for problem in refused})
        why = f"{count} {'record was' if count == 1 else 'records were'} refused: {_sentence(refused[0])}"
        outcomes.append((CheckOutcome.NOT_JUDGED, why))
    if not outcomes:
        raise ValueError("there is neither a fraction nor a refused record")
    word, why = max(outcomes, key=lambda one: one[0].severity)
    return DeliveryDocument(
        plan=plan_uid,
        case=case,
        word=word,
        why=why,
        fractions=tuple(map(_fraction, judged)),
        refused=tuple(RefusalDocument(code=problem.code, reason=_sentence(problem)) for problem in refused),
    )


def _sentence(problem: Problem) -> str:
    return str(replace(problem, file=""))


def _fraction(one: JudgedFraction) -> FractionDocument:
    return FractionDocument(
        fraction=one.fraction.number,
        label=one.fraction.label,
        records=len(one.fraction.sources),
        word=one.verdict.outcome,
        why=one.verdict.why,
        checks=tuple(map(check_document, one.verdict.checks)),
    )
