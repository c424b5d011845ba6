"""The stage for line scanning: lines become spots that engines compute. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, Layer, LayerKind
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.checks import FARTHEST
from mqi_communicator.dose.line_pieces import line_lengths, piece_counts, pieces_of
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions

_PART = 3  # pieces are shorter than this part of the spot's sigma
_MOST = 5_000_000  # pieces of a beam: fields of 40 x 40 cm in 100 layers have fewer


def cut_lines(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Cut the lines of each beam whose machine is configured into pieces; the monitor units stay.

    Other beams keep their lines, which no engine computes. A machine whose spot size is not known is refused.
    """
    for beam in draft.plan.beams:
        model = models.machine(beam)
        if model and any(layer.kind is LayerKind.LINES for layer in beam.layers):
            draft = _cut(draft, beam, model.spot_sigma) if model.spot_sigma else draft.refused([_unknown(draft, beam)])
    return draft


def _cut(draft: Draft, beam: Beam, sigma: Callable[[float], float]) -> Draft:
    longest = [_longest(layer, sigma) for layer in beam.layers]
    pieces = sum(float(piece_counts(layer, mm).sum()) for layer, mm in zip(beam.layers, longest, strict=True) if mm)
    if pieces > _MOST:
        return draft.refused([_too_many(draft, beam, pieces)])
    if not pieces:
        return draft
    beams = tuple(_in_pieces(beam, longest) if one is beam else one for one in draft.plan.beams)
    return replace(draft, plan=replace(draft.plan, beams=beams)).noted([_note(beam, longest)])


def _longest(layer: Layer, sigma: Callable[[float], float]) -> float:
    """The length in mm below which a layer's lines are cut; 0 for a layer that stays as it is.

    An energy outside the beam model has no sigma; it is refused elsewhere.
    """
    if layer.kind is not LayerKind.LINES or not _sound(layer):
        return 0.0
    mm = sigma(layer.energy) / _PART
    return mm if np.isfinite(mm) and mm > 0 else 0.0


def _sound(layer: Layer) -> bool:
    """Whether the numbers are those of a plan; what is wrong with others is reported elsewhere."""
    shaped = layer.spots.shape == (len(layer.weights), 2) and len(layer.weights) > 0
    return bool(
        shaped and (np.abs(layer.spots) < FARTHEST).all() and (layer.weights >= 0).all() and not layer.weights[0]
    )


def _in_pieces(beam: Beam, longest: Sequence[float]) -> Beam:
    layers = tuple(_pieces(layer, mm) if mm else layer for layer, mm in zip(beam.layers, longest, strict=True))
    whole = all(layer.kind is LayerKind.SPOTS for layer in layers)
    delivery = replace(beam.delivery, scan_mode="MODULATED", scan_type="") if whole else beam.delivery
    return replace(beam, layers=layers, delivery=delivery)


def _pieces(layer: Layer, longest: float) -> Layer:
    spots, weights = pieces_of(layer, longest)
    return replace(layer, spots=spots, weights=weights, kind=LayerKind.SPOTS, cut=True)


def _note(beam: Beam, longest: Sequence[float]) -> Caution:
    """How many lines became how many pieces, and the longest piece beside the sigma of its layer."""
    lines = pieces = 0
    worst = (0.0, 0.0, 0.0, 0.0)  # share of sigma, piece mm, sigma mm, MeV
    for layer, mm in zip(beam.layers, longest, strict=True):
        if mm:
            counts = piece_counts(layer, mm)
            lines, pieces = lines + int((counts > 0).sum()), pieces + int(counts.sum())
            piece = float(np.divide(line_lengths(layer), counts, where=counts > 0, out=np.zeros(len(counts))).max())
            worst = max(worst, (piece / (_PART * mm), piece, _PART * mm, layer.energy))
    text = f"{lines} lines were computed as {pieces} spots, at the centres of equal pieces of each line"
    if worst[1]:
        text += f"; pieces are up to {worst[1]:.2f} mm long, where sigma is {worst[2]:.2f} mm ({worst[3]:g} MeV)"
    return Caution(
        "line_scanning",
        f"beam {beam.number}",
        text,
        review=False,
        value=worst[1],
        unit="mm",
        limit=f"pieces < 1/{_PART} of the spot's sigma in air at the isocentre",
    )


def _unknown(draft: Draft, beam: Beam) -> Problem:
    return Problem(
        "dose.lines",
        draft.plan.file,
        f"line scanning cannot be computed: the spot size of machine {printable(beam.machine)} is not known",
        advice="Declare spot_sigma of the machine in the configuration.",
        where=where(beam),
    )


def _too_many(draft: Draft, beam: Beam, pieces: float) -> Problem:
    return Problem(
        "dose.lines",
        draft.plan.file,
        f"the lines of the beam would be cut into {pieces:.3g} spots",
        expected=f"at most {_MOST:g}",
        advice="Check the positions of the lines (mm) in the plan, and the spot sizes of the beam model.",
        where=where(beam),
    )
