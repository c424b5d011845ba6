"""The stage that decides which range shifters are in the beam, how thick they are, and where. Pure.

After it, `Layer.shifters` of a beam whose range shifters are resolved has only those in the beam, with their final
distance and thickness; refused ones are left out. Other beams (the machine is not configured, or its model computes no
range shifters) keep the plan's settings, OUT ones too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.problem import Problem, printable
from mqi_communicator.dicom.records import Beam, ShifterSetting
from mqi_communicator.dose.prepare.draft import Draft, Models
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.shifter_setting import resolved
from mqi_communicator.dose.range_shifter import SAME_WET, RangeShifter

_Resolved = Mapping[ShifterSetting, ShifterSetting | Problem | None]


def resolve_shifters(draft: Draft, models: Models, options: PreparationOptions) -> Draft:  # noqa: ARG001
    """Resolve the range shifters of each beam whose machine is configured, for engines that compute them."""
    beams: list[Beam] = []
    problems: list[Problem] = []
    cautions: list[Caution] = []
    for beam in draft.plan.beams:
        model = models.machine(beam)
        if model is None or model.shifters is None:
            beams.append(beam)
            continue
        settings = dict.fromkeys(one for layer in beam.layers for one in layer.shifters)
        found = {one: resolved(draft.plan.file, beam, one, model.shifters) for one in settings}
        beams.append(_with(beam, found))
        problems += [one for one in found.values() if isinstance(one, Problem)]
        cautions += _cautions(beam, found, model.shifters)
    plan = replace(draft.plan, beams=tuple(beams))
    return replace(draft, plan=plan).refused(dict.fromkeys(problems)).noted(cautions)


def _with(beam: Beam, found: _Resolved) -> Beam:
    """The beam with the range shifters that are in it alone; those that are refused are left out as well."""
    layers = (
        replace(layer, shifters=tuple(new for old in layer.shifters if isinstance(new := found[old], ShifterSetting)))
        for layer in beam.layers
    )
    return replace(beam, layers=tuple(layers))


def _cautions(beam: Beam, found: _Resolved, declared: Mapping[str, RangeShifter]) -> Iterator[Caution]:
    """One for each range shifter and position in the beam; it calls for a review if the thickness is another one."""
    total = len(beam.layers)
    for old, new in found.items():
        if not isinstance(new, ShifterSetting) or new.wet is None:
            continue
        layers = [index for index, layer in enumerate(beam.layers, start=1) if old in layer.shifters]
        differs = new.wet - declared[new.id].wet
        review = not abs(differs) <= SAME_WET
        source = "declared, the plan has none" if old.wet is None else "as in the plan"
        note = (
            f"range shifter {printable(new.id)} is in the beam in {_named(layers, total)}: downstream edge "
            f"{new.distance:g} mm from the isocentre, water-equivalent thickness {new.wet:g} mm ({source})"
        )
        if review:
            note += f"; {declared[new.id].wet:g} mm are declared for the machine: it may be another device"
        limit = f"water-equivalent thickness within ± {SAME_WET:g} mm of the declared one"
        shown = round(differs, 3) + 0.0  # not -0.0
        yield Caution("range_shifter", f"beam {beam.number}", note, review, shown, "mm", limit)


def _named(layers: Sequence[int], total: int) -> str:
    """For example: "all 12 layers", "layer 3 of 12", "layers 3 to 7 of 12", "5 of 12 layers"."""
    if len(layers) == total:
        return f"all {total} layers"
    if len(layers) == 1:
        return f"layer {layers[0]} of {total}"
    if layers[-1] - layers[0] + 1 == len(layers):
        return f"layers {layers[0]} to {layers[-1]} of {total}"
    return f"{len(layers)} of {total} layers"
