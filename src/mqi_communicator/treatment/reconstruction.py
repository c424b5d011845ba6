"""The plan as it was delivered: the recorded spots of a fraction in place of the planned ones. Pure.

Positions and MU are the recorded ones. A record states no other energy, range shifter or angle than the requested one,
so these are the plan's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.records import FWHM, LayerKind
from mqi_communicator.treatment.joined import JoinedLayer, Pairing
from mqi_communicator.treatment.pieces import merged_within

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.dicom.records import Beam, IonPlan, Layer
    from mqi_communicator.treatment.fractions import Fraction

    Doubles = NDArray[np.float64]

Spots = Mapping[tuple[int, int], "Doubles"]
"""By number of the beam and index of the plan's layer: (n, 3) x mm, y mm, MU of each spot."""

_PART = 4  # pieces of a log are merged to this part of the spot's sigma: centres are less than a third apart
_FINE = 1.0  # mm: pieces of a plan without spot sizes


def obstacles(plan: IonPlan, fraction: Fraction) -> tuple[str, ...]:
    """Why the dose of a fraction cannot be computed from its records, as clauses; empty if it can."""
    recorded = {beam.planned.number for beam in fraction.beams}
    missing = [str(beam.own_number) for beam in plan.beams if beam.number not in recorded]
    found = [f"nothing is recorded of beam {', '.join(missing)}"] if missing else []
    open_beams = [str(beam.planned.own_number) for beam in fraction.beams if not beam.finished]
    found += [f"beam {', '.join(open_beams)} is not recorded to its end"] if open_beams else []
    dark = [
        str(beam.planned.own_number)
        for beam in fraction.beams
        if not any((one.recorded_mu > 0).any() for one in beam.layers)
    ]
    found += [f"the record of beam {', '.join(dark)} has no MU"] if dark else []
    return tuple(found)


def spots_of(fraction: Fraction) -> Spots:
    """The recorded spots that have MU, test pulses among them. Pieces of a log are merged: their MU and centres of
    gravity stay."""
    found: dict[tuple[int, int], Doubles] = {}
    for beam in fraction.beams:
        for layer in beam.layers:
            lit = layer.recorded_mu > 0
            positions, mu = layer.recorded[lit], layer.recorded_mu[lit]
            if layer.pairing is Pairing.WAY and lit.any():
                positions, mu, _ = merged_within(positions, mu, np.zeros(len(mu), dtype=np.int64), _farthest(layer))
            if lit.any():
                found[beam.planned.number, layer.index] = np.column_stack([positions, mu])
    return found


def as_delivered(plan: IonPlan, spots: Spots) -> IonPlan:
    """The plan with these spots; layers without any are left out. The weight of a spot is its MU."""
    return replace(plan, beams=tuple(_beam(beam, spots) for beam in plan.beams))


def _beam(planned: Beam, spots: Spots) -> Beam:
    layers = tuple(
        _layer(layer, spots[planned.number, index])
        for index, layer in enumerate(planned.layers)
        if (planned.number, index) in spots
    )
    total = float(sum(layer.weights.sum() for layer in layers))
    lines = any(layer.kind is LayerKind.LINES for layer in planned.layers)
    delivery = replace(planned.delivery, scan_mode="MODULATED", scan_type="") if lines else planned.delivery
    return replace(planned, layers=layers, meterset=total, final_cumulative_weight=total, delivery=delivery)


def _layer(planned: Layer, spots: Doubles) -> Layer:
    cut = planned.kind is LayerKind.LINES
    return replace(planned, spots=spots[:, :2], weights=spots[:, 2], kind=LayerKind.SPOTS, cut=cut)


def _farthest(layer: JoinedLayer) -> float:
    """How many mm the pieces of a log that are merged are apart at most."""
    return _FINE if layer.size is None else min(layer.size) / FWHM / _PART
