"""Logs of a Sumitomo machine: read, joined and judged like treatment records, or refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.delivered import plan_in, read

from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample_logs import CALIBRATION, LOG_KINDS, write_logs
from mqi_communicator.results.delivered.judge import judge_fraction
from mqi_communicator.results.options import JudgementOptions
from mqi_communicator.treatment.fractions import by_fraction
from mqi_communicator.treatment.join import join
from mqi_communicator.treatment.joined import Pairing
from mqi_communicator.treatment.paths import LONGEST, way_of

CALIBRATIONS = {"MQI-DEMO": CALIBRATION}
SPOTS, LINES = "", "sumitomo-line"


@pytest.fixture(scope="module", params=[SPOTS, LINES], ids=["spots", "lines"])
def plan(request, tmp_path_factory):
    return plan_in(tmp_path_factory.mktemp("plan"), request.param)[1]


def delivered(plan, folder, kind="good", wrong=""):
    for session in sessions_of(plan, 1, kind):
        write_logs(folder, session, plan, wrong)
    return read([folder], plan, CALIBRATIONS)


def joined(plan, deliveries):
    found = [join(plan, one) for one in deliveries]
    return [beam for beams, _ in found for beam in beams], [problem for _, problems in found for problem in problems]


def judged(plan, folder, kind):
    deliveries, problems = delivered(plan, folder, kind)
    beams, contradictions = joined(plan, deliveries)
    assert not problems
    assert not contradictions
    (fraction,) = by_fraction(beams, plan.beams)
    return judge_fraction(fraction, plan, JudgementOptions())


def test_an_exact_log_gives_the_plan_back(plan, tmp_path):
    deliveries, problems = delivered(plan, tmp_path, "echo")
    beams, contradictions = joined(plan, deliveries)
    assert not problems
    assert not contradictions
    assert sorted(beam.planned.number for beam in beams) == [1, 2]
    for beam in beams:
        for layer, planned in zip(beam.layers, beam.planned.layers, strict=True):
            assert layer.pairing is Pairing.WAY
            assert layer.mu.sum() == pytest.approx(planned.weights.sum() * beam.planned.mu_per_weight, rel=1e-9)
            assert layer.delivered.sum() == pytest.approx(layer.mu.sum(), rel=1e-6)
            assert np.abs(layer.offsets).max() < 0.01
            part = 1e-6 if planned.kind == "spots" else 0.03
            assert layer.delivered == pytest.approx(layer.mu, rel=part, abs=1e-7)


def test_the_way_is_cut_where_lines_turn(plan):
    for layer in plan.beams[0].layers:
        way = way_of(layer)
        assert way.weights.sum() == pytest.approx(layer.weights.sum())
        assert np.hypot(*(way.end - way.begin).T).max() <= LONGEST + 1e-9
        ends = {tuple(place) for place in np.round(way.end, 6)}
        assert {tuple(place) for place in np.round(layer.spots[layer.weights > 0], 6)} <= ends


@pytest.mark.parametrize(
    ("kind", "outcome", "name"),
    [
        ("good", "pass", ""),
        ("other-order", "pass", ""),
        ("shifted-layer", "review", "layer_position"),
        ("more-in-a-layer", "review", "layer_mu"),
        ("more-in-all", "fail", "fraction_mu"),
        ("resumed", "review", "interruption"),
        ("repeated", "fail", "fraction_mu"),
    ],
)
def test_a_delivery_ends_in_its_outcome(plan, tmp_path, kind, outcome, name):
    verdict = judged(plan, tmp_path, kind)
    failed = {check.name: check.outcome.value for check in verdict.checks if check.outcome.value != "pass"}
    assert verdict.outcome.value == outcome, (verdict.why, failed)
    assert name in {"", *failed}


def cut(session, beam, layer, share, *, resumed=False):
    """The session with a beam interrupted in a layer, or its rest alone, after this share of the layer's spots."""
    first, others = session.parts[beam], [part for part in session.parts if part is not session.parts[beam]]
    here = first.layers[layer]
    at = round(share * len(here.mu))
    part = slice(at - 1, None) if resumed else slice(0, at)  # a line begins where the one before it ends
    mu = np.where(here.indices == at - 1, 0.0, here.mu) if resumed else here.mu
    changed = replace(here, positions=here.positions[part], mu=mu[part], indices=here.indices[part])
    index = layer % len(first.layers)
    layers = (changed, *first.layers[index + 1 :]) if resumed else (*first.layers[:index], changed)
    minute = 30 if resumed else session.minute
    return replace(session, parts=(replace(first, layers=layers), *([] if resumed else others)), minute=minute)


@pytest.mark.parametrize(("beam", "layer"), [(1, 0), (0, -1)])
def test_an_interruption_in_the_first_or_last_layer_is_no_contradiction(plan, tmp_path, beam, layer):
    (whole,) = sessions_of(plan, 1)
    write_logs(tmp_path, cut(whole, beam, layer, 0.5), plan)
    deliveries, problems = read([tmp_path], plan, CALIBRATIONS)
    beams, contradictions = joined(plan, deliveries)
    assert (problems, contradictions) == ([], [])
    (fraction,) = by_fraction(beams, plan.beams)
    verdict = judge_fraction(fraction, plan, JudgementOptions())
    assert verdict.outcome.value == "not_judged"
    interrupted = {check.scope: check.outcome.value for check in verdict.checks if check.name == "interruption"}
    assert interrupted == {f"beam {beam + 1}": "not_judged", f"beam {2 - beam}": "pass"}

    write_logs(tmp_path, cut(whole, beam, layer, 0.5, resumed=True), plan)
    beams, contradictions = joined(plan, read([tmp_path], plan, CALIBRATIONS)[0])
    assert not contradictions
    (fraction,) = by_fraction(beams, plan.beams)
    failed = {
        (check.name, check.scope): check.outcome.value
        for check in judge_fraction(fraction, plan, JudgementOptions()).checks
        if check.outcome.value != "pass"
    }
    assert failed == {("interruption", f"beam {beam + 1}"): "review"}


def test_a_log_is_read_once(plan, tmp_path, monkeypatch):
    delivered(plan, tmp_path)
    opened = []
    whole = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path), whole(path))[1])
    first = read([tmp_path], plan, CALIBRATIONS)[0]
    assert len(opened) == len(set(opened)) > 0
    log = next(tmp_path.rglob("*.mgn"))
    log.write_bytes(log.read_bytes()[:4] + b"\1" + log.read_bytes()[5:])
    second = read([tmp_path], plan, CALIBRATIONS)[0]
    assert len({one.digest for one in first} & {one.digest for one in second}) == len(first) - 1


def test_a_missing_spot_is_found(plan, tmp_path):
    verdict = judged(plan, tmp_path, "missing-spot")
    assert verdict.outcome.value in ("review", "fail")
    assert "missing_spots" in {check.name for check in verdict.checks if check.outcome.value != "pass"}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("truncated-log", "log.truncated"),
        ("missing-log", "log.unreadable"),
        ("unknown-range", "log.range"),
        ("off-rails", "log.rail"),
        ("other-monitor", "log.monitors"),
        ("other-monitor-in-part", "log.monitors"),
    ],
)
def test_wrong_logs_are_refused_by_name(plan, tmp_path, wrong, code):
    assert wrong in LOG_KINDS
    deliveries, problems = delivered(plan, tmp_path, wrong=wrong)
    assert {problem.code for problem in problems} == {code}
    assert len(deliveries) == 1  # the other beam's


def test_a_log_that_is_too_large_is_refused_with_its_size(plan, tmp_path):
    delivered(plan, tmp_path)
    with next(tmp_path.rglob("*.ptn")).open("r+b") as log:
        log.truncate(2**28 + 16)  # sparse
    problems = read([tmp_path], plan, CALIBRATIONS)[1]
    assert [problem.code for problem in problems] == ["log.unreadable"]
    assert "has 268435472 bytes, expected at most 268435456" in problems[0].found


@pytest.mark.parametrize("kind", ["other-plan", "swapped-beams"])
def test_logs_of_another_plan_or_beam_are_refused(plan, tmp_path, kind):
    deliveries, problems = delivered(plan, tmp_path, kind)
    beams, contradictions = joined(plan, deliveries)
    assert not problems
    assert not beams
    assert {problem.code for problem in contradictions} & {"join.given", "join.energy", "join.layers"}


def test_logs_without_the_file_that_names_the_beam_are_not_left_out(plan, tmp_path):
    delivered(plan, tmp_path)
    next(tmp_path.rglob("PlanInfo.txt")).unlink()
    deliveries, problems = read([tmp_path], plan, CALIBRATIONS)
    assert len(deliveries) == 1  # the other beam's
    assert {problem.code for problem in problems} == {"log.unreadable"}


def test_without_a_calibration_nothing_is_read(plan, tmp_path):
    delivered(plan, tmp_path)
    deliveries, problems = read([tmp_path], plan, {})
    assert not deliveries
    assert {problem.code for problem in problems} == {"log.calibration"}


@pytest.mark.parametrize("missing", [{"commissioned_by": " "}, {"commissioned_on": None}])
def test_without_commissioning_nothing_that_rests_on_the_calibration_is_judged(plan, tmp_path, missing):
    delivered(plan, tmp_path, "more-in-all")
    deliveries, _ = read([tmp_path], plan, {"MQI-DEMO": CALIBRATION.model_copy(update=missing)})
    (fraction,) = by_fraction(joined(plan, deliveries)[0], plan.beams)
    verdict = judge_fraction(fraction, plan, JudgementOptions())
    assert {check.outcome.value for check in verdict.checks} == {"not_judged"}
    assert next(check.value for check in verdict.checks if check.name == "fraction_mu") == pytest.approx(3, abs=0.1)
    assert [check.scope for check in verdict.checks if check.name == "basis"] == ["beam 1", "beam 2"]
    assert verdict.why == (
        "the calibration of the logs of machine MQI-DEMO has no commissioned_by and commissioned_on: commission it, "
        "and enter both under machines.MQI-DEMO.logs"
    )


def test_a_beam_whose_calibration_is_commissioned_is_judged_beside_one_whose_is_not(plan, tmp_path):
    delivered(plan, tmp_path, "more-in-all")
    reasons = ("the calibration is not commissioned",)
    deliveries = [
        replace(one, not_to_judge=reasons if one.beams[0].number == 2 else ())
        for one in read([tmp_path], plan, CALIBRATIONS)[0]
    ]
    (fraction,) = by_fraction(joined(plan, deliveries)[0], plan.beams)
    verdict = judge_fraction(fraction, plan, JudgementOptions())
    outcomes = {(check.scope, check.name): check.outcome.value for check in verdict.checks}
    assert outcomes["fraction", "fraction_mu"] == outcomes["beam 2", "beam_mu"] == "not_judged"
    assert outcomes["beam 1", "beam_mu"] == "fail"


def test_a_calibration_that_is_far_off_is_refused_and_a_small_error_is_judged(plan, tmp_path):
    delivered(plan, tmp_path)
    for factor, codes in ((1.3, {"join.counts"}), (0.7, {"join.counts"}), (1.1, set())):
        other = CALIBRATION.model_copy(update={"counts_per_mu": factor * CALIBRATION.counts_per_mu})
        deliveries, problems = read([tmp_path], plan, {"MQI-DEMO": other})
        assert not problems
        found = {problem.code for problem in joined(plan, deliveries)[1]}
        assert found >= codes
        assert bool(found) == bool(codes)
