"""A report.json as the report writes it, with two structures whose curves one can check by hand."""

from __future__ import annotations

import json


def falling(edge: int) -> list[float]:
    """A curve of 101 points: 100 % up to `edge`, then evenly down to 0 % at the end."""
    return [100.0 if at <= edge else round(100 * (100 - at) / (100 - edge), 2) for at in range(101)]


def structure(name: str, edge: int, covered: float = 1.0) -> dict[str, object]:
    return {
        "name": name,
        "kind": "PTV",
        "volume_cc": 14.14,
        "covered": covered,
        "planned": falling(edge),
        "computed": falling(edge - 10),
        "values": [["D95", 9.5, 9.4], ["mean", 10.0, 9.9]],
    }


def reported() -> bytes:
    """0.12 Gy from point to point: the axis ends at 12 Gy."""
    fields = {
        "schema": "mqi-report/1",
        "facts": [["patient id", "MQI-SAMPLE"], ["plan", "TRUNK 10 GY"]],
        "beams": {
            "headings": ["beam", "devices"],
            "rows": [["1", "range shifter RS_3CM IN"]],
            "numbers": [],
            "outcome": None,
        },
        "goals": {
            "headings": ["structure", "goal", "result"],
            "rows": [["Target", "D95% >= 95 %", "not met"]],
            "numbers": [],
            "outcome": 2,
        },
        "dvh": {
            "unit": "Gy",
            "extent": "whole course",
            "reference": "the prescription of 10.00 Gy",
            "reference_gy": 10.0,
            "step_gy": 0.12,
            "structures": [structure("Target", 80), structure("<b>Cord</b>", 40, covered=0.9)],
        },
        "gamma": {"criterion": "3 %/2 mm, global", "step": 0.05, "counts": [100] * 20 + [0] * 19 + [9]},
        "provenance": [
            {"headings": [], "rows": [["software", "MQI Communicator 0.1.0"]], "numbers": [], "outcome": None}
        ],
    }
    return json.dumps(fields).encode()
