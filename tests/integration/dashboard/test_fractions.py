"""The page of a plan shows its fractions, each with its dose; other pages show what they are of."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqi_communicator.case.model import CASE_ITEM, CaseKind, Event, Status, WorkItem
from mqi_communicator.store import cases, schema, work_items
from mqi_communicator.store.cases import Case
from mqi_communicator.store.database import open_database

GOOD = {"mu": "pass", "mean_offset": "pass", "largest_offset": "pass", "fluence": None}
LAYER = {"beam": 1, "largest_offset_mm": 0.1, "fluence_percent": None, "planned_mu": 10.0, "recorded_mu": 10.1}
SECOND = {"mean_offset_mm": 1.5, "recorded_mu": 10.25, "outcomes": {**GOOD, "mu": "review", "mean_offset": "fail"}}
REPORT = {
    "schema": "mqi-delivery-report/1",
    "facts": [],
    "layers": [
        {**LAYER, "layer": 1, "energy_mev": 120.0, "mean_offset_mm": 0.2, "outcomes": GOOD},
        {**LAYER, "layer": 2, "energy_mev": 110.5, **SECOND},
    ],
}
FRACTION, DOSE, OLD = "fraction2345", "dosedose2345", "olddose23456"


def row(key: str, kind: str, parent: str, **more) -> Case:
    return Case(key, Path(key), time.time(), "", kind=kind, parent=parent, fraction="fraction 3", **more)


@pytest.fixture
def plan(base, live, board) -> Iterator[str]:
    """The key of a plan's case, with a fraction and two doses of it; the first is superseded."""
    database = open_database(base / "workspace/store.sqlite3")
    key, results = live["computing"], base / "results" / FRACTION
    results.mkdir()
    (results / "report.json").write_text(json.dumps(REPORT))

    def add(connection):
        for case in (
            row(FRACTION, CaseKind.FRACTION, key, word="review", why="a layer is 1 mm off", results=str(results)),
            row(OLD, CaseKind.DOSE, key, superseded_by=DOSE, word="fail", why="a dose of other deliveries"),
            row(DOSE, CaseKind.DOSE, key, word="pass", why="all 12 checks passed", priority="background"),
        ):
            cases.add(connection, case)
            item = WorkItem(case.key, CASE_ITEM, "tidy", status=Status.DONE)
            work_items.add(connection, item, Event(time.time(), case.key, CASE_ITEM, "case.done"))

    def remove(connection):
        for table, column in ((schema.work_items, "case"), (schema.cases, "key")):
            connection.execute(table.delete().where(table.c[column].in_((FRACTION, DOSE, OLD))))

    database.write_now(add)
    yield key
    database.write_now(remove)
    database.close()
    shutil.rmtree(results)


def test_a_fraction_is_shown_with_the_dose_that_counts(otto, plan):
    page = otto.get(f"/case/{plan}").text
    fractions = page.split('<section id="fractions"')[1].split("</section>")[0]
    assert f'href="/case/{FRACTION}">fraction 3</a>' in fractions
    assert f'href="/case/{DOSE}"' in fractions
    assert "all 12 checks passed" in fractions
    assert OLD not in fractions
    assert "a dose of other deliveries" not in fractions


def test_the_page_of_a_fraction_shows_its_dose(otto, plan):
    page = otto.get(f"/case/{FRACTION}").text
    assert f'fraction 3 of the plan of case <a href="/case/{plan}">' in page
    dose = page.split('<section id="dose"')[1].split("</section>")[0]
    assert f'href="/case/{DOSE}"' in dose
    assert "no evidence of what the patient received" in dose


def test_the_page_of_a_dose_says_what_it_is_of(otto, plan):
    page = otto.get(f"/case/{DOSE}").text
    assert f'dose of fraction 3 of the plan of case <a href="/case/{plan}">' in page
    assert "“planned” is the recalculated dose of the plan" in page
    assert "p-background" not in page.split("<h1")[1].split("</p>")[0]
    assert f'href="/case/{DOSE}"' in otto.get(f"/case/{OLD}").text, "superseded by"


def test_the_page_of_a_fraction_has_a_map_of_its_layers(otto, plan):
    layers = otto.get(f"/case/{FRACTION}").text.split('<section id="layers"')[1].split("</section>")[0]
    cells = re.findall(r'<rect class="(v-\w+)"[^>]*><title>([^<]*)</title>', layers)
    assert [cell for cell in cells if cell[0] not in ("v-pass", "v-none")] == [
        ("v-review", "layer 2, 110.5 MeV: +2.50 %, review"),
        ("v-fail", "layer 2, 110.5 MeV: 1.50 mm, fail"),
    ]
    assert ("v-none", "layer 1, 120 MeV: no value") in cells
    assert 'aria-label="mean offset of beam 1 by layer: 1 fail, 0 to review"' in layers
    assert 'id="layers"' not in otto.get(f"/case/{plan}").text
