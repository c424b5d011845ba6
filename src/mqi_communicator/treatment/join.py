"""Joins a recorded delivery to its plan, or names every contradiction. Pure.

A delivery belongs to the plan that it names, and to the beam whose BeamNumber it names. Energies, layers and the
positions of the spots must then be those of this beam: a record of another beam, or of another version of the plan, is
refused and never judged. The MU do not decide: they are what is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.recorded import CONTINUATION, NORMAL, RecordedBeam, RecordedDelivery, RecordedLayer
from mqi_communicator.treatment.fractions import Refused, without_copies
from mqi_communicator.treatment.joined import JoinedBeam, JoinedLayer, Pairing
from mqi_communicator.treatment.pairing import index_base, partners_of
from mqi_communicator.treatment.paths import Log, along, way_of

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, IonPlan, Layer

SAME_ENERGY = 0.05  # MeV: energies are written with one or more decimals
CORRELATION = 0.99  # of recorded and planned positions of a layer
FARTHEST = 10.0  # mm: a layer farther from its place on average is that of another beam
_ONCE = 0.9  # of the spots: without indices, at least so many must belong to spots of their own
_GIVEN = 0.1  # mm: raw values have steps of 0.01 mm
_LEADING = 2  # positions that a machine is given beside those of the plan
COUNTS = 0.2  # by how much the counts of a layer may differ from the planned MU
_SCATTER = 1.0  # mm RMS: a layer of few spots that agree so well fits, whatever the correlation
_ROUNDING = 1e-9
_OTHER = "Judge it with the plan that was delivered; if it was this one, ask why the record differs."
_Pieces = list[tuple[RecordedLayer, int]]  # each recorded layer, and the index of the plan's layer


def join(plan: IonPlan, delivery: RecordedDelivery) -> tuple[tuple[JoinedBeam, ...], tuple[Problem, ...]]:
    """Join every beam of the delivery to the plan. With a problem none of it may be judged."""
    if delivery.plan_uid != plan.sop_instance_uid:
        found = "the record is of another plan: it refers to another SOPInstanceUID (0008,0018)"
        return (), (Problem("join.plan", delivery.source, found, advice=_OTHER),)
    if plan.patient_id and delivery.patient_id and plan.patient_id != delivery.patient_id:
        found = "the record is of another patient: PatientID (0010,0020) differs from that of the plan"
        return (), (Problem("join.patient", delivery.source, found, advice=_OTHER),)
    problems: list[Problem] = []
    beams = [beam for one in delivery.beams if (beam := _beam(plan, delivery, one, problems)) is not None]
    return tuple(beams), tuple(problems)


def join_all(
    plan: IonPlan, deliveries: Iterable[RecordedDelivery]
) -> tuple[tuple[JoinedBeam, ...], tuple[Refused, ...]]:
    """Join several deliveries, copies once; those with a contradiction are refused."""
    kept, refused = without_copies(deliveries)
    joined: list[JoinedBeam] = []
    for one in kept:
        beams, problems = join(plan, one)
        if problems:
            refused.append(Refused(problems, (one,), other_plan=one.plan_uid != plan.sop_instance_uid))
        else:
            joined += beams
    return tuple(joined), tuple(refused)


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
        report(
            "join.indices",
            "ScanSpotPrescribedIndices (300A,0391) are beyond the spots of the planned layer, or name none of them",
        )
        return None
    layers = [_layer(planned, index, recorded, pieces, base) for index in sorted({index for _, index in pieces})]
    for code, index, found in (*_wrong_maps(planned, pieces), *_wrong_spots(recorded, layers)):
        report(code, f"layer {index + 1} ({planned.layers[index].energy:g} MeV): {found}")
    return None if len(problems) > before else JoinedBeam(delivery, recorded, planned, tuple(layers))


def _wrong_maps(planned: Beam, pieces: _Pieces) -> Iterator[tuple[str, int, str]]:
    """Code, layer and what is wrong with the positions that the machine was given."""
    for piece, index in pieces:
        if found := _wrong_given(piece, planned.layers[index]):
            yield "join.given", index, found


def _wrong_spots(recorded: RecordedBeam, layers: Sequence[JoinedLayer]) -> Iterator[tuple[str, int, str]]:
    """Code, layer and what is wrong with what was recorded."""
    for number, layer in enumerate(layers):
        begun = number > 0 or recorded.kind != CONTINUATION
        ended = number < len(layers) - 1 or recorded.termination == NORMAL
        whole = begun and ended
        if found := _wrong_map(layer):
            yield "join.spots", layer.index, found
        if found := _wrong_counts(layer, whole=whole):
            yield "join.counts", layer.index, found


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


def _layer(planned: Beam, index: int, recorded: RecordedBeam, pieces: _Pieces, base: int) -> JoinedLayer:
    """All that was recorded of one layer of the plan."""
    layer = planned.layers[index]
    mine = [piece for piece, of in pieces if of == index]
    mu = np.concatenate([piece.mu for piece in mine])
    positions = np.concatenate([piece.positions for piece in mine])
    sizes = [np.broadcast_to(piece.size or (np.nan, np.nan), (len(piece.mu), 2)) for piece in mine]
    spots, planned_mu = layer.spots, layer.weights * planned.mu_per_weight
    if mine[0].paintings is not None:
        way = way_of(layer)
        spots, planned_mu, pairing = way.centres, way.weights * planned.mu_per_weight, Pairing.WAY
        paintings = np.concatenate([np.zeros(0, np.int64), *(p.paintings for p in mine if p.paintings is not None)])
        resumed = recorded.kind == CONTINUATION and index == min(of for _, of in pieces)
        wanted = float(planned_mu.sum()) / max(
            planned.delivery.paintings, int(np.count_nonzero(np.bincount(paintings)))
        )
        partner, offsets, delivered = along(way, Log(positions, mu, paintings), wanted, resumed=resumed)
    else:
        assigned = [partners_of(piece, layer, base) for piece in mine]
        partner = np.concatenate([one for one, _ in assigned])
        pairings = {one for _, one in assigned}
        pairing = Pairing.NEAREST if Pairing.NEAREST in pairings else min(pairings)
        paired = partner >= 0
        offsets = np.full(positions.shape, np.nan)
        offsets[paired] = positions[paired] - spots[partner[paired]]
        delivered = np.bincount(partner[paired], weights=mu[paired], minlength=len(spots)).astype(np.float64)
    return JoinedLayer(
        index=index,
        energy=layer.energy,
        spots=spots,
        mu=planned_mu,
        size=layer.size,
        recorded=positions,
        recorded_mu=mu,
        recorded_sizes=np.concatenate(sizes),
        partner=partner,
        offsets=offsets,
        delivered=delivered,
        pairing=pairing,
    )


def _wrong_given(piece: RecordedLayer, layer: Layer) -> str:
    """Why the positions that the machine was given are not those of the planned layer; "" if they are or not logged."""
    if piece.given is None:
        return ""
    more = len(piece.given) - len(layer.spots)
    if not 0 <= more <= _LEADING:
        return f"the machine was given {len(piece.given)} positions, expected the {len(layer.spots)} of the plan and 2"
    parts = [piece.given[start : start + len(layer.spots)] for start in range(more + 1)]
    away = min(float(np.abs(part - layer.spots).max()) for part in parts)
    if away <= _GIVEN:
        return ""
    return f"the positions that the machine was given are up to {away:.1f} mm from those of the plan"


def _wrong_counts(layer: JoinedLayer, *, whole: bool) -> str:
    """Why the MU of a continuous log cannot be those of this layer: counts have a calibration, MU have none."""
    if layer.pairing is not Pairing.WAY:
        return ""
    share = float(layer.recorded_mu.sum() / layer.mu.sum())
    if share <= 1 + COUNTS and (share >= 1 - COUNTS or not whole):
        return ""
    return f"the log has {100 * share:.0f} % of the planned MU, expected 80 to 120 %: another layer or calibration"


def _wrong_map(layer: JoinedLayer) -> str:
    """Why the recorded positions are not those of the planned layer; "" if they are.

    A constant offset does not lower the correlation: it is judged, up to FARTHEST.
    """
    paired = layer.partner >= 0
    if not paired.any():
        return "no recorded spot is one of the plan"
    once = np.count_nonzero(np.bincount(layer.partner[paired])) / min(len(layer.mu), int(paired.sum()))
    if layer.pairing is Pairing.NEAREST and (once < _ONCE or paired.mean() < _ONCE):
        return (
            "the record has no indices of spots (300A,0391), and too few recorded spots are near a planned one that "
            "no other is near"
        )
    far = 1 - float(layer.recorded_mu[paired].sum() / layer.recorded_mu.sum())
    if layer.pairing is Pairing.WAY and far > 1 - _ONCE:
        return f"{100 * far:.0f} % of the recorded MU are far from the planned way"
    planned, offset = layer.spots[layer.partner[paired]], layer.offsets[paired]
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
