"""The verdict of one fraction: what the machine recorded against the plan, beam by beam. Pure.

It is evidence of what the machine recorded, not of what the patient received. Rates and shares divide by what was
planned, so that what is missing counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mqi_communicator.case.numbers import short
from mqi_communicator.dicom.problem import printable
from mqi_communicator.results.delivered.basis import basis_of, reasons_of, without_outcome
from mqi_communicator.results.delivered.layer import LayerNumbers, numbers_of
from mqi_communicator.results.delivered.limits import graded, not_judged
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict, worst
from mqi_communicator.treatment.joined import Pairing

if TYPE_CHECKING:
    from mqi_communicator.dicom.records import Beam, IonPlan
    from mqi_communicator.results.options import JudgementOptions
    from mqi_communicator.treatment.fractions import Fraction, FractionBeam, Refused

_ECHO = "the record repeats the plan in every spot, so it is no measurement"
_OPTIONAL = "spot_size"
_EXPLAINS = 1.5  # a layer's MU explain those of its beam if their error is so many times as large


def judge_fraction(
    fraction: Fraction, plan: IonPlan, options: JudgementOptions, refused: Iterable[Refused] = ()
) -> Verdict:
    """Judge one fraction of a plan. `refused`: records beside it that are not judged; it may be incomplete then."""
    checks = [
        *basis_of(fraction.beams),
        *_refused([one for one in refused if one.may_be_of(fraction)]),
        *_number(fraction, plan),
        *_whole(fraction, plan.beams, options),
    ]
    required = True
    for beam in fraction.beams:
        of_beam = _beam(beam, options.for_machine(beam.planned.machine))
        checks += map(without_outcome, of_beam) if reasons_of(beam) else of_beam
        required = required and options.for_machine(beam.planned.machine).delivery.size_required
    deciding = [check for check in checks if required or not is_unknown_size(check.name, check.outcome)]
    return replace(worst(tuple(deciding)), checks=tuple(checks))


def is_unknown_size(name: str, outcome: CheckOutcome) -> bool:
    """Whether a check is of spot sizes that are not recorded: it decides nothing, unless the site requires them."""
    return name == _OPTIONAL and outcome is CheckOutcome.NOT_JUDGED


def _refused(refused: list[Refused]) -> Iterator[Check]:
    """What is missing may be an overdose: without it the fraction does not pass."""
    if refused:
        reason = str(replace(refused[0].problems[0], file=""))
        records = "a record was" if len(refused) == 1 else f"{len(refused)} records were"
        note = f"{records} refused that may be of this fraction: {reason}"
        yield not_judged("refused", "fraction", note, limit="no record refused")


def _number(fraction: Fraction, plan: IonPlan) -> Iterator[Check]:
    """A fraction more than planned is dose that nobody planned."""
    if fraction.number is not None and not 1 <= fraction.number <= plan.fractions:
        limit = f"1 to {plan.fractions}"
        note = f"the record is of fraction {fraction.number}, and the plan has {plan.fractions} fractions"
        yield Check("fraction_number", "fraction", CheckOutcome.REVIEW, None, "", limit, None, None, note)


def _whole(fraction: Fraction, beams: tuple[Beam, ...], options: JudgementOptions) -> Iterator[Check]:
    """The checks of the fraction as a whole: all beams, and not more MU than planned."""
    found = {beam.planned.number for beam in fraction.beams}
    missing = [str(beam.own_number) for beam in beams if beam.number not in found]
    if missing:
        names = f"beam {missing[0]} has" if len(missing) == 1 else f"beams {', '.join(missing)} have"
        yield not_judged("beams", "fraction", f"{names} no record in this fraction", limit="every beam of the plan")
    planned = sum(beam.planned.meterset for beam in fraction.beams)
    delivered = sum(beam.mu for beam in fraction.beams)
    over = 100 * (delivered / planned - 1)
    most = min(options.for_machine(beam.planned.machine).delivery.over_percent for beam in fraction.beams)
    times = [len([part for part in beam.parts if part.recorded.kind == "TREATMENT"]) for beam in fraction.beams]
    again = "; beams are recorded more than once from their beginning" if max(times) > 1 else ""
    check = Check(
        "fraction_mu",
        "fraction",
        CheckOutcome.FAIL if round(over, 3) > most else CheckOutcome.PASS,
        round(over, 3),
        "%",
        f"<= {short(most)} % above plan",
        None,
        None,
        f"the fraction has {short(delivered, 2)} MU, {short(abs(over), 2)} % {'more' if over > 0 else 'less'} than the "
        f"{short(planned, 2)} MU planned for its beams{again}",
    )
    yield without_outcome(check) if any(map(reasons_of, fraction.beams)) else check


def _beam(beam: FractionBeam, options: JudgementOptions) -> Iterator[Check]:
    scope, limits = f"beam {beam.planned.own_number}", options.delivery
    layers = [numbers_of(layer) for layer in beam.layers]
    whole = layers if beam.finished else layers[:-1]  # the layer in which a beam was interrupted is not complete
    yield _interruption(beam, scope)
    yield from _machine(beam, scope)
    if any(layer.pairing is Pairing.NEAREST for layer in beam.layers):
        note = (
            "the record has no indices of spots (300A,0391): each spot was compared with the nearest planned one, so "
            "that an offset of more than half the distance between spots looks smaller"
        )
        yield Check("pairing", scope, CheckOutcome.REVIEW, None, "", "spots paired by index", None, None, note)
    yield from _mu(beam, layers, whole, scope, options)
    yield from _missing(beam, layers, whole, scope, options)
    yield from _positions(layers, scope, options)
    yield _size(layers, scope, options)
    fluences = [(layer.fluence, layer) for layer in whole if layer.fluence is not None]
    if fluences:
        value, layer = max(fluences, key=lambda one: one[0])
        note = f"the fluence of {_named(layer)} differs by up to {short(value)} % of its planned maximum"
        check = graded("fluence", scope, value, "%", (limits.fluence_pass_percent, limits.fluence_review_percent), note)
        yield _unless_echo(check, all(one.echoes[0] and one.echoes[1] for one in layers))


def _named(layer: LayerNumbers) -> str:
    return f"layer {layer.index + 1} ({layer.energy:g} MeV)"


def _unless_echo(check: Check, echo: bool) -> Check:  # noqa: FBT001 - one fact
    if not echo:
        return check
    return replace(check, outcome=CheckOutcome.NOT_JUDGED, note=_ECHO)


def _interruption(beam: FractionBeam, scope: str) -> Check:
    count, layers = beam.interruptions, len(beam.planned.layers)
    if beam.finished:
        outcome = CheckOutcome.REVIEW if count else CheckOutcome.PASS
        note = f"the beam was interrupted {count} times and resumed" if count > 1 else "the beam was interrupted once"
        note = note if count else "the beam was delivered without interruption"
    else:
        outcome = CheckOutcome.NOT_JUDGED
        missing = len(beam.missing_layers)
        ended = f", {missing} of {layers} layers have no record" if missing else ""
        note = f"the beam is not finished{ended}: it was not resumed, or the record of the rest has not arrived"
    return Check("interruption", scope, outcome, None, "", "none", len(beam.parts), None, note)


def _machine(beam: FractionBeam, scope: str) -> Iterator[Check]:
    names = {part.delivery.machine for part in beam.parts} - {"", beam.planned.machine}
    if names:
        note = f"delivered by {', '.join(map(printable, sorted(names)))}, planned for {printable(beam.planned.machine)}"
        yield Check("machine", scope, CheckOutcome.REVIEW, None, "", "the machine of the plan", None, None, note)


def _mu(
    beam: FractionBeam, layers: list[LayerNumbers], whole: list[LayerNumbers], scope: str, options: JudgementOptions
) -> Iterator[Check]:
    """MU of the beam, the worst layer and the worst spot; the layer first if it explains the beam."""
    limits, echo = options.delivery, all(layer.echoes[1] for layer in layers)
    planned, delivered = beam.planned.meterset, sum(layer.total for layer in layers)
    value = 100 * (delivered / planned - 1)
    note = f"the beam has {short(delivered, 2)} MU, {_more(value)} than the {short(planned, 2)} MU planned"
    check = graded("beam_mu", scope, value, "%", (limits.beam_mu_pass_percent, limits.beam_mu_review_percent), note)
    if not beam.finished and value <= limits.over_percent:
        check = replace(check, outcome=CheckOutcome.NOT_JUDGED)
    found = [check]
    if whole:
        of_layer = _layer_mu(whole, scope, options)
        explains = abs(of_layer.value or 0.0) > _EXPLAINS * abs(value)
        found = [of_layer, check] if explains else [check, of_layer]
        found.append(_spot_mu(whole, scope, options))
    yield from (_unless_echo(one, echo) for one in found)


def _layer_mu(whole: list[LayerNumbers], scope: str, options: JudgementOptions) -> Check:
    limits = options.delivery
    errors = [(layer.mu_error(limits.spot_mu_least), layer) for layer in whole]
    value, layer = max(errors, key=lambda one: abs(one[0]))
    note = f"{_named(layer)} has {_more(value)} MU than planned"
    steps = (limits.layer_mu_pass_percent, limits.layer_mu_review_percent)
    check = graded("layer_mu", scope, value, "%", steps, note)
    return replace(check, points=len(whole), limit=f"{check.limit}; or {limits.spot_mu_least:g} MU")


def _more(percent: float) -> str:
    return f"{short(abs(percent), 2)} % {'more' if percent > 0 else 'less'}"


def _spot_mu(whole: list[LayerNumbers], scope: str, options: JudgementOptions) -> Check:
    limits = options.delivery
    largest, where, beyond, count = 0.0, whole[0], 0, 0
    for layer in whole:
        count += layer.planned.size
        difference = layer.delivered - layer.planned
        large = layer.hit & (abs(difference) > limits.spot_mu_least)
        errors = 100 * difference[large] / layer.planned[large]
        beyond += int((abs(errors) > limits.spot_mu_pass_percent).sum())
        if errors.size and abs(worst_here := float(errors[abs(errors).argmax()])) > abs(largest):
            largest, where = worst_here, layer
    note = f"of {count} planned spots {beyond} have MU beyond {short(limits.spot_mu_pass_percent)} %"
    if largest:
        note += f", the worst in {_named(where)} has {_more(largest)} than planned"
    if repeated := sum(layer.repeated for layer in whole):
        note += f"; {repeated} spots are recorded more than once with more MU than planned"
    steps = (limits.spot_mu_pass_percent, limits.spot_mu_review_percent)
    check = graded("spot_mu", scope, largest, "%", steps, note)
    return replace(check, points=count, limit=f"{check.limit}; or {limits.spot_mu_least:g} MU")


def _missing(
    beam: FractionBeam, layers: list[LayerNumbers], whole: list[LayerNumbers], scope: str, options: JudgementOptions
) -> Iterator[Check]:
    limits, total = options.delivery, beam.planned.meterset
    lost = [float(layer.planned[~layer.hit].sum()) for layer in whole]
    spots = sum(int((~layer.hit).sum()) for layer in whole)
    value = 100 * sum(lost) / total
    are = "planned spot is" if spots == 1 else "planned spots are"
    note = f"{spots} {are} not recorded, with {short(sum(lost), 3)} MU" if spots else "no spot is missing"
    if spots:
        note += f", the most in {_named(whole[lost.index(max(lost))])}"
    check = graded("missing_spots", scope, value, "%", (0.0, limits.missing_percent), note)
    if spots and check.outcome is CheckOutcome.PASS:
        check = replace(check, outcome=CheckOutcome.REVIEW)  # of so few MU that they are 0.000 %
    yield replace(check, points=sum(layer.planned.size for layer in whole))
    value = 100 * sum(layer.extra for layer in layers) / total
    note = f"test pulses and spots that are not planned have {short(sum(layer.extra for layer in layers), 3)} MU"
    yield graded("extra_spots", scope, value, "%", (limits.extra_percent, 2 * limits.extra_percent), note)


def _positions(layers: list[LayerNumbers], scope: str, options: JudgementOptions) -> Iterator[Check]:
    limits, echo = options.delivery, all(layer.echoes[0] for layer in layers)
    layer = max(layers, key=lambda one: one.mean_offset)
    steps = (limits.layer_position_pass_mm, limits.layer_position_review_mm)
    note = f"the spots of {_named(layer)} are {short(layer.mean_offset, 2)} mm off on average"
    check = graded("layer_position", scope, layer.mean_offset, "mm", steps, note)
    yield _unless_echo(replace(check, points=len(layers)), echo)
    layer = max(layers, key=lambda one: one.worst_offset)
    steps = (limits.spot_position_pass_mm, limits.spot_position_review_mm)
    note = f"a spot of {_named(layer)} is {short(layer.worst_offset, 2)} mm off"
    check = graded("spot_position", scope, layer.worst_offset, "mm", steps, note)
    yield _unless_echo(replace(check, points=sum(one.planned.size for one in layers)), echo)


def _size(layers: list[LayerNumbers], scope: str, options: JudgementOptions) -> Check:
    limits = options.delivery
    known = [(layer.size_error, layer) for layer in layers if layer.size_error is not None]
    if not known:
        note = "record or plan has no spot sizes (300A,0398)"
        return not_judged("spot_size", scope, note, limit=f"<= {short(limits.size_pass_percent)} %")
    value, layer = max(known, key=lambda one: abs(one[0]))
    direction = "larger" if value > 0 else "smaller"
    note = f"the spots of {_named(layer)} are {short(abs(value))} % {direction} than planned on average"
    check = graded("spot_size", scope, value, "%", (limits.size_pass_percent, limits.size_review_percent), note)
    return _unless_echo(replace(check, points=len(known)), all(layer.echoes[2] for _, layer in known))
