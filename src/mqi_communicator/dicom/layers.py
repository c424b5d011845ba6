"""Reads energy layers from control points (PS3.3 C.8.8.25).

In the standard, control points are in pairs: the first has the spots of a layer, the second ends it with weights of
zero. Some systems write one control point per layer instead. Either way each control point with weight is a layer,
and the cumulative weights must be consistent: if the weights of all layers add up to FinalCumulativeMetersetWeight,
none is counted twice and none is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.collector import Collector, tagged
from mqi_communicator.dicom.range_shifters import Settings
from mqi_communicator.dicom.records import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.tag import BaseTag

_TOLERANCE = 1e-3  # of the final cumulative weight: weights are float32, their sums were rounded by the TPS
_ENERGIES = (1.0, 1000.0)  # MeV; values outside are no proton energies, but keV or MeV of a whole ion
_NO_SPOTS = "the layer has no spots: ScanSpotPositionMap (300A,0394) or ScanSpotMetersetWeights (300A,0396) is missing"
_PRIVATE_SPOTS = 0x300B
_PRIVATE_CREATORS = frozenset({"", "IMPAC"})  # of line scanning; other manufacturers use the group differently
_PRIVATE_WEIGHTS = 0x96


def read_layers(
    points: list[Dataset], final: float, shifters: Sequence[Settings], collector: Collector
) -> tuple[Layer, ...]:
    """Read the layers of a beam whose FinalCumulativeMetersetWeight is `final` (NaN: already reported).

    `shifters`: the settings of the range shifters at each control point.
    """
    weights = [_weights(point, collector.of_point(index)) for index, point in enumerate(points)]
    paired = len(points) % 2 == 0 and not any(after.any() for after in weights[1::2])
    layers: list[Layer] = []
    done, energy = 0.0, math.nan
    adds_up = not collector.problems  # inconsistent weights are one problem, not one per control point
    for index, (point, mine) in enumerate(zip(points, weights, strict=True)):
        here = collector.of_point(index)
        before, energy = energy, _energy(point, energy, here)
        if paired and index % 2 and energy != before and not math.isnan(before):
            here.add("beam.energy", f"the energy changes from {before:g} to {energy:g} MeV within a layer")
        if paired and index % 2 and shifters[index] != shifters[index - 1]:
            here.add("beam.range_shifter", f"{tagged('RangeShifterSettingsSequence')} changes within a layer")
        if paired and index % 2 == 0 and point.get("ScanSpotMetersetWeights") is None:
            here.add("beam.no_spots", _NO_SPOTS)
            adds_up = False
        adds_up = adds_up and _agrees(point, done, float(mine.sum()), final, here, single=not paired)
        if mine.any():
            layers.append(Layer(energy, _places(point, mine, here), mine, shifters=shifters[index]))
        done += float(mine.sum())
    if not done > 0:
        collector.add("beam.no_spots", "no spot of the beam has a weight")
    elif adds_up and abs(done - final) > _TOLERANCE * final:
        collector.add(
            "beam.weights",
            f"the spot weights add up to {done:g}, {tagged('FinalCumulativeMetersetWeight')} is {final:g}",
        )
    return tuple(layers)


def has_private_spots(point: Dataset) -> bool:
    """Return whether a control point has its spots only in private elements of line scanning.

    Their private creator (300B,0010) is IMPAC or empty.
    """
    if point.get("ScanSpotMetersetWeights") is not None:
        return False
    creators = {element.tag.element: str(element.value or "") for element in point if _is_creator(element.tag)}
    return any(
        element.tag.group == _PRIVATE_SPOTS
        and element.tag.element & 0xFF == _PRIVATE_WEIGHTS
        and creators.get(element.tag.element >> 8, "") in _PRIVATE_CREATORS
        for element in point
    )


def _is_creator(tag: BaseTag) -> bool:
    return bool(tag.group == _PRIVATE_SPOTS and 0x10 <= tag.element <= 0xFF)  # noqa: PLR2004 - PS3.5 7.8.1


def _energy(point: Dataset, before: float, collector: Collector) -> float:
    """Return NominalBeamEnergy in MeV; a control point without one has that of the previous one."""
    if not math.isnan(before) and point.get("NominalBeamEnergy") is None:
        return before
    energy = collector.measured(point, "NominalBeamEnergy")
    low, high = _ENERGIES
    if not low <= energy <= high and not math.isnan(energy):
        collector.add("beam.energy", f"{energy:g}", tag=tagged("NominalBeamEnergy"), expected="MeV of a proton")
    return energy


def _places(point: Dataset, weights: NDArray[np.float64], collector: Collector) -> NDArray[np.float64]:
    """Return ScanSpotPositionMap as (n, 2); no rows, and a problem, if it does not match the weights."""
    places = _floats(point.get("ScanSpotPositionMap"))
    count = int(point.get("NumberOfScanSpotPositions") or weights.size)
    if not places.size:
        collector.add("beam.no_spots", _NO_SPOTS)
    elif not places.size == 2 * weights.size == 2 * count:
        collector.add(
            "beam.spot_count",
            f"{tagged('NumberOfScanSpotPositions')} is {count}, but there are {weights.size} weights and "
            f"{places.size} coordinates (two per spot)",
        )
    elif not np.isfinite(places).all():
        collector.add("beam.spots", "a spot position (300A,0394) is not a finite number")
    else:
        return places.reshape(-1, 2)
    return np.empty((0, 2))


def _weights(point: Dataset, collector: Collector) -> NDArray[np.float64]:
    """Return ScanSpotMetersetWeights; empty if there are none or some are invalid."""
    weights = _floats(point.get("ScanSpotMetersetWeights"))
    wrong = weights[~np.isfinite(weights) | (weights < 0)]
    if wrong.size:
        collector.add("beam.weights", f"a spot weight (300A,0396) is {wrong[0]:g}", expected="0 or more")
        return np.empty(0)
    return weights


def _floats(value: object) -> NDArray[np.float64]:
    """Return the numbers of an FL element. Above 65 534 bytes explicit VR uses UN (PS3.5 6.2.2), read as bytes."""
    if isinstance(value, bytes):
        return np.frombuffer(value, dtype="<f4").astype(np.float64)
    return np.atleast_1d(np.asarray(() if value is None else value, dtype=np.float64))


def _agrees(point: Dataset, done: float, mine: float, final: float, collector: Collector, *, single: bool) -> bool:
    """Return whether CumulativeMetersetWeight (type 2: may be empty) is the weight before the control point's spots.

    Systems that write single control points sometimes leave it empty; the weight after the spots is accepted too.
    """
    value = point.get("CumulativeMetersetWeight")
    if value is None or value == "":
        if not single:
            collector.add("dicom.missing", "", tag=tagged("CumulativeMetersetWeight"), expected="a number")
        return single
    expected = (done, done + mine) if single else (done,)
    if math.isnan(final) or any(abs(float(value) - one) <= _TOLERANCE * final for one in expected):
        return True
    collector.add(
        "beam.weights",
        f"{float(value):g}",
        tag=tagged("CumulativeMetersetWeight"),
        expected=f"{done:g}, the sum of the preceding spot weights",
    )
    return False
