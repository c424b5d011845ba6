"""Energy layers out of control points. Control points come in pairs: the first carries the spots of a layer, the
second ends it with zero weights (PS3.3 C.8.8.25). What they say about the cumulative weight must be true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqi_communicator.dicom.records import Layer
from mqi_communicator.dicom.words import Words, named

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

_TOLERANCE = 1e-3  # of the final cumulative weight: weights are float32, their sums were rounded by the TPS
_ENERGIES = (1.0, 1000.0)  # MeV; outside it is no proton therapy, but keV or MeV of a whole ion
_PRIVATE_SPOTS = 0x300B


def read_layers(points: list[Dataset], final: float, words: Words) -> tuple[Layer, ...]:
    """The layers of one beam whose FinalCumulativeMetersetWeight is `final`."""
    if len(points) % 2:
        if _weights(points[-1], words.of_point(len(points) - 1)).any():
            raise words.problem("the last control point has spots with weight; nothing would end them", "beam.last")
        raise words.problem(
            f"{len(points)} control points; they must come in pairs, of which the second has zero weights",
            "beam.control_points",
        )
    layers: list[Layer] = []
    done, energy = 0.0, None
    for index in range(0, len(points), 2):
        first, second = points[index], points[index + 1]
        here = words.of_point(index)
        energy = _energy(first, energy, here)
        if _energy(second, energy, here) != energy:
            raise here.problem("the energy changes between the two control points of one layer", "beam.energy")
        layer = _layer(first, energy, here)
        if _weights(second, words.of_point(index + 1)).any():
            last = index + 2 == len(points)
            what = "the last control point has" if last else "the second control point of a layer has"
            raise words.of_point(index + 1).problem(f"{what} spots with weight, expected zeros", "beam.last")
        _agree(first, done, final, here)
        done += float(layer.weights.sum())
        _agree(second, done, final, words.of_point(index + 1))
        layers.append(layer)
    if done <= 0:
        raise words.problem("no spot of the beam has a weight", "beam.no_spots")
    if abs(done - final) > _TOLERANCE * final:
        raise words.problem(
            f"the spot weights add up to {done:g}, {named('FinalCumulativeMetersetWeight')} says {final:g}",
            "beam.weights",
        )
    return tuple(layers)


def _energy(point: Dataset, before: float | None, words: Words) -> float:
    """NominalBeamEnergy in MeV; a control point that does not say goes on with the one before."""
    if before is not None and point.get("NominalBeamEnergy") is None:
        return before
    energy = words.number(point, "NominalBeamEnergy")
    low, high = _ENERGIES
    if not low <= energy <= high:
        raise words.problem(f"{named('NominalBeamEnergy')} is {energy:g}, expected MeV of a proton", "beam.energy")
    return energy


def _layer(point: Dataset, energy: float, words: Words) -> Layer:
    import numpy as np

    weights = _weights(point, words)
    places = np.atleast_1d(np.asarray(point.get("ScanSpotPositionMap") or (), dtype=np.float64))
    if not weights.size or not places.size:
        _refuse_private_spots(point, words)
        raise words.problem(
            "the layer has no spots: ScanSpotPositionMap (300A,0394) or ScanSpotMetersetWeights (300A,0396) is missing",
            "beam.no_spots",
        )
    count = int(point.get("NumberOfScanSpotPositions") or weights.size)
    if not places.size == 2 * weights.size == 2 * count:
        raise words.problem(
            f"{named('NumberOfScanSpotPositions')} says {count}, there are {weights.size} weights and "
            f"{places.size} coordinates (two per spot)",
            "beam.spot_count",
        )
    if not np.isfinite(places).all():
        raise words.problem("a spot position (300A,0394) is not a finite number", "beam.spots")
    return Layer(energy=energy, spots=places.reshape(-1, 2), weights=weights)


def _weights(point: Dataset, words: Words) -> NDArray[np.float64]:
    """ScanSpotMetersetWeights, empty where there are none."""
    import numpy as np

    value = point.get("ScanSpotMetersetWeights")
    weights = np.atleast_1d(np.asarray(() if value is None else value, dtype=np.float64))
    if not np.isfinite(weights).all() or (weights < 0).any():
        worst = weights[~np.isfinite(weights) | (weights < 0)][0]
        raise words.problem(f"a spot weight (300A,0396) is {worst:g}, expected 0 or more", "beam.weights")
    return weights


def _refuse_private_spots(point: Dataset, words: Words) -> None:
    if any(element.tag.group == _PRIVATE_SPOTS for element in point):
        raise words.problem(
            "the spots stand in private tags (300B,1094) and (300B,1096), which are a manufacturer's own",
            "beam.private_spots",
            "Export the plan with standard spot tags (300A,0394) and (300A,0396).",
        )


def _agree(point: Dataset, weight: float, final: float, words: Words) -> None:
    said = words.number(point, "CumulativeMetersetWeight")
    if abs(said - weight) > _TOLERANCE * final:
        raise words.problem(
            f"{named('CumulativeMetersetWeight')} is {said:g}, the spot weights so far add up to {weight:g}",
            "beam.weights",
        )
