"""The stage for line scanning: lines become spots that engines compute. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.records import Beam, Layer, LayerKind
from mqi_communicator.dose.abilities import where
from mqi_communicator.dose.checks import FARTHEST
from mqi_communicator.dose.line_pieces import line_lengths, piece_counts, pieces_of
from mqi_communicator.dose.machine_model import MachineModel
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions

_PART = 3  # pieces are shorter than this part of the spot's sigma
_MOST = 5_000_000  # pieces of a beam: fields of 40 x 40 cm in 100 layers have fewer


def cut_lines(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Cut the lines of each beam whose machine has a known spot size into pieces; the monitor units stay.

    Other beams keep their lines, which engines refuse.
    """
    beams: list[Beam] = []
    for beam in draft.plan.beams:
        model = models.machine(beam)
        longest = _longest(beam, model) if model and _has_lines(beam) else []
        if not any(longest):
            beams.append(beam)
            continue
        pieces = sum(float(piece_counts(layer, mm).sum()) for layer, mm in zip(beam.layers, longest, strict=True) if mm)
        if pieces > _MOST:
            draft = draft.refused([_too_many(draft.plan.file, beam, pieces)])
            beams.append(beam)
            continue
        beams.append(_cut(beam, longest))
        draft = draft.noted([_note(beam, longest)])
    return replace(draft, plan=replace(draft.plan, beams=tuple(beams)))


def _has_lines(beam: Beam) -> bool:
    return any(layer.kind is LayerKind.LINES for layer in beam.layers)


def _longest(beam: Beam, model: MachineModel) -> list[float]:
    """The length in mm below which each layer's lines are cut; 0 for layers that stay as they are."""
    return [_third(layer, model) if layer.kind is LayerKind.LINES and _sound(layer) else 0.0 for layer in beam.layers]


def _third(layer: Layer, model: MachineModel) -> float:
    sigma = model.spot_sigma(layer.energy) if model.spot_sigma else 0.0
    return sigma / _PART if np.isfinite(sigma) and sigma > 0 else 0.0


def _sound(layer: Layer) -> bool:
    """Whether the numbers are those of a plan; what is wrong with others is reported elsewhere."""
    shaped = layer.spots.shape == (len(layer.weights), 2) and len(layer.weights) > 0
    return bool(
        shaped and (np.abs(layer.spots) < FARTHEST).all() and (layer.weights >= 0).all() and not layer.weights[0]
    )


def _cut(beam: Beam, longest: Sequence[float]) -> Beam:
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


def _too_many(file: str, beam: Beam, pieces: float) -> Problem:
    return Problem(
        "dose.lines",
        file,
        f"the lines of the beam would be cut into {pieces:.3g} spots",
        expected=f"at most {_MOST:g}",
        advice="Check the positions of the lines (mm) in the plan, and the spot sizes of the beam model.",
        where=where(beam),
    )
