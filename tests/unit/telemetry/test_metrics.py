"""Counters fold over events; gauges show what is read; labels are bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mqi_communicator.case.model import Event
from mqi_communicator.telemetry import catalogue
from mqi_communicator.telemetry.metrics import Metrics, Reading

ROOT = Path(__file__).resolve().parents[3]


def event(name, step="upload", **facts):
    return Event(at=0.0, case="secretkey", beam=1, event=name, step=step, facts=facts)


def metrics(read=Reading):
    return Metrics(("upload", "compare"), ("pass", "fail"), read)


def page(made):
    return made.render().decode()


def test_events_are_counted_by_step_and_outcome():
    made = metrics()
    for name in ("step.retried", "step.retried", "step.done", "order.hold"):
        made.fold(event(name))
    assert 'mqi_steps_total{outcome="retried",step="upload"} 2.0' in page(made)
    assert 'mqi_steps_total{outcome="done",step="upload"} 1.0' in page(made)
    assert 'mqi_retries_total{step="upload"} 2.0' in page(made)
    assert "order" not in page(made)


def test_verdicts_durations_and_bytes_come_from_facts():
    made = metrics()
    made.fold(event("step.done", step="compare", word="fail", took_s=3.0))
    made.fold(event("step.done", sent_bytes=1000))
    text = page(made)
    assert 'mqi_verdicts_total{verdict="fail"} 1.0' in text
    assert 'mqi_step_duration_seconds_bucket{le="2.0",step="compare"} 0.0' in text
    assert 'mqi_step_duration_seconds_bucket{le="5.0",step="compare"} 1.0' in text
    assert 'mqi_transferred_bytes_total{direction="sent"} 1000.0' in text


@pytest.mark.parametrize("odd", ["many", -1, float("nan"), float("inf"), True, None])
def test_odd_facts_are_not_counted(odd):
    made = metrics()
    made.fold(event("step.done", sent_bytes=odd, took_s=odd))
    assert 'mqi_transferred_bytes_total{direction="sent"} 0.0' in page(made)
    assert "mqi_step_duration_seconds_count" not in page(made)


def test_labels_take_only_listed_values():
    made = metrics(lambda: Reading(items={("DOE^JOHN", "ready"): 1, ("gone", "ready"): 2}))
    made.fold(event("step.done", step="DOE^JOHN", word="DOE^JOHN"))
    made.remote("send", "done", 0.3)
    made.remote("DOE^JOHN", "DOE^JOHN", 0.3)
    text = page(made)
    assert "DOE" not in text
    assert "secretkey" not in text
    assert 'mqi_work_items{status="ready",step="other"} 3.0' in text
    assert 'mqi_remote_operations_total{operation="send",outcome="done"} 1.0' in text
    assert 'mqi_remote_operation_duration_seconds_bucket{le="0.5",operation="send"} 1.0' in text
    assert 'mqi_remote_operation_duration_seconds_bucket{le="0.1",operation="send"} 0.0' in text


def test_gauges_are_read_at_each_scrape():
    ages = iter((1.0, 2.0))
    made = metrics(
        lambda: Reading(oldest_waiting_s=next(ages), breakers={("gpu1", "bulk"): "open"}, disk_free={"local": 7})
    )
    assert "mqi_oldest_waiting_seconds 1.0" in page(made)
    assert "mqi_gauges_up 0.0" not in (second := page(made))
    assert "mqi_oldest_waiting_seconds 2.0" in second
    assert "mqi_gauges_up 0.0" in page(made)  # the reader has nothing more and raises


def test_a_breaker_is_in_one_state():
    text = page(metrics(lambda: Reading(breakers={("gpu1", "bulk"): "open"})))
    assert 'mqi_breaker_state{host="gpu1",state="open",work="bulk"} 1.0' in text
    assert 'mqi_breaker_state{host="gpu1",state="closed",work="bulk"} 0.0' in text


def test_unknown_values_are_absent():
    assert "\nmqi_oldest_waiting_seconds " not in page(metrics())


def test_two_communicators_do_not_share_counters():
    one, other = metrics(), metrics()
    one.fold(event("step.done"))
    assert 'mqi_steps_total{outcome="done",step="upload"} 1.0' in page(one)
    assert 'mqi_steps_total{outcome="done",step="upload"} 0.0' in page(other)


def test_histories_count_only_with_a_known_duration():
    made = metrics()
    made.fold(event("step.done", histories=4000, job_started=100, job_ended=120))
    made.fold(event("step.done", histories=1000))
    made.fold(event("step.done", histories=1000, job_started=100, job_ended=100))
    assert "mqi_histories_total 4000.0" in page(made)
    assert "mqi_compute_seconds_total 20.0" in page(made)


def test_unknown_steps_share_one_label_in_every_gauge():
    text = page(metrics(lambda: Reading(action_required={"a": 1, "b": 2}, queue_age_s={"a": 1.0, "b": 5.0})))
    assert 'mqi_work_items_action_required{step="other"} 3.0' in text
    assert 'mqi_queue_age_seconds{step="other"} 5.0' in text


def test_the_page_holds_the_metrics_of_the_catalogue_and_no_others():
    found = {
        family.name: (family.type, family.documentation)
        for family in text_string_to_metric_families(page(metrics()))
        if not family.name.startswith(("process_", "dashboard_process_"))
    }
    reported = {spec.name.removesuffix("_total"): (spec.kind, spec.text) for spec in catalogue.ALL}
    assert found == reported


def test_the_page_about_metrics_is_not_stale():
    assert (ROOT / "docs/metrics.md").read_text() == catalogue.page(), (
        "run: python -m mqi_communicator.telemetry.catalogue > docs/metrics.md"
    )
