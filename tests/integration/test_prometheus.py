"""A real Prometheus scrapes a communicator, and every query of the dashboard and of the alert rules returns data."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from tests.integration.broken_site import broken_site, served

from mqi_communicator.telemetry import catalogue

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy/grafana/mqi.json").read_text())
EMPTY = {
    "Age of the last backup": "no backup was made here",
    "MqiDown": "the page answers",
    "MqiRestarts": "the process was started once",
    "MqiStoreUnreadable": "the store answers",
    "MqiDescriptorsLow": "few descriptors are open",
    "Dashboard process": "no dashboard runs here",
    "MqiBackupOld": "no backup was made here",
}
PATIENCE_S = 90.0


def as_sent(expression):
    """A query of the dashboard as Grafana sends it."""
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def queries():
    """Every query by the name of its panel or alert; the annotations of the dashboard and its variables too."""
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield panel["title"], as_sent(target["expr"])
    for variable in DASHBOARD["templating"]["list"]:
        if found := re.match(r"label_values\((\w+), instance\)", variable.get("definition", "")):
            yield f"variable {variable['name']}", found[1]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def get(self, path):
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:  # noqa: S310 - our own, on loopback
            return answer.read()

    def count(self, expression):
        """How many series a query has, now."""
        reported = json.loads(self.get(f"/api/v1/query?query={urllib.parse.quote(expression)}"))
        assert reported["status"] == "success", reported
        return len(reported["data"]["result"])


async def until(true, what=lambda: ""):
    """Wait for a condition, asked in a thread; `what` says what was still missing."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if await asyncio.to_thread(true):
                return
        except OSError:
            pass
        await asyncio.sleep(0.3)
    pytest.fail(f"not within {PATIENCE_S} s: {true.__doc__} {what()}")


@asynccontextmanager
async def prometheus(folder, target) -> AsyncIterator[Prometheus]:
    """A Prometheus of our own that scrapes one page each second with the delivered rules and scrape settings."""
    settings = yaml.safe_load((RULES.parent / "scrape.yml").read_text())
    settings["scrape_configs"][0] |= {
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
    }
    settings |= {"rule_files": [str(RULES)], "global": {"evaluation_interval": "1s"}}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings))
    port = free_port()
    argv = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Prometheus(port)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


@pytest.mark.long
async def test_every_query_of_dashboard_and_rules_returns_data(tmp_path):
    async with broken_site(tmp_path) as site, served(site) as port, prometheus(tmp_path, port) as server:

        def scraped():
            """the page was scraped twice before anything went wrong"""
            return server.count('count_over_time(mqi_build_info{job="mqi"}[1m]) >= 2')

        def complete():
            """every query has returned data but those that must not"""
            for name, query in queries():
                if (name, query) in silent and server.count(query):
                    silent.discard((name, query))
            return {name for name, _ in silent} <= set(EMPTY)

        await until(scraped)
        site.trouble()
        silent = set(queries())
        assert len(silent) > 50
        assert {name for name, _ in silent} >= set(EMPTY)
        await until(complete, lambda: silent)


def test_the_dashboard_has_what_grafana_wants():
    assert DASHBOARD["uid"]
    assert DASHBOARD["title"] == "MQI Communicator"
    assert DASHBOARD["schemaVersion"] >= 36
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        assert panel["type"] in ("stat", "table", "bargauge", "timeseries", "state-timeline"), panel["title"]
        assert panel["title"]
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells


def test_the_dashboard_names_only_metrics_that_exist_and_chooses_by_instance():
    exposed = {spec.name for spec in catalogue.ALL}
    exposed |= {f"{spec.name}_bucket" for spec in catalogue.ALL if spec.kind == "histogram"}
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            assert set(re.findall(r"\bmqi_\w+", expression)) <= exposed, panel["title"]
            chosen = re.findall(r"\b(?:mqi|process)_\w+\{[^}]*\}", expression)
            assert len(chosen) == len(re.findall(r"\b(?:mqi|process)_\w+", expression)), panel["title"]
            assert all('instance=~"$instance"' in one for one in chosen), panel["title"]
