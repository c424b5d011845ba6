"""Timelines, trends and the formatting of numbers: pure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mqi_communicator.case.figure import Figure
from mqi_communicator.case.model import Event
from mqi_communicator.case.states import is_due
from mqi_communicator.case.views import BeamView, CaseView, group_of, state_of_beam, state_of_case
from mqi_communicator.web import filters
from mqi_communicator.web.actions import OrderRequest, applicable
from mqi_communicator.web.chart import HEIGHT, WIDTH, trend_of
from mqi_communicator.web.timeline import durations, timeline

pytestmark = pytest.mark.pure


def beam(number: int = 1, step: str = "follow", status: str = "waiting", *, needs_person: bool = False) -> BeamView:
    return BeamView(number, step, status, 1, None, None, "", "", needs_person)


def case(status: str = "waiting", step: str = "compare", beams: tuple[BeamView, ...] = (), *, person: bool = False):
    return CaseView(
        "k1", "folder", 1, step, status, "", "", "", person, "", "gpu1", "routine", None, "", "", 0.0, beams, "", ""
    )  # fmt: skip


def event(at: float, name: str, step: str, number: int = 0, took: float = 0.0) -> Event:
    return Event(at, "k1", number, name, step, facts={"took_s": took})


def bars(made, number=0):
    (row,) = [row for row in made.rows if row.beam == number]
    return [(bar.step, bar.kind, bar.begin, bar.end) for bar in row.bars]


def test_time_at_a_step_is_waiting_first_and_then_work():
    events = [
        event(0, "case.seen", "admit"),
        event(10, "step.done", "admit", took=4),
        event(30, "step.done", "upload", took=20),
    ]
    made = timeline(case("done"), events, 100.0)
    assert bars(made) == [("admit", "wait", 0, 6), ("admit", "admit", 6, 10), ("upload", "upload", 10, 30)]
    assert (made.begin, made.end) == (0, 30)
    assert durations(made) == [(0, "admit", 4.0, 6.0), (0, "upload", 20.0, 0.0)]


def test_a_beam_that_is_followed_computes_all_the_time_and_up_to_now():
    events = [event(0, "beam.started", "submit", 1), event(5, "step.done", "submit", 1, took=1)]
    made = timeline(case(beams=(beam(),)), events, 65.0)
    assert bars(made, 1) == [("submit", "wait", 0, 4), ("submit", "submit", 4, 5), ("follow", "follow", 5, 65)]


def test_time_under_an_order_to_hold_is_held():
    events = [
        event(0, "case.seen", "admit"), event(4, "order.hold", "admit"), event(24, "order.release", "admit"),
        event(30, "case.done", "admit", took=6),
    ]  # fmt: skip
    made = timeline(case("done"), events, 100.0)
    assert bars(made) == [("admit", "admit", 0, 4), ("admit", "held", 4, 24), ("admit", "admit", 24, 30)]


def test_there_is_no_bar_between_a_failure_and_the_order_to_retry():
    events = [
        event(0, "case.seen", "admit"), event(10, "step.failed", "admit", took=10),
        event(500, "order.retry", "admit"), event(510, "case.done", "admit", took=10),
    ]  # fmt: skip
    made = timeline(case("done"), events, 600.0)
    assert bars(made) == [("admit", "admit", 0, 10), ("admit", "admit", 500, 510)]
    assert made.position(255.0) == 500.0


def test_a_case_without_events_has_no_rows():
    assert timeline(case(), [], 100.0).rows == ()


def figure(value: float | None) -> Figure:
    return Figure("k", "gamma", "plan", 1.0, "GTR1", "pass", value, "%")


def test_the_points_of_a_trend_are_within_the_chart():
    made = trend_of("GTR1", "gamma", [figure(95.0), figure(100.0), figure(97.0)])
    assert made is not None
    assert [0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in made.points] == [True] * 3
    assert made.points[1].y < made.points[2].y < made.points[0].y
    assert made.points[0].x < made.points[1].x
    assert (made.low, made.high) == (95.0, 100.0)


def test_one_value_and_equal_values_give_a_chart_and_none_gives_no_chart():
    assert len(trend_of("GTR1", "gamma", [figure(99.0)]).points) == 1
    assert {round(point.y) for point in trend_of("GTR1", "gamma", [figure(99.0)] * 3).points} == {round(HEIGHT / 2)}
    assert trend_of("GTR1", "gamma", []) is None
    assert trend_of("GTR1", "gamma", [figure(None)]) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.44, "0.4 s"),
        (12, "12 s"),
        (200, "3 min 20 s"),
        (180, "3 min"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_spans_of_time(seconds, text):
    assert filters.span(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(None, "–"), (512, "512 B"), (1400, "1.4 kB"), (3.2e9, "3.2 GB"), (2e15, "2000.0 TB")]
)
def test_sizes(count, text):
    assert filters.size(count) == text


@pytest.mark.parametrize(
    ("seen", "group"),
    [
        (case(person=True), "action_required"),
        (case("failed"), "action_required"),
        (case("held"), "held"),
        (case("ready", "upload"), "running"),
        (case(beams=(beam(),)), "running"),
        (case(beams=(beam(step="submit"),)), "waiting"),
        (case(beams=(beam(status="done", step="verify"),)), "waiting"),
    ],
)
def test_the_group_of_a_case_on_the_start_page(seen, group):
    assert group_of(replace(seen, state=state_of_case(seen, due=False))) == group


@pytest.mark.parametrize(
    ("seen", "due", "state"),
    [
        (case("done"), False, "done"),
        (case("done"), True, "to_review"),
        (case("waiting", "tidy"), True, "to_review"),
        (case("waiting", "tidy", person=True), True, "action_required"),
        (case("failed", "tidy"), True, "failed"),
        (case("cancelled"), True, "cancelled"),
        (case("held", beams=(beam(),)), False, "held"),
    ],
)
def test_the_state_of_a_case_is_one_word(seen, due, state):
    assert state_of_case(seen, due=due) == state


def test_a_case_that_has_ended_is_in_no_group():
    with pytest.raises(ValueError, match="no group"):
        group_of(replace(case("done"), state="done"))


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (beam(), "computing"),
        (beam(step="collect"), "running"),
        (beam(step="submit", status="ready"), "running"),
        (beam(step="submit"), "waiting"),
        (beam(needs_person=True), "action_required"),
        (beam(status="held"), "held"),
        (beam(step="verify", status="done"), "done"),
    ],
)
def test_the_state_of_a_beam_is_one_word(seen, state):
    assert state_of_beam(seen) == state


@pytest.mark.parametrize(
    ("signature", "verdict", "superseded", "constancy", "passes", "due"),
    [
        ("unsigned", "fail", "", "", False, True),
        ("second_due", "pass", "", "", True, True),
        ("unsigned", "pass", "", "", False, False),
        ("unsigned", "pass", "", "daily", True, False),
        ("unsigned", "review", "", "daily", True, True),
        ("unsigned", "fail", "k2", "", True, False),
        ("signed", "fail", "", "", True, False),
        ("", "fail", "", "", True, False),
    ],
)
def test_which_judgements_somebody_has_to_review(signature, verdict, superseded, constancy, passes, due):
    assert is_due(signature, verdict, superseded, constancy, passes=passes) is due


@pytest.mark.parametrize(
    ("seen", "orders"),
    [
        (case("waiting"), ("retry", "hold", "priority", "cancel")),
        (case("held"), ("release", "priority", "cancel")),
        (case("failed"), ("retry", "cancel")),
        (case("cancelled"), ("retry",)),
        (case("done"), ()),
    ],
)
def test_only_applicable_orders_are_offered(seen, orders):
    assert applicable(seen) == orders


def test_priority_is_accepted_only_with_its_order():
    assert OrderRequest(order="priority", reason="early fraction", priority="urgent").priority == "urgent"
    for wrong in ({"order": "priority"}, {"order": "hold", "priority": "urgent"}):
        with pytest.raises(ValueError, match="priority is required with the order priority"):
            OrderRequest(reason="early fraction", **wrong)
