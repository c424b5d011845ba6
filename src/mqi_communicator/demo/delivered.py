"""What a made-up machine delivers of a plan: beams, layers and spots with small random errors, and known ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from mqi_communicator.dicom.recorded import CONTINUATION, NORMAL, TREATMENT
from mqi_communicator.dicom.records import LayerKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mqi_communicator.dicom.records import Beam, IonPlan, Layer

    Doubles = NDArray[np.float64]

_POSITION, _WIDEST = 0.12, 0.3  # mm: standard deviation, and the largest error
_MU, _MOST = 0.004, 0.012  # the same of a spot's MU, relative
_TURNS = 0.1  # of these, where lines turn: the beam is between them for much longer
_SIZE = 0.02  # the largest error of a layer's spot size, relative
_SIZE_IF_NONE = (9.0, 10.0)  # mm FWHM, where the plan has none


@dataclass(frozen=True, slots=True)
class SpotLayer:
    """The spots of one layer as they are delivered."""

    index: int  # of the plan's layer, from 0
    energy: float  # MeV
    positions: Doubles  # (n, 2) mm
    mu: Doubles  # (n,) MU
    size: tuple[float, float]  # mm FWHM
    indices: NDArray[np.int64]  # (n,) of the planned spots, from 0
    planned: Layer


@dataclass(frozen=True, slots=True)
class Part:
    """A beam, or what was delivered of it until it was interrupted."""

    beam: Beam
    layers: tuple[SpotLayer, ...]
    kind: str = TREATMENT
    termination: str = NORMAL


@dataclass(frozen=True, slots=True)
class Session:
    """One session of one fraction: one record."""

    fraction: int
    minute: int  # after the beginning of the fraction
    parts: tuple[Part, ...]
    plan_uid: str
    test_pulses: bool = False  # spots are counted from 1, and each layer begins with a test pulse of index 0


@dataclass(slots=True)
class _Draft:
    """The sessions of one fraction so far."""

    plan: IonPlan
    sessions: list[Session] = field(default_factory=list)

    def change(self, beam: int, layer: int, how: Callable[[SpotLayer], SpotLayer]) -> None:
        """Change one layer of one beam, both counted from 0; of a beam with fewer layers, the last."""
        session = self.sessions[0]
        parts = list(session.parts)
        layers = list(parts[beam].layers)
        at = min(layer, len(layers) - 1)
        layers[at] = how(layers[at])
        parts[beam] = replace(parts[beam], layers=tuple(layers))
        self.sessions[0] = replace(session, parts=tuple(parts))


def sessions_of(plan: IonPlan, fraction: int, kind: str = "good", seed: int = 1) -> tuple[Session, ...]:
    """The sessions of one fraction. The same arguments give the same numbers. KeyError for an unknown kind."""
    change, _ = _KINDS[kind]
    random = np.random.default_rng((seed, fraction))
    exact = kind == "echo"
    parts = tuple(Part(beam, _layers(beam, None if exact else random)) for beam in plan.beams)
    draft = _Draft(plan, [Session(fraction, 0, parts, plan.sop_instance_uid)])
    change(draft)
    return tuple(draft.sessions)


def _layers(beam: Beam, random: np.random.Generator | None) -> tuple[SpotLayer, ...]:
    made = []
    for index, layer in enumerate(beam.layers):
        mu = layer.weights * beam.mu_per_weight
        spots, size = layer.spots, layer.size or _SIZE_IF_NONE
        if random is not None:
            errors = np.clip(random.normal(0, _POSITION, spots.shape), -_WIDEST, _WIDEST)
            spots = spots + _centred(errors * (_TURNS if layer.kind is LayerKind.LINES else 1.0), mu)
            errors = np.clip(random.normal(0, _MU, mu.shape), -_MOST, _MOST)
            mu = mu * (1 + errors - float((errors * mu).sum() / mu.sum()))
            factor = 1 + random.uniform(-_SIZE, _SIZE)
            size = (size[0] * factor, size[1] * factor)
        indices = np.arange(len(mu), dtype=np.int64)
        made.append(SpotLayer(index, layer.energy, spots, mu, size, indices, layer))
    return tuple(made)


def _centred(errors: Doubles, mu: Doubles) -> Doubles:
    """The errors without their mean, so that a known error of a layer is exactly that."""
    mean: Doubles = (errors * mu[:, np.newaxis]).sum(axis=0) / mu.sum()
    return errors - mean


def _good(draft: _Draft) -> None:
    """No known error."""


def _shifted_layer(draft: _Draft) -> None:
    draft.change(0, 1, lambda layer: replace(layer, positions=layer.positions + np.asarray((0.0, 1.0))))


def _more_in_a_layer(draft: _Draft) -> None:
    draft.change(0, 1, lambda layer: replace(layer, mu=1.03 * layer.mu))


def _more_in_all(draft: _Draft) -> None:
    for beam, planned in enumerate(draft.plan.beams):
        for layer in range(len(planned.layers)):
            draft.change(beam, layer, lambda one: replace(one, mu=1.03 * one.mu))


def _missing_spot(draft: _Draft) -> None:
    """The spot in the middle of a layer, with its MU; of a line only its MU."""
    lines = draft.plan.beams[0].layers[0].kind is LayerKind.LINES
    draft.change(0, 1, lambda layer: _without(layer, lines=lines))


def _without(layer: SpotLayer, *, lines: bool) -> SpotLayer:
    lit = layer.indices[layer.mu > 0]
    spot = lit[len(lit) // 2]
    if lines:
        return replace(layer, mu=np.where(layer.indices == spot, 0.0, layer.mu))
    keep = layer.indices != spot
    return replace(layer, positions=layer.positions[keep], mu=layer.mu[keep], indices=layer.indices[keep])


def _other_order(draft: _Draft) -> None:
    session = draft.sessions[0]
    draft.sessions[0] = replace(session, parts=session.parts[::-1])


def _resumed(draft: _Draft) -> None:
    """The first beam is interrupted in the middle of a layer, and resumed there."""
    session = draft.sessions[0]
    first, *others = session.parts
    middle = len(first.layers) // 2
    cut = first.layers[middle]
    half = len(cut.mu) // 2
    begun, rest = _slice(cut, 0, half), _slice(cut, half, len(cut.mu))
    if draft.plan.beams[0].layers[middle].kind is LayerKind.LINES:  # the next line begins where the last one ended
        rest = _slice(cut, half - 1, len(cut.mu))
        rest = replace(rest, mu=np.where(rest.indices == half - 1, 0.0, rest.mu))
    before = replace(first, layers=(*first.layers[:middle], begun), termination="MACHINE")
    after = replace(first, layers=(rest, *first.layers[middle + 1 :]), kind=CONTINUATION)
    draft.sessions = [replace(session, parts=(before,)), replace(session, minute=9, parts=(after, *others))]


def _slice(layer: SpotLayer, start: int, end: int) -> SpotLayer:
    return replace(
        layer,
        positions=layer.positions[start:end],
        mu=layer.mu[start:end],
        indices=layer.indices[start:end],
    )


def _unfinished(draft: _Draft) -> None:
    _resumed(draft)
    draft.sessions = draft.sessions[:1]


def _repeated(draft: _Draft) -> None:
    draft.sessions.append(replace(draft.sessions[0], minute=20))


def _other_plan(draft: _Draft) -> None:
    draft.sessions[0] = replace(draft.sessions[0], plan_uid=f"{draft.plan.sop_instance_uid[:60]}.9")


def _swapped_beams(draft: _Draft) -> None:
    """Each beam has the layers of the next one: what dealing logs to beams in the order of the plan does."""
    session = draft.sessions[0]
    parts = session.parts
    wrong = tuple(replace(part, layers=parts[(i + 1) % len(parts)].layers) for i, part in enumerate(parts))
    draft.sessions[0] = replace(session, parts=wrong)


def _test_pulses(draft: _Draft) -> None:
    draft.sessions[0] = replace(draft.sessions[0], test_pulses=True)


_KINDS: dict[str, tuple[Callable[[_Draft], None], str]] = {
    "good": (_good, "small random errors: 0.12 mm and 0.4 % of a spot's MU (1 sigma)"),
    "shifted-layer": (_shifted_layer, "the second layer of the first beam is 1 mm off"),
    "more-in-a-layer": (_more_in_a_layer, "3 % more MU in the second layer of the first beam"),
    "more-in-all": (_more_in_all, "3 % more MU in all layers"),
    "missing-spot": (_missing_spot, "a spot of the first beam is missing"),
    "other-order": (_other_order, "the beams in the opposite order: correct"),
    "resumed": (_resumed, "the first beam is interrupted in a layer and resumed: two records"),
    "unfinished": (_unfinished, "the first beam is interrupted and not resumed; the others are missing"),
    "repeated": (_repeated, "the fraction is delivered twice: two records"),
    "other-plan": (_other_plan, "of another plan of the same patient"),
    "swapped-beams": (_swapped_beams, "each beam has the layers of the next one"),
    "echo": (_good, "a record that repeats the plan"),
    "test-pulses": (_test_pulses, "spots counted from 1, each layer after a test pulse: correct"),
}

DELIVERIES: dict[str, str] = {name: what for name, (_, what) in _KINDS.items()}
"""The kinds of deliveries, with a one-line description each."""
