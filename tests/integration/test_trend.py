"""The trend of each machine, from the store to the terminal, a spreadsheet and the report."""

from __future__ import annotations

import csv
import io
import json
import statistics
import subprocess
import time

import pytest
from tests.boards import MQI, configure
from tests.judged import CONVENTIONS, judged
from tests.planted import plant

from mqi_communicator.case.figure import Figure
from mqi_communicator.config import load
from mqi_communicator.flow.tasks.report import prepare_report
from mqi_communicator.flow.trend import placed, trend_of
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.results.trend import MIN_CASES, Row, Trend, TrendPosition
from mqi_communicator.store import cases, figures
from mqi_communicator.store.database import open_database


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    config = configure(tmp_path_factory.mktemp("site"))
    paths = load(config).paths
    database = open_database(paths.store)
    plant(database, paths.watch, paths.results, time.time(), ended=60)
    yield config, database
    database.close()


def trend(config, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [*MQI, "trend", *words, "--config", str(config)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)


def test_delivered_cases_are_listed_with_mean_and_spread(site):
    config, database = site
    found = database.read_now(trend_of, "GTR1")
    assert [row.at for row in found.rows] == sorted(row.at for row in found.rows)
    mine = database.read_now(lambda connection: figures.trend(connection, "GTR1", "gamma"))
    known = database.read_now(cases.get_many, [one.case for one in mine])
    assert {row.case for row in found.rows} == {key for key, case in known.items() if case.word != "not_judged"}
    (record,) = json.loads(trend(config, "--machine", "GTR1", "--json").stdout)
    assert record["machine"] == "GTR1"
    scales = [case["dose_scale"] for case in record["cases"]]
    assert record["spread"]["dose_scale"]["mean"] == pytest.approx(statistics.fmean(scales))
    assert record["spread"]["dose_scale"]["two_sd"] == pytest.approx(2 * statistics.stdev(scales))
    assert record["spread"]["range_r80"] == {"cases": 0, "mean": None, "two_sd": None}
    rows = list(csv.DictReader(io.StringIO(trend(config, "--csv").stdout)))
    assert {row["machine"] for row in rows} == {"GTR1", "GTR2"}
    mine = [row for row in rows if row["machine"] == "GTR1"]
    assert [row["row"] for row in mine] == ["case"] * len(found.rows) + ["mean", "2 SD"]
    assert float(mine[-2]["dose_scale"]) == pytest.approx(statistics.fmean(scales), abs=1e-5)
    shown = trend(config, "--machine", "GTR2").stdout
    assert "GTR2" in shown
    assert "GTR1" not in shown
    assert "2 SD" in shown


def test_an_unknown_machine_is_reported(site):
    answer = trend(site[0], "--machine", "GTR9")
    assert answer.returncode == 2
    assert "known machines: GTR1, GTR2" in answer.stderr


def test_a_case_is_compared_with_earlier_ones_by_its_worst_beam(site):
    _config, database = site
    rows = database.read_now(trend_of, "GTR2").rows
    key = rows[10].case
    own = database.read_now(figures.of_cases, [key])
    beams = [
        Figure(key, "range_r80", f"beam {n}", own[0].at, "GTR2", "pass", mm, "mm") for n, mm in ((1, 0.2), (2, -0.9))
    ]
    database.write_now(figures.save, key, [*own, *beams])
    found = database.read_now(placed, key)
    assert found is not None
    assert (found.own.case, found.own.range_r80) == (key, -0.9)
    assert [row.case for row in found.before.rows] == [row.case for row in rows[:10]]


@pytest.mark.long
def test_the_report_shows_it_if_there_are_enough_cases(tmp_path):
    case = judged(tmp_path)
    own = Row("own", 100.0, "pass", 99.0, 1.010, -0.3)
    before = tuple(Row(f"k{n}", float(n), "pass", 98.0, 1.0 + 0.002 * (n % 2), 0.1) for n in range(MIN_CASES))

    def drawn(rows: tuple[Row, ...]) -> str:
        for name in ("report.html", "report.pdf"):
            (case.spool.results / name).unlink(missing_ok=True)
        options = ReportOptions(gamma=())
        prepare_report(
            case.spool, case.record, case.judgement, CONVENTIONS, options, TrendPosition(own, Trend("G<1>", rows))
        )
        text: str = (case.spool.results / "report.html").read_text("utf-8")
        return text

    assert "Trend of machine" not in drawn(before[1:])
    html = drawn(before)
    assert "Trend of machine G&lt;1&gt;" in html
    assert "1.0100" in html
    assert "+8.4 SD" in html  # of 1, 1.002, 1, 1.002, 1: mean 1.0008, SD 0.0011
