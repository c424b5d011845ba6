"""The errors of each layer of a fraction as a map: beams, quantities, layers. Reads `report.json` of the fraction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mqi_communicator.case.numbers import fixed
from mqi_communicator.case.views import CaseView
from mqi_communicator.web import delivered
from mqi_communicator.web.context import Folders
from mqi_communicator.web.record import NAME

_FORMAT = "mqi-delivery-report/1"
_QUANTITIES = (  # outcome and value in the file, shown name, unit
    ("mu", "mu_percent", "MU", "%"),
    ("mean_offset", "mean_offset_mm", "mean offset", "mm"),
    ("largest_offset", "largest_offset_mm", "worst spot", "mm"),
    ("fluence", "fluence_percent", "fluence", "%"),
)
_DIGITS = 2  # as values are judged


@dataclass(frozen=True, slots=True)
class Cell:
    """One quantity of one layer."""

    word: str  # pass, review or fail; "" if there is no value
    text: str


@dataclass(frozen=True, slots=True)
class Strip:
    """One quantity of all layers of a beam."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class BeamMap:
    """One beam."""

    beam: int
    layers: int
    strips: tuple[Strip, ...]


def layer_map(case: CaseView, folders: Folders) -> tuple[BeamMap, ...]:
    """The map of a fraction's delivered results; empty where there is no report. ValueError if it cannot be read."""
    found = delivered.content(case, folders, NAME)
    return () if found is None else read_map(found[1])


@lru_cache(maxsize=16)
def read_map(data: bytes) -> tuple[BeamMap, ...]:
    """The map in a report.json; empty if it has another format, or is of a version that recorded no outcomes."""
    fields = json.loads(data)
    if fields.get("schema") != _FORMAT:
        return ()
    by_beam: dict[int, list[Mapping[str, Any]]] = {}
    for layer in fields["layers"]:
        if "outcomes" in layer:
            by_beam.setdefault(int(layer["beam"]), []).append(layer)
    return tuple(_beam(number, layers) for number, layers in by_beam.items())


def _beam(number: int, layers: Sequence[Mapping[str, Any]]) -> BeamMap:
    strips = tuple(
        Strip(shown, tuple(_cell(layer, outcome, name, unit) for layer in layers))
        for outcome, name, shown, unit in _QUANTITIES
    )
    return BeamMap(number, len(layers), strips)


def _cell(layer: Mapping[str, Any], outcome: str, name: str, unit: str) -> Cell:
    where = f"layer {layer['layer']}, {layer['energy_mev']:g} MeV"
    value = _mu_percent(layer) if name == "mu_percent" else layer[name]
    word = layer["outcomes"][outcome]
    if value is None or word is None:
        return Cell("", f"{where}: no value")
    return Cell(word, f"{where}: {fixed(value, _DIGITS, sign=name == 'mu_percent')} {unit}, {word}")


def _mu_percent(layer: Mapping[str, Any]) -> float | None:
    planned = float(layer["planned_mu"])
    return 100 * (float(layer["recorded_mu"]) / planned - 1) if planned else None
