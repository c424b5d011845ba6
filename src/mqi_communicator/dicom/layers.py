"""Reads energy layers from control points (PS3.3 C.8.8.25).

In the standard, control points are in pairs: the first has the spots of a layer, the second ends it with weights of
zero. Some systems write one control point per layer instead. Either way each control point with weight is a layer,
and the cumulative weights must be consistent: if the weights of all layers add up to FinalCumulativeMetersetWeight,
none is counted twice and none is left out.

In line scanning (PS3.3 C.8.8.25.8, LINEAR) a weight is delivered on the way to its position from the one before. The
first position has no way to it: its weight must be 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mqi_communicator.dicom.collector import Collector, tagged
from mqi_communicator.dicom.range_shifters import Settings
from mqi_communicator.dicom.records import Layer, LayerKind
from mqi_communicator.dicom.scan_elements import ScanElements, read_elements, read_size
from mqi_communicator.dicom.scanning import Scanning

if TYPE_CHECKING:
    from pydicom import Dataset

_TOLERANCE = 1e-3  # of the final cumulative weight: weights are float32, their sums were rounded by the TPS
_ENERGIES = (1.0, 1000.0)  # MeV; values outside are no proton energies, but keV or MeV of a whole ion
_FIRST = "0: in line scanning each weight is delivered on the way from the position before, and the first has none"
_VENDOR = "Ask the vendor of the planning system how it writes line scanning."


def read_layers(
    points: list[Dataset], final: float, shifters: Sequence[Settings], scanning: Scanning, collector: Collector
) -> tuple[Layer, ...]:
    """Read the layers of a beam whose FinalCumulativeMetersetWeight is `final` (NaN: already reported).

    `shifters`: the settings of the range shifters at each control point.
    """
    scans = [read_elements(point, collector.of_point(i), private=scanning.private) for i, point in enumerate(points)]
    paired = len(points) % 2 == 0 and not any(after.weights.any() for after in scans[1::2])
    layers: list[Layer] = []
    done, energy = 0.0, math.nan
    adds_up = not collector.problems  # inconsistent weights are one problem, not one per control point
    for index, (point, scan) in enumerate(zip(points, scans, strict=True)):
        here, mine = collector.of_point(index), float(scan.weights.sum())
        before, energy = energy, _energy(point, energy, here)
        if paired and index % 2 and energy != before and not math.isnan(before):
            here.add("beam.energy", f"the energy changes from {before:g} to {energy:g} MeV within a layer")
        if paired and index % 2 and shifters[index] != shifters[index - 1]:
            here.add("beam.range_shifter", f"{tagged('RangeShifterSettingsSequence')} changes within a layer")
        if paired and index % 2 == 0 and not scan.present:
            here.add("beam.no_spots", scan.missing)
            adds_up = False
        adds_up = adds_up and _agrees(point, done, mine, final, here, single=not paired)
        if scan.weights.any():
            size = read_size(point, private=scanning.private)
            spots = scan.positions(here)
            layers.append(Layer(energy, spots, scan.weights, scanning.kind, shifters=shifters[index], size=size))
        done += mine
    if scanning.kind is LayerKind.LINES:
        _check_first(scans, collector)
    if not done > 0:
        collector.add("beam.no_spots", "no spot of the beam has a weight")
    elif adds_up and abs(done - final) > _TOLERANCE * final:
        collector.add(
            "beam.weights",
            f"the spot weights add up to {done:g}, {tagged('FinalCumulativeMetersetWeight')} is {final:g}",
        )
    return tuple(layers)


def _check_first(scans: Sequence[ScanElements], collector: Collector) -> None:
    """Report the first weight that is not 0; if there is one, most layers have one."""
    found = [index for index, scan in enumerate(scans) if scan.weights.size and scan.weights[0] != 0]
    if found:
        scan, here = scans[found[0]], collector.of_point(found[0])
        more = f" ({len(found) - 1} more control points begin with one)" if len(found) > 1 else ""
        tag, first = f"the first of {scan.names[1]}", f"{scan.weights[0]:g}{more}"
        here.add("beam.first_line", first, tag=tag, expected=_FIRST, advice=_VENDOR)


def _energy(point: Dataset, before: float, collector: Collector) -> float:
    """Return NominalBeamEnergy in MeV; a control point without one has that of the previous one."""
    if not math.isnan(before) and point.get("NominalBeamEnergy") is None:
        return before
    energy = collector.measured(point, "NominalBeamEnergy")
    low, high = _ENERGIES
    if not low <= energy <= high and not math.isnan(energy):
        collector.add("beam.energy", f"{energy:g}", tag=tagged("NominalBeamEnergy"), expected="MeV of a proton")
    return energy


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
