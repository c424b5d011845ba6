"""Joins a recorded delivery to its plan, or names every contradiction. Pure.

A delivery belongs to the plan that it names, and to the beam whose BeamNumber it names. Energies, layers and the
positions of the spots must then be those of this beam: a record of another beam, or of another version of the plan, is
refused and never judged. The MU do not decide: they are what is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.recorded import CONTINUATION, NORMAL, RecordedBeam, RecordedDelivery, RecordedLayer
from mqi_communicator.treatment.joined import JoinedBeam, JoinedLayer, Pairing
from mqi_communicator.treatment.pairing import index_base, partners_of

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, IonPlan, Layer

SAME_ENERGY = 0.05  # MeV: energies are written with one or more decimals
CORRELATION = 0.99  # of recorded and planned positions of a layer
FARTHEST = 10.0  # mm: a layer farther from its place on average is that of another beam
_ONCE = 0.9  # of the spots: without indices, at least so many must belong to spots of their own
_SCATTER = 1.0  # mm RMS: a layer of few spots that agree so well fits, whatever the correlation
_ROUNDING = 1e-9
_OTHER = "Judge it with the plan that was delivered; if it was this one, ask why the record differs."
_Pieces = list[tuple[RecordedLayer, int]]  # each recorded layer, and the index of the plan's layer


def join(plan: IonPlan, delivery: RecordedDelivery) -> tuple[tuple[JoinedBeam, ...], tuple[Problem, ...]]:
    """Join every beam of the delivery to the plan. With a problem none of it may be judged."""
    if delivery.plan_uid != plan.sop_instance_uid:
        found = "the record is of another plan: it refers to another SOPInstanceUID (0008,0018)"
        return (), (Problem("join.plan", delivery.source, found, advice=_OTHER),)
    problems: list[Problem] = []
    beams = [beam for one in delivery.beams if (beam := _beam(plan, delivery, one, problems)) is not None]
    return tuple(beams), tuple(problems)


def _beam(
    plan: IonPlan, delivery: RecordedDelivery, recorded: RecordedBeam, problems: list[Problem]
) -> JoinedBeam | None:
    planned = next((beam for beam in plan.beams if beam.own_number == recorded.number), None)
    numbers = ", ".join(str(beam.own_number) for beam in plan.beams)
    if planned is None:
        found = f"the plan has no treatment beam {recorded.number}, only {numbers}"
        problems.append(Problem("join.beam", delivery.source, found, advice=_OTHER))
        return None
    where = f"beam {recorded.number}"

    def report(code: str, found: str) -> None:
        problems.append(Problem(code, delivery.source, found, advice=_OTHER, where=where))

    before = len(problems)
    for energy in _unknown_energies(recorded, planned):
        report("join.energy", f"a recorded layer has {energy:g} MeV, which no layer of the planned beam has")
    if len(problems) > before:
        return None
    pieces = _assigned(recorded, planned)
    for found in _wrong_layers(recorded, planned, [index for _, index in pieces]):
        report("join.layers", found)
    base = index_base([(piece, planned.layers[index]) for piece, index in pieces])
    if base is None:
        report("join.indices", "ScanSpotPrescribedIndices (300A,0391) are beyond the spots of the planned layer")
        return None
    layers = [_layer(planned, index, pieces, base) for index in sorted({index for _, index in pieces})]
    for layer in layers:
        if found := _wrong_map(layer):
            report("join.spots", f"layer {layer.index + 1} ({layer.energy:g} MeV): {found}")
    return None if len(problems) > before else JoinedBeam(delivery, recorded, planned, tuple(layers))


def _unknown_energies(recorded: RecordedBeam, planned: Beam) -> list[float]:
    """The recorded energies that no layer of the plan has, each once."""
    known = np.asarray([layer.energy for layer in planned.layers])
    unknown = [one.energy for one in recorded.layers if not (np.abs(known - one.energy) <= SAME_ENERGY).any()]
    return list(dict.fromkeys(unknown))


def _assigned(recorded: RecordedBeam, planned: Beam) -> _Pieces:
    """Each recorded layer with the index of the plan's: that of its energy.

    Where several have it (a plan that paints a volume twice), the one whose spots it has, and of equal ones the one
    that was recorded less often so far.
    """
    used = [0] * len(planned.layers)
    pieces: _Pieces = []
    for piece in recorded.layers:
        same = [i for i, layer in enumerate(planned.layers) if abs(layer.energy - piece.energy) <= SAME_ENERGY]
        best = same[0] if len(same) == 1 else min(same, key=lambda i: (_misfit(piece, planned.layers[i]), used[i], i))
        used[best] += 1
        pieces.append((piece, best))
    return pieces


def _misfit(piece: RecordedLayer, layer: Layer) -> float:
    """How badly a recorded layer fits one of several planned ones of its energy: mm, rounded to 0.1 mm."""
    base = index_base([(piece, layer)])
    if base is None:
        return float("inf")
    partner, _ = partners_of(piece, layer, base)
    paired = partner >= 0
    if not paired.any():
        return float("inf")
    distances = np.linalg.norm(piece.positions[paired] - layer.spots[partner[paired]], axis=1)
    return round(float(distances.mean()), 1)


def _wrong_layers(recorded: RecordedBeam, planned: Beam, found: Sequence[int]) -> list[str]:
    """What is wrong with which layers were recorded: a part of the beam must be without gaps."""
    count, layers = len(planned.layers), sorted(set(found))
    if not layers:
        return ["no layer was recorded"]
    wrong = []
    missing = sorted(set(range(layers[0], layers[-1] + 1)) - set(layers))
    if missing:
        wrong.append(f"{_listed(missing)} of {count} is not recorded, but layers before and after it are")
    if layers[0] and recorded.kind != CONTINUATION:
        wrong.append(f"the record begins with layer {layers[0] + 1} of {count}, and is not the continuation of another")
    if layers[-1] + 1 < count and recorded.termination == NORMAL:
        wrong.append(
            f"the beam ended normally (3008,002A), but only layers up to {layers[-1] + 1} of {count} are recorded"
        )
    return wrong


def _listed(indices: Sequence[int]) -> str:
    numbers = [str(index + 1) for index in indices]
    return f"layer {numbers[0]}" if len(numbers) == 1 else f"layers {', '.join(numbers)}"


def _layer(planned: Beam, index: int, pieces: _Pieces, base: int) -> JoinedLayer:
    """All that was recorded of one layer of the plan."""
    layer = planned.layers[index]
    mine = [piece for piece, of in pieces if of == index]
    assigned = [partners_of(piece, layer, base) for piece in mine]
    sizes = [np.broadcast_to(piece.size or (np.nan, np.nan), (len(piece.mu), 2)) for piece in mine]
    pairings = {pairing for _, pairing in assigned}
    return JoinedLayer(
        index=index,
        energy=layer.energy,
        spots=layer.spots,
        mu=layer.weights * planned.mu_per_weight,
        size=layer.size,
        recorded=np.concatenate([piece.positions for piece in mine]),
        recorded_mu=np.concatenate([piece.mu for piece in mine]),
        recorded_sizes=np.concatenate(sizes),
        partner=np.concatenate([partner for partner, _ in assigned]),
        pairing=Pairing.NEAREST if Pairing.NEAREST in pairings else min(pairings),
    )


def _wrong_map(layer: JoinedLayer) -> str:
    """Why the recorded positions are not those of the planned layer; "" if they are.

    A constant offset does not lower the correlation: it is judged, up to FARTHEST.
    """
    paired = layer.partner >= 0
    if not paired.any():
        return "no recorded spot is one of the plan"
    once = len(np.unique(layer.partner[paired])) / min(len(layer.mu), int(paired.sum()))
    if layer.pairing is Pairing.NEAREST and (once < _ONCE or paired.mean() < _ONCE):
        return (
            "the record has no indices of spots (300A,0391), and too few recorded spots are near a planned one that "
            "no other is near"
        )
    planned = layer.spots[layer.partner[paired]]
    offset = layer.recorded[paired] - planned
    shift = offset.mean(axis=0)
    if (away := float(np.hypot(*shift))) > FARTHEST:
        return f"the spots are {away:.1f} mm away from those of the plan on average, expected at most {FARTHEST:g} mm"
    scatter = float(np.sqrt(((offset - shift) ** 2).sum(axis=1).mean()))
    if scatter <= _SCATTER:
        return ""
    one, other = planned - planned.mean(axis=0), planned + offset - (planned + offset).mean(axis=0)
    spread = float(np.sqrt((one**2).sum() * (other**2).sum()))
    correlation = float((one * other).sum()) / max(spread, _ROUNDING)
    if correlation > CORRELATION:
        return ""
    return (
        f"the recorded positions have a correlation of {correlation:.3f} with those of the plan, "
        f"expected more than {CORRELATION:g}"
    )
