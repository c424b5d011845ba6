"""The alert rules, each tested by promtool with a history in which it must fire and one in which it must not."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from mqi_communicator.telemetry import catalogue

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
RUNBOOK = ROOT / "docs/runbook.md"
ALERTS = {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
HERE = 'instance="qa", job="mqi"'


@dataclass(frozen=True)
class History:
    """One sample a minute of each series, and the labels of what fires at the end; empty: silence."""

    alert: str
    series: dict[str, str]
    minutes: int
    fires: tuple[dict[str, str], ...] = ()


def here(name, values, labels="", **more):
    """A series of the metrics page as it is scraped."""
    inner = ", ".join(filter(None, (HERE, labels)))
    return {f"{name}{{{inner}}}": values, **more}


def fires(alert, series, minutes, **labels):
    return History(alert, series, minutes, ({"instance": "qa", "job": "mqi", **labels},))


def quiet(alert, series, minutes):
    return History(alert, series, minutes)


def steps(failed, done):
    """Counters that grow evenly over six hours from 0."""
    return {
        f'mqi_steps_total{{{HERE}, step="follow", outcome="failed"}}': failed,
        f'mqi_steps_total{{{HERE}, step="verify", outcome="done"}}': done,
        f'mqi_steps_total{{{HERE}, step="follow", outcome="done"}}': "0+10x420",
    }


def breaker(closed, opened):
    where = 'host="gpu1", work="bulk"'
    return here("mqi_breaker_state", closed, f'{where}, state="closed"') | here(
        "mqi_breaker_state", opened, f'{where}, state="open"'
    )


def disk(free):
    return here("mqi_disk_free_bytes", free, 'where="local"') | here(
        "mqi_disk_reserve_bytes", "2e9x60", 'where="local"'
    )


def descriptors(opened):
    return here("process_open_fds", opened) | here("process_max_fds", "1024x60")


def host_disk(free):
    return here("mqi_host_disk_free_bytes", free, 'host="gpu1"') | here(
        "mqi_host_disk_reserve_bytes", "2e9x60", 'host="gpu1"'
    )


def case_age(priority, began):
    """Seconds that grow by a minute each minute."""
    return here("mqi_oldest_case_age_seconds", f"{began}+60x30", f'priority="{priority}"')


def action_required(step, values):
    return here("mqi_work_items_action_required", values, f'step="{step}"')


def certificate(ends):
    return here("mqi_ssh_certificate_expires_timestamp_seconds", f"{ends}x40", 'host="gpu1"')


WEEK = 7 * 86400
GPU1 = {"host": "gpu1"}
HISTORIES = [
    History("MqiWatchdog", {}, 1, ({},)),
    fires("MqiDown", here("up", "1x3 0x10"), 10),
    History("MqiDown", {'up{job="node", instance="qa"}': "1x20"}, 10, ({"job": "mqi"},)),
    quiet("MqiDown", here("up", "1x3 0 1x10"), 10),
    fires("MqiRestarts", here("process_start_time_seconds", "1x5 2x5 3x5 4x5 5x20"), 40),
    quiet("MqiRestarts", here("process_start_time_seconds", "1x5 2x60"), 60),
    fires("MqiStoreUnreadable", here("mqi_gauges_up", "1x3 0x20"), 15),
    quiet("MqiStoreUnreadable", here("mqi_gauges_up", "1 0 0 1x20"), 15),
    fires("MqiNoProgress", here("mqi_healthy", "1x3 0x20"), 15),
    quiet("MqiNoProgress", here("mqi_healthy", "1x20"), 15),
    fires("MqiWatchedFolder", here("mqi_watched_folder_up", "0x30"), 20),
    quiet("MqiWatchedFolder", here("mqi_watched_folder_up", "0x10 1x20"), 20),
    fires("MqiResultsFolder", here("mqi_results_folder_up", "1x3 0x20"), 15),
    quiet("MqiResultsFolder", here("mqi_results_folder_up", "0x3 1x20"), 15),
    History(
        "MqiActionRequired",
        action_required("upload", "0x5 2x30") | action_required("admit", "1x30"),
        30,
        ({"instance": "qa"},),
    ),
    quiet("MqiActionRequired", action_required("upload", "0x30"), 30),
    fires("MqiDashboardDown", here("mqi_dashboard_up", "1x3 0x20"), 15),
    fires("MqiDashboardDown", here("dashboard_process_start_time_seconds", "1x5 2x5 3x5 4x5 5x20"), 40),
    quiet("MqiDashboardDown", here("mqi_dashboard_up", "1 0 0 1x20"), 15),
    fires("MqiCaseWaitsTooLong", case_age("urgent", 7000), 30, priority="urgent"),
    fires("MqiCaseWaitsTooLong", case_age("routine", 43100), 30, priority="routine"),
    fires("MqiCaseWaitsTooLong", case_age("background", 259100), 30, priority="background"),
    quiet("MqiCaseWaitsTooLong", case_age("routine", 7000), 30),
    History("MqiFailures", steps("0+0x60 0+1x9 9+0x400", "0+0x60 0+1x9 9+0x400"), 360, ({"instance": "qa"},)),
    quiet("MqiFailures", steps("0+0x60 0+1x9 9+0x400", "0+1x420"), 360),
    quiet("MqiFailures", steps("0+0x60 1+0x400", "0+0x420"), 360),
    fires("MqiBreakerOpen", breaker("1x3 0x30", "0x3 1x30"), 30, host="gpu1", work="bulk", state="closed"),
    quiet("MqiBreakerOpen", breaker("1x3 0x10 1x30", "0x3 1x10 0x30"), 30),
    fires("MqiGpusUnknown", here("mqi_gpus_known", "0x30", 'host="gpu1"'), 30, **GPU1),
    quiet("MqiGpusUnknown", here("mqi_gpus_known", "1x30", 'host="gpu1"'), 30),
    fires("MqiDiskLow", disk("3e9x30"), 30, where="local"),
    quiet("MqiDiskLow", disk("5e9x30"), 30),
    fires("MqiDescriptorsLow", descriptors("30 900x20"), 20),
    fires("MqiDescriptorsLow", {f"dashboard_{name}": one for name, one in descriptors("900x20").items()}, 20),
    quiet("MqiDescriptorsLow", descriptors("30 900x3 400x20"), 20),
    fires("MqiHostDiskLow", host_disk("3e9x40"), 40, **GPU1),
    quiet("MqiHostDiskLow", host_disk("3e9x20 5e9x20"), 40),
    fires("MqiClockOffset", here("mqi_clock_offset_seconds", "-7x40", 'host="gpu1"'), 40, **GPU1),
    quiet("MqiClockOffset", here("mqi_clock_offset_seconds", "-0.2x40", 'host="gpu1"'), 40),
    fires("MqiCertificateExpires", certificate(WEEK - 60), 10, **GPU1),
    quiet("MqiCertificateExpires", certificate(WEEK + 3600), 10),
    fires("MqiBackupOld", here("mqi_backup_age_seconds", "200000+60x90"), 90),
    quiet("MqiBackupOld", here("mqi_backup_age_seconds", "90000+60x30 0+60x60"), 90),
]  # fmt: skip


def promtool(*words, folder):
    return subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def as_test(history, summary=None):
    """The history as promtool wants it; `summary` is the text of the alert at its end."""
    rule = ALERTS[history.alert]
    annotations = {"summary": summary, "runbook_url": rule["annotations"]["runbook_url"]}
    expected = [{"exp_labels": labels | rule["labels"], "exp_annotations": annotations} for labels in history.fires]
    return {
        "interval": "1m",
        "name": history.alert,
        "input_series": [{"series": name, "values": values} for name, values in history.series.items()],
        "alert_rule_test": [{"eval_time": f"{history.minutes}m", "alertname": history.alert, "exp_alerts": expected}],
    }


SUMMARIES = {
    "MqiRestarts": "The communicator was restarted 4 times within an hour.",
    "MqiActionRequired": "3 cases or beams require action by an operator.",
    "MqiFailures": "9 cases or beams failed within 6 h, more than one in five.",
    "MqiBreakerOpen": "gpu1 is offline (bulk); its cases wait.",
    "MqiGpusUnknown": "The state of the GPUs of gpu1 is unknown; no job starts there.",
    "MqiDiskLow": "The local disk (local) has 2.794GiB free; work stops at half of the alert threshold.",
    "MqiDescriptorsLow": "900 file descriptors are open, more than 80 % of the limit.",
    "MqiHostDiskLow": "The disk or quota on gpu1 has 2.794GiB free.",
    "MqiClockOffset": "The clock of gpu1 differs from the local clock by 7s.",
    "MqiCertificateExpires": "The SSH certificate for gpu1 expires in 6d 23h 49m 0s.",
    "MqiBackupOld": "The last good backup of the store is 2d 9h 3m 20s old.",
}
WAITS = "The oldest {priority} case was received {age} ago and has no verdict."
AGES = {"urgent": "2h 26m 40s", "routine": "12h 28m 20s", "background": "3d 0h 28m 20s"}


def summary(history):
    if history.alert == "MqiCaseWaitsTooLong" and history.fires:
        priority = history.fires[0]["priority"]
        return WAITS.format(priority=priority, age=AGES[priority])
    return SUMMARIES.get(history.alert, ALERTS[history.alert]["annotations"]["summary"])


def run_tests(tmp_path, histories):
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [as_test(history, summary(history)) for history in histories],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    return promtool("test", "rules", "tests.yml", folder=tmp_path)


@pytest.mark.long
def test_each_alert_fires_when_it_must_and_is_silent_when_it_must_not(tmp_path):
    ended = run_tests(tmp_path, HISTORIES)
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("wrong", ["MqiDown", "MqiFailures", "MqiDiskLow"])
def test_a_wrong_expectation_is_detected(tmp_path, wrong):
    """The test above can fail: the same histories, with the expectation of one inverted."""
    histories = [History(one.alert, one.series, one.minutes) for one in HISTORIES if one.alert == wrong and one.fires]
    ended = run_tests(tmp_path, histories)
    assert ended.returncode == 1, ended.stdout
    assert wrong in ended.stdout + ended.stderr


def test_every_alert_has_both_kinds_of_history():
    assert {one.alert for one in HISTORIES if one.fires} == set(ALERTS)
    assert {one.alert for one in HISTORIES if not one.fires} == set(ALERTS) - {"MqiWatchdog"}  # it never is silent


def test_promtool_accepts_rules_and_scrape_settings():
    for words in (("check", "rules", "alerts.yml"), ("check", "config", "scrape.yml")):
        ended = promtool(*words, folder=RULES.parent)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_runbook_has_one_entry_for_each_alert():
    headings = re.findall(r"^## (Mqi\w+)$", RUNBOOK.read_text(), re.MULTILINE)
    assert headings == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert rule["labels"]["severity"] in ("page", "ticket", "none")


def test_the_rules_use_metrics_that_exist():
    exposed = {spec.name for spec in catalogue.ALL}
    used = {name for rule in ALERTS.values() for name in re.findall(r"\bmqi_\w+", rule["expr"])}
    assert used <= exposed
    assert len(used) > 10
