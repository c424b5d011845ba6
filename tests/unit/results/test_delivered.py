"""What a machine recorded is judged as it deserves: each known error ends in its outcome, by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.delivered import plan_in, records, write

from mqi_communicator.dicom.problem import Problem
from mqi_communicator.dicom.treatment_record import read_treatment_record
from mqi_communicator.results.delivered.fluence import fluence_difference
from mqi_communicator.results.delivered.judge import judge_fraction
from mqi_communicator.results.delivery_options import DeliveryOptions
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.treatment.fractions import Refused, by_fraction
from mqi_communicator.treatment.join import join, join_all
from mqi_communicator.treatment.joined import JoinedLayer, Pairing

OPTIONS = JudgementOptions()


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_in(tmp_path_factory.mktemp("plan"))[1]


@pytest.fixture(scope="module")
def deliveries(plan, tmp_path_factory):
    """A function that reads the records of one kind."""

    def made(kind="good"):
        paths = write(tmp_path_factory.mktemp(kind), records(plan, kind))
        return [read_treatment_record(path)[0] for path in paths]

    return made


def judged(plan, deliveries, options=OPTIONS):
    joined = [join(plan, one) for one in deliveries]
    assert not any(problems for _, problems in joined)
    (fraction,) = by_fraction([beam for beams, _ in joined for beam in beams], plan.beams)
    return judge_fraction(fraction, plan, options)


def outcomes(verdict, scope="beam 1"):
    return {check.name: check.outcome.value for check in verdict.checks if check.scope in (scope, "fraction")}


def of(verdict, name, scope="beam 1"):
    (check,) = [check for check in verdict.checks if (check.name, check.scope) == (name, scope)]
    return check


def not_passed(verdict):
    return {(check.scope, check.name): check.outcome.value for check in verdict.checks if check.outcome.value != "pass"}


def each_layer(delivery, change):
    beams = tuple(replace(beam, layers=tuple(map(change, beam.layers))) for beam in delivery.beams)
    return replace(delivery, beams=beams)


@pytest.mark.parametrize("kind", ["good", "other-order", "test-pulses"])
def test_a_delivery_as_planned_passes(plan, deliveries, kind):
    verdict = judged(plan, deliveries(kind))
    assert (verdict.outcome.value, not_passed(verdict)) == ("pass", {})
    assert all(check.note for check in verdict.checks)
    assert {check.name for check in verdict.checks} == {
        "fraction_mu",
        "interruption",
        "beam_mu",
        "layer_mu",
        "spot_mu",
        "missing_spots",
        "extra_spots",
        "layer_position",
        "spot_position",
        "spot_size",
        "fluence",
    }


def test_a_layer_1_mm_off_is_for_review(plan, deliveries):
    verdict = judged(plan, deliveries("shifted-layer"))
    check = of(verdict, "layer_position")
    assert (check.value, check.outcome.value) == (1.0, "review")
    assert "layer 2 (" in check.note
    assert outcomes(verdict, "beam 2")["layer_position"] == "pass"
    assert verdict.outcome.value == "review"


def test_3_percent_more_in_a_layer_is_for_review(plan, deliveries):
    verdict = judged(plan, deliveries("more-in-a-layer"))
    check = of(verdict, "layer_mu")
    assert (check.value, check.outcome.value) == (3.0, "review")
    assert "layer 2 (" in verdict.why
    assert "3 % more MU than planned" in verdict.why


def test_3_percent_more_in_all_fails_as_over_delivered(plan, deliveries):
    verdict = judged(plan, deliveries("more-in-all"))
    assert verdict.outcome.value == "fail"
    assert (of(verdict, "fraction_mu", "fraction").value, of(verdict, "beam_mu").value) == (3.0, 3.0)
    assert "3 % more than the 146 MU planned" in verdict.why


def test_a_fraction_less_than_1_percent_above_plan_does_not_fail(plan, deliveries):
    scaled = [each_layer(one, lambda layer: replace(layer, mu=1.009 * layer.mu)) for one in deliveries()]
    assert not_passed(judged(plan, scaled)) == {}
    scaled = [each_layer(one, lambda layer: replace(layer, mu=1.011 * layer.mu)) for one in deliveries()]
    assert not_passed(judged(plan, scaled)) == {
        ("fraction", "fraction_mu"): "fail",
        ("beam 1", "beam_mu"): "review",
        ("beam 2", "beam_mu"): "review",
    }


@pytest.mark.parametrize("number", [-1, 0, 6])
def test_a_fraction_beyond_those_of_the_plan_is_for_review(plan, deliveries, number):
    """It is dose that nobody planned, however well it was delivered."""
    assert plan.fractions == 5
    beams = [tuple(replace(beam, fraction=number) for beam in one.beams) for one in deliveries()]
    verdict = judged(plan, [replace(one, beams=mine) for one, mine in zip(deliveries(), beams, strict=True)])
    assert not_passed(verdict) == {("fraction", "fraction_number"): "review"}
    assert verdict.why == f"the record is of fraction {number}, and the plan has 5 fractions"


def test_a_missing_spot_is_seen_by_its_own_check(plan, deliveries):
    verdict = judged(plan, deliveries("missing-spot"))
    check = of(verdict, "missing_spots")
    assert "1 planned spot is not recorded" in check.note
    assert check.value > 0
    assert check.outcome.value in ("review", "fail")
    assert of(verdict, "spot_mu").outcome.value == "pass"  # a missing spot is not paired with its neighbour
    assert of(verdict, "spot_position").outcome.value == "pass"


def test_a_resumed_beam_is_for_review_and_complete(plan, deliveries):
    assert not_passed(judged(plan, deliveries("resumed"))) == {("beam 1", "interruption"): "review"}


def test_an_unfinished_fraction_is_not_judged(plan, deliveries):
    verdict = judged(plan, deliveries("unfinished"))
    assert not_passed(verdict) == {
        ("fraction", "beams"): "not_judged",
        ("beam 1", "interruption"): "not_judged",
        ("beam 1", "beam_mu"): "not_judged",
    }


def test_an_overdose_of_an_unfinished_beam_still_fails(plan, deliveries):
    (delivery,) = [each_layer(one, lambda layer: replace(layer, mu=2.2 * layer.mu)) for one in deliveries("unfinished")]
    assert judged(plan, [delivery]).outcome.value == "fail"


def test_a_repeated_fraction_fails(plan, deliveries):
    verdict = judged(plan, deliveries("repeated"))
    assert of(verdict, "fraction_mu", "fraction").value == 100.0
    assert "recorded more than once" in verdict.why


def test_a_record_that_repeats_the_plan_is_not_judged(plan, deliveries):
    verdict = judged(plan, deliveries("echo"))
    assert verdict.outcome.value == "not_judged"
    names = {name for (_, name), outcome in not_passed(verdict).items() if outcome == "not_judged"}
    assert names == {"beam_mu", "layer_mu", "spot_mu", "layer_position", "spot_position", "spot_size", "fluence"}


def test_one_quantity_alone_may_repeat_the_plan(plan, deliveries):
    (delivery,) = deliveries()
    first, second = delivery.beams
    pairs = zip(first.layers, plan.beams[0].layers, strict=True)
    first = replace(first, layers=tuple(replace(layer, positions=planned.spots) for layer, planned in pairs))
    echo = replace(delivery, beams=(first, second))
    assert set(not_passed(judged(plan, [echo]))) == {("beam 1", "layer_position"), ("beam 1", "spot_position")}


@pytest.mark.parametrize("decimals", [2, 3])
def test_a_record_of_the_plan_rounded_is_not_judged(plan, deliveries, decimals):
    rounded = [
        each_layer(one, lambda layer: replace(layer, positions=layer.positions.round(decimals), mu=layer.mu.round(3)))
        for one in deliveries("echo")
    ]
    verdict = judged(plan, rounded)
    assert {outcomes(verdict)[name] for name in ("layer_position", "spot_position", "beam_mu", "spot_mu")} == {
        "not_judged"
    }


def test_a_measurement_written_with_two_decimals_is_judged(plan, deliveries):
    rounded = [
        each_layer(one, lambda layer: replace(layer, positions=layer.positions.round(2), mu=layer.mu.round(3)))
        for one in deliveries()
    ]
    assert judged(plan, rounded).outcome.value == "pass"


def test_a_refused_record_that_may_be_of_the_fraction_keeps_it_from_passing(plan, deliveries):
    good = deliveries()[0]
    (fraction,) = by_fraction(join(plan, good)[0], plan.beams)
    wrong = replace(good, uid="1.2.3", beams=(replace(good.beams[0], number=9),))
    elsewhere = replace(wrong, beams=(replace(wrong.beams[0], fraction=2),))
    other = replace(wrong, plan_uid="1.2.9")
    unread = Refused((Problem("record.unreadable", "x", "it cannot be read"),))
    for more, outcome in (((wrong,), "not_judged"), ((elsewhere,), "pass"), ((other,), "pass"), ((), "pass")):
        joined, refused = join_all(plan, (good, *more))
        assert (len(joined), len(refused)) == (2, len(more))
        assert judge_fraction(fraction, plan, OPTIONS, refused).outcome.value == outcome
    verdict = judge_fraction(fraction, plan, OPTIONS, [unread])
    assert verdict.outcome.value == "not_judged"
    assert verdict.why == "a record was refused that may be of this fraction: it cannot be read"
    copies = join_all(plan, (good, replace(good, digest="0")))[1]
    assert judge_fraction(fraction, plan, OPTIONS, copies).outcome.value == "not_judged"


def test_sizes_decide_only_where_they_are_measured_or_required(plan, deliveries):
    none = [each_layer(one, lambda layer: replace(layer, size=None)) for one in deliveries()]
    verdict = judged(plan, none)
    assert (verdict.outcome.value, outcomes(verdict)["spot_size"]) == ("pass", "not_judged")
    required = JudgementOptions(delivery=DeliveryOptions(size_required=True))
    assert judged(plan, none, required).outcome.value == "not_judged"
    wide = [each_layer(one, lambda layer: replace(layer, size=(11.0, 10.0))) for one in deliveries()]
    assert (of(judged(plan, wide), "spot_size").value, judged(plan, wide).outcome.value) == (22.22, "fail")


def test_another_machine_is_for_review(plan, deliveries):
    other = [replace(one, machine="GTR9") for one in deliveries()]
    assert not_passed(judged(plan, other)) == {("beam 1", "machine"): "review", ("beam 2", "machine"): "review"}


def test_pairs_by_distance_are_for_review(plan, deliveries):
    bare = [each_layer(one, lambda layer: replace(layer, indices=None)) for one in deliveries()]
    assert set(not_passed(judged(plan, bare)).values()) == {"review"}
    assert {name for _, name in not_passed(judged(plan, bare))} == {"pairing"}


def test_limits_are_those_of_the_machine(plan, deliveries):
    strict = JudgementOptions.model_validate(
        {"machines": {"MQI-DEMO": {"delivery": {"layer_position_pass_mm": 1e-6, "layer_position_review_mm": 1e-5}}}}
    )
    assert judged(plan, deliveries("shifted-layer"), strict).outcome.value == "fail"
    with pytest.raises(ValueError, match="delivery: spot_mu_review_percent is stricter than spot_mu_pass_percent"):
        JudgementOptions.model_validate({"delivery": {"spot_mu_review_percent": 1}})


def layer_of(spots, recorded, mu, recorded_mu, size=(8.0, 10.0)):
    recorded, recorded_mu = np.asarray(recorded, float), np.asarray(recorded_mu, float)
    nothing = np.full((len(recorded), 2), np.nan)
    partner = np.arange(len(recorded))
    return JoinedLayer(
        index=0,
        energy=120.0,
        spots=np.asarray(spots, float),
        mu=np.asarray(mu, float),
        size=size,
        recorded=recorded,
        recorded_mu=recorded_mu,
        recorded_sizes=nothing,
        partner=partner,
        offsets=nothing,
        delivered=np.zeros(len(mu)),
        pairing=Pairing.INDICES,
    )


def test_the_difference_of_fluence_of_one_spot_is_that_of_two_gaussians():
    """Two equal Gaussians that are d apart differ by at most 2 sinh(...): near d / sigma * exp(-1/2) for small d."""
    sigma = 8.0 / 2.35482
    moved = layer_of([(0, 0)], [(0.1, 0)], [1], [1])
    assert fluence_difference(moved) == pytest.approx(100 * 0.1 / sigma * np.exp(-0.5), rel=0.03)
    assert fluence_difference(layer_of([(0, 0)], [(0, 0)], [1], [1.04])) == pytest.approx(4.0, rel=0.01)
    assert fluence_difference(layer_of([(0, 0), (90, 0)], [(0, 0)], [1, 1], [1])) == pytest.approx(100.0, rel=0.01)
    assert fluence_difference(layer_of([(0, 0)], [(0, 0)], [1], [1], None)) is None


def test_the_fluence_is_the_sum_of_the_gaussians_of_all_spots():
    random = np.random.default_rng(1)
    spots = random.uniform(-20, 20, (60, 2))
    planned, moved, delivered = random.uniform(0.5, 1, 60), spots + random.normal(0, 0.4, (60, 2)), np.ones(60)
    found = fluence_difference(layer_of(spots, moved, planned, delivered, (8.0, 8.0)))
    axis = np.arange(-32, 32, 0.3)
    x, y = np.meshgrid(axis, axis)
    sigma = 8.0 / 2.35482

    def fluence(places, mu):
        distances = (x[..., None] - places[:, 0]) ** 2 + (y[..., None] - places[:, 1]) ** 2
        return np.exp(-distances / 2 / sigma**2) @ mu

    expected = 100 * np.abs(fluence(moved, delivered) - fluence(spots, planned)).max() / fluence(spots, planned).max()
    assert found == pytest.approx(expected, rel=0.01)
