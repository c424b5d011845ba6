"""Judges treatment records and logs against a plan, and writes the result for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.problem import Problem, printable, without_repeats
from mqi_communicator.results.delivered.documents import DeliveryDocument, JudgedFraction, delivery_document
from mqi_communicator.results.delivered.judge import judge_fraction
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.results.table import text
from mqi_communicator.treatment.files import read_deliveries
from mqi_communicator.treatment.fractions import by_fraction
from mqi_communicator.treatment.join import join_all
from mqi_communicator.treatment.sumitomo.options import SumitomoOptions


@dataclass(frozen=True, slots=True)
class Judged:
    """All fractions of a plan that are recorded, and what was refused."""

    fractions: tuple[JudgedFraction, ...]
    refused: tuple[Problem, ...]
    document: DeliveryDocument


def judge_files(files: Sequence[Path], plan_file: Path, config: Path | None) -> Judged | None:
    """Judge the records in files and folders; None if there is none.

    DicomProblem if the plan cannot be read or contradicts itself; Permanent if a file or folder does not exist;
    ConfigProblem if the configuration is invalid.
    """
    options, calibrations = _options(config)
    for path in (*files, plan_file):
        if not path.exists():
            raise Permanent(f"{printable(str(path))} does not exist")
    plan = sound_plan(plan_file)
    found, unread = read_deliveries(files, plan, calibrations)
    joined, contradicting = join_all(plan, found)
    refused = (*unread, *contradicting)
    if not joined and not refused:
        return None
    fractions = tuple(
        JudgedFraction(one, judge_fraction(one, plan, options, refused)) for one in by_fraction(joined, plan.beams)
    )
    problems = tuple(without_repeats([problem for one in refused for problem in one.problems]))
    return Judged(fractions, problems, delivery_document(plan.sop_instance_uid, fractions, problems))


def _options(config: Path | None) -> tuple[JudgementOptions, dict[str, SumitomoOptions]]:
    """The limits, and the calibration of logs by machine."""
    if config is None:
        return JudgementOptions(), {}
    from mqi_communicator.config import load

    loaded = load(config)
    return loaded.judgement, loaded.calibrations


def lines(judged: Judged) -> Iterator[str]:
    """Yield the verdict of each fraction with its checks, and every reason of a refusal."""
    for one in judged.fractions:
        records = len(one.fraction.sources)
        yield f"{one.fraction.label} ({records} {'record' if records == 1 else 'records'})"
        yield from (f"  {line}".rstrip() for line in text(one.verdict).splitlines())
        yield ""
    if judged.refused:
        yield "not judged:"
        yield from (f"  {problem}" for problem in judged.refused)
        yield from (f"    {advice}" for advice in dict.fromkeys(one.advice for one in judged.refused if one.advice))
        yield ""
    yield f"{judged.document.word.value}: {judged.document.why}"
