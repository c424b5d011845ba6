"""Groups joined deliveries by fraction, however they were interrupted and whenever they arrived. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.recorded import CONTINUATION, NORMAL, RecordedDelivery
from mqi_communicator.treatment.joined import JoinedBeam, JoinedLayer, Pairing

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam

_DATE = 8  # characters: YYYYMMDD


@dataclass(frozen=True, slots=True)
class FractionBeam:
    """One beam of one fraction: all its parts, in the order of time."""

    planned: Beam
    parts: tuple[JoinedBeam, ...]
    layers: tuple[JoinedLayer, ...]  # each layer once, with the spots of all parts

    @property
    def mu(self) -> float:
        """All recorded MU, test pulses among them."""
        return sum(part.recorded.mu for part in self.parts)

    @property
    def interruptions(self) -> int:
        """How many parts did not end normally, or continue another, whichever are more."""
        broken = sum(part.recorded.termination != NORMAL for part in self.parts)
        return max(broken, sum(part.recorded.kind == CONTINUATION for part in self.parts))

    @property
    def missing_layers(self) -> tuple[int, ...]:
        """Layers of the plan, from 0, of which nothing is recorded."""
        found = {layer.index for layer in self.layers}
        return tuple(index for index in range(len(self.planned.layers)) if index not in found)

    @property
    def finished(self) -> bool:
        """Whether every layer is recorded, and a part ended normally."""
        return not self.missing_layers and any(part.recorded.termination == NORMAL for part in self.parts)


@dataclass(frozen=True, slots=True)
class Fraction:
    """One fraction, as far as it is recorded."""

    label: str  # "fraction 3"; a date if the fraction is not recorded
    number: int | None
    beams: tuple[FractionBeam, ...]  # in the order of the plan
    sources: tuple[str, ...]  # of the deliveries, in the order of time; fit for a message


@dataclass(frozen=True, slots=True)
class Refused:
    """Records that are not judged, and why. Without `deliveries` it is not known what they are of."""

    problems: tuple[Problem, ...]
    deliveries: tuple[RecordedDelivery, ...] = ()
    other_plan: bool = False  # they name another plan: they are of no fraction of this one

    def may_be_of(self, fraction: Fraction) -> bool:
        """Whether something of this fraction may be in them: by number where both have one, else by date."""
        if self.other_plan:
            return False
        return not self.deliveries or any(_may_be_of(one, fraction) for one in self.deliveries)


def _may_be_of(delivery: RecordedDelivery, fraction: Fraction) -> bool:
    numbers = {beam.fraction for beam in delivery.beams}
    if fraction.number is not None and numbers and None not in numbers:
        return fraction.number in numbers
    dates = {part.delivery.started[:_DATE] for beam in fraction.beams for part in beam.parts}
    return not delivery.started or "" in dates or delivery.started[:_DATE] in dates


def without_copies(deliveries: Iterable[RecordedDelivery]) -> tuple[list[RecordedDelivery], list[Refused]]:
    """Leave out copies of the same record, and refuse records that differ under one UID: neither is trusted."""
    by_uid: dict[str, dict[str, RecordedDelivery]] = {}
    for one in sorted(deliveries, key=lambda one: (one.started, one.uid, one.source)):
        by_uid.setdefault(one.uid or one.digest, {}).setdefault(one.digest, one)
    kept = [one for same in by_uid.values() if len(same) == 1 for one in same.values()]
    refused = [Refused((_differing(same.values()),), tuple(same.values())) for same in by_uid.values() if len(same) > 1]
    return kept, refused


def _differing(same: Iterable[RecordedDelivery]) -> Problem:
    return Problem(
        "join.copies",
        " and ".join(sorted(one.source for one in same)),
        "the records have the same SOPInstanceUID (0008,0018) and differ",
        advice="Export the record of this delivery again, and give one of them.",
    )


def by_fraction(beams: Sequence[JoinedBeam], order: Sequence[Beam]) -> tuple[Fraction, ...]:
    """Group joined beams; `order`: the beams of the plan. The same beams in another order give the same fractions."""
    groups: dict[tuple[bool, int, str], list[JoinedBeam]] = {}
    for one in sorted(beams, key=lambda one: (one.delivery.started, one.delivery.uid)):
        number = one.recorded.fraction
        key = (True, number, "") if number is not None else (False, 0, one.delivery.started[:_DATE])
        groups.setdefault(key, []).append(one)
    return tuple(_fraction(key, groups[key], order) for key in sorted(groups))


def _fraction(key: tuple[bool, int, str], parts: Sequence[JoinedBeam], order: Sequence[Beam]) -> Fraction:
    known, number, date = key
    label = f"fraction {number}" if known else f"date {date or 'unknown'}"
    found = [(beam, tuple(part for part in parts if part.planned is beam)) for beam in order]
    beams = tuple(FractionBeam(beam, mine, _merged(mine)) for beam, mine in found if mine)
    sources = tuple(dict.fromkeys(part.delivery.source for part in parts))
    return Fraction(label, number if known else None, beams, sources)


def _merged(parts: Sequence[JoinedBeam]) -> tuple[JoinedLayer, ...]:
    by_index: dict[int, list[JoinedLayer]] = {}
    for part in parts:
        for layer in part.layers:
            by_index.setdefault(layer.index, []).append(layer)
    return tuple(_one(by_index[index]) for index in sorted(by_index))


def _one(layers: Sequence[JoinedLayer]) -> JoinedLayer:
    first = layers[0]
    if len(layers) == 1:
        return first
    return JoinedLayer(
        index=first.index,
        energy=first.energy,
        spots=first.spots,
        mu=first.mu,
        size=first.size,
        recorded=np.concatenate([layer.recorded for layer in layers]),
        recorded_mu=np.concatenate([layer.recorded_mu for layer in layers]),
        recorded_sizes=np.concatenate([layer.recorded_sizes for layer in layers]),
        partner=np.concatenate([layer.partner for layer in layers]),
        offsets=np.concatenate([layer.offsets for layer in layers]),
        delivered=np.sum([layer.delivered for layer in layers], axis=0),
        pairing=Pairing.NEAREST if any(layer.pairing is Pairing.NEAREST for layer in layers) else first.pairing,
    )
