"""The report as data, `report.json`: what the page of a case shows, and what programs may read.

It has the labels and the identity that the report has, and nothing else of a header.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mqi_communicator.dicom.contours import Structure
from mqi_communicator.dicom.records import Biology, DoseType, Extent
from mqi_communicator.report.analysis import Analysis, DvhTable
from mqi_communicator.report.gammas import CEILING
from mqi_communicator.report.page import Facts, Page, Table
from mqi_communicator.results.dvh import Dvh, Histogram

FORMAT = "mqi-report/1"
_ONLY_IN_REPORT = ("machine", "isocentre x, y, z (mm)")  # columns of the beams
_LEVELS = 200  # of each curve
_GAMMA_BINS = 40
_POINTS = (("D98", 98.0), ("D95", 95.0), ("D50", 50.0), ("D2", 2.0))


def record(page: Page, analysis: Analysis, dose_type: DoseType, name: Callable[[Structure], str]) -> bytes:
    """The JSON, in UTF-8. `name` gives the shown name of a structure. Equal reports give equal bytes."""
    sections = {section.title: section.blocks for section in page.sections}
    found = {
        "schema": FORMAT,
        "facts": facts_of(page),
        "beams": _without(_first_table(sections.get("Plan and computation", ())), _ONLY_IN_REPORT),
        "goals": _first_table(sections.get("Clinical goals", ())),
        "dvh": None if analysis.volumes is None else _dvh(analysis.volumes, dose_type, name),
        "gamma": _gamma(analysis),
        "provenance": [_table(block) for block in sections.get("Provenance", ()) if isinstance(block, Table | Facts)],
    }
    return encoded(found)


def facts_of(page: Page) -> list[list[str]]:
    """The names and values on the first page."""
    blocks = [block for section in page.summary for block in section.blocks]
    return next(([list(row) for row in block.rows] for block in blocks if isinstance(block, Facts)), [])


def encoded(fields: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8. Equal fields give equal bytes."""
    return (json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n").encode()


def _first_table(blocks: Sequence[object]) -> dict[str, Any] | None:
    return next((_table(block) for block in blocks if isinstance(block, Table)), None)


def _without(table: dict[str, Any] | None, columns: Sequence[str]) -> dict[str, Any] | None:
    """A table without some columns."""
    if table is None:
        return None
    kept = [number for number, heading in enumerate(table["headings"]) if heading not in columns]
    return table | {
        "headings": [table["headings"][number] for number in kept],
        "rows": [[row[number] for number in kept] for row in table["rows"]],
        "numbers": [at for at, number in enumerate(kept) if number in table["numbers"]],
    }


def _table(block: Table | Facts) -> dict[str, Any]:
    if isinstance(block, Facts):
        return {"headings": [], "rows": [list(row) for row in block.rows], "numbers": [], "outcome": None}
    return {
        "headings": list(block.headings),
        "rows": [list(row) for row in block.rows],
        "numbers": list(block.numbers),
        "outcome": block.outcome_column,
    }


def _dvh(volumes: DvhTable, dose_type: DoseType, name: Callable[[Structure], str]) -> dict[str, Any]:
    """Curves of all structures at the same doses."""
    shown = [made for _, made in volumes.rows]
    top = max((histogram.top for made in shown for histogram in (made.planned, made.computed)), default=0.0)
    levels = np.linspace(0, 1.02 * top, _LEVELS)
    return {
        "unit": "Gy(RBE)" if dose_type.biology is Biology.RBE else "Gy",
        "extent": "whole course" if dose_type.extent is Extent.COURSE else "one fraction",
        "reference": volumes.reference,
        "reference_gy": volumes.reference_gy,
        "step_gy": round(float(levels[1]), 6),
        "structures": [_structure(name(structure), structure.kind, made, levels) for structure, made in volumes.rows],
    }


def _structure(name: str, kind: str, made: Dvh, levels: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": kind,
        "volume_cc": float(f"{made.volume_cc:.4g}"),
        "covered": round(made.covered, 4),
        "planned": _curve(made.planned, levels),
        "computed": _curve(made.computed, levels),
        "values": [
            [label, *(round(dose.dose_at(percent), 4) for dose in (made.planned, made.computed))]
            for label, percent in _POINTS
        ]
        + [["mean", round(made.planned.mean, 4), round(made.computed.mean, 4)]],
    }


def _curve(histogram: Histogram, levels: Any) -> list[float]:
    """% of the volume at each of the doses."""
    own = histogram.step * np.arange(len(histogram.volume))
    return [round(float(part), 2) for part in 100 * np.interp(levels, own, histogram.volume)]


def _gamma(analysis: Analysis) -> dict[str, Any] | None:
    """The histogram of gamma of the plan at the deciding criterion; the last bar has all that is above."""
    if not analysis.gamma:
        return None
    edges = np.linspace(0, CEILING, _GAMMA_BINS + 1)
    counts, _ = np.histogram(np.minimum(analysis.gamma_values, CEILING), edges)
    criterion = next(row.criterion for row in analysis.gamma if row.deciding)
    return {"criterion": criterion.label, "step": CEILING / _GAMMA_BINS, "counts": [int(count) for count in counts]}
