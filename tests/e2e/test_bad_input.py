"""Bad input: clear messages, nothing sent, nothing touched, nothing leaked. Five cases go through the real program, the
others through admission in this process. `--long` puts all of them through the program, and tries bad hosts, bad
settings and full disks."""

from __future__ import annotations

import json
import os

import pytest
from tests.e2e import bad_hosts, bad_inputs, bad_records
from tests.e2e.bad_cases import CASES, CHOSEN, FILE_CANARY, HELD, OTHERS, THROUGH, UNREADABLE
from tests.e2e.bad_inputs import GROWING, Outcome, examined, outcome_of, spend
from tests.e2e.bad_page import PAGE, row_of
from tests.e2e.conftest import Site

from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import CANARY
from mqi_communicator.telemetry import events as catalogue

ANEW = "python -m tests.e2e.bad_page writes the page anew"


def site_of(folder, host):
    return Site(folder, host, resources={"jobs": 2, "workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1})


@pytest.fixture(scope="module", params=["chosen", pytest.param("all", marks=pytest.mark.long)])
def evening(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("bad")
    with PrivateHost(folder / "host") as host:
        yield spend(site_of(folder, host), CHOSEN if request.param == "chosen" else CASES)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examined")
    with PrivateHost(folder / "host") as host:
        return load(site_of(folder, host).config)


@pytest.mark.parametrize("bad", OTHERS, ids=lambda bad: bad.what[:50])
def test_admission_ends_as_it_should_and_the_page_shows_what_it_says(config, tmp_path, bad):
    reported = examined(bad, tmp_path, config, 100 + CASES.index(bad))
    if bad.end == THROUGH:
        assert reported is None
        return
    assert reported is not None
    assert reported.end.startswith(bad.end)
    for words in bad.says:
        assert words in reported.text
    assert row_of(reported) in PAGE.read_text(encoding="utf-8"), ANEW


@pytest.mark.parametrize("bad", bad_records.RECORDS, ids=lambda bad: bad.what)
def test_a_record_ends_as_it_should_and_the_page_shows_what_it_says(tmp_path, bad):
    reported = bad_records.reported(bad, tmp_path)
    assert reported.end == bad.end
    assert bad.says in reported.text
    assert row_of(reported) in PAGE.read_text(encoding="utf-8"), ANEW


def test_each_ends_as_it_should_and_says_why(evening):
    for bad in evening.dropped:
        if not untested_as_root(bad):
            _ends(evening.of(bad), bad)


def untested_as_root(bad):
    return bad.what == UNREADABLE and os.getuid() == 0 and not bad_inputs.as_others()


def test_a_file_that_may_not_be_read_is_refused(evening):
    (bad,) = [bad for bad in evening.dropped if bad.what == UNREADABLE]
    if untested_as_root(bad):
        pytest.skip("root may read everything, and setpriv is not there to give that up")
    _ends(evening.of(bad), bad)


def _ends(case, bad):
    end = "done" if case["status"] == "done" else f"{case['status']} at {case['step']}"
    assert end == bad.end, case
    for words in bad.says:
        assert words in str(case["why"]), case
    if bad.end == HELD:
        assert case["needs_person"]
        assert case["advice"]


def test_only_good_cases_cost_remote_time(evening):
    good = [evening.of(bad)["case"] for bad in evening.dropped if bad.end == THROUGH] + [evening.cases[GROWING]["case"]]
    assert {token[:12] for token in evening.site.starts()} == set(good)
    assert not list((evening.site.remote / "cases").iterdir())


def test_the_originals_were_not_touched(evening):
    assert evening.before == evening.after


def test_a_half_copied_case_names_what_is_missing_and_goes_through_when_it_is_whole(evening):
    (waiting,) = [case for case in evening.half_way if case["folder"] == GROWING]
    assert waiting["status"] in ("waiting", "ready")
    assert evening.cases[GROWING]["status"] == "done"


ENDED = ("step.done", "case.done", "beam.done", "case.cancelled", "beam.cancelled")


def test_what_was_told_stands_on_the_page_of_events(evening):
    facts = {one.name: {*one.fields} for one in catalogue.RECORD}
    for name, step, reported in evening.site.ask("select event, step, facts from events"):
        added = catalogue.STEPS[str(step)] if name in ENDED else ()
        assert json.loads(str(reported)).keys() <= facts[str(name)] | {*added}, (name, step)
    fields = {one.name: {*one.fields} for one in catalogue.LOG}
    for line in map(json.loads, evening.log.splitlines()):
        name = line["event"]
        output = fields.get(name, set()) | ({*catalogue.ENTRY, *facts[name]} if name in facts else set())
        added = catalogue.STEPS[line["step"]] if name in ENDED else ()
        assert line.keys() <= output | {"timestamp", "level", "event", *added}, line


def test_the_exit_code_says_that_not_all_passed(evening):
    assert evening.exit_code == 1


def test_no_name_in_a_folder_was_run_as_a_command(evening):
    assert not list(evening.site.folder.rglob("OWNED"))


def test_nothing_that_names_a_patient_is_in_the_log(evening):
    lines = [json.loads(line) for line in evening.log.splitlines()]
    assert len(lines) > 10 * len(evening.dropped) / 4
    output = evening.log + evening.errors
    assert [word for word in (*CANARY, FILE_CANARY) if word.lower() in output.lower()] == []


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hosts")
    with PrivateHost(folder / "host") as host:
        return bad_hosts.try_hosts(Site(folder, host))


HOSTS = {
    "wrong key": "rejected the SSH key",
    "changed host key": "host key",
    "unknown host key": "host key",
    "remote without rsync": "rsync",
    "host down": "refuses connections",
}


@pytest.mark.long
def test_a_bad_host_is_told_and_the_case_waits(hosts):
    trials, _case = hosts
    for trial in trials:
        words = HOSTS[trial.outcome.what]
        assert words.lower() in trial.outcome.text.lower(), trial
        assert trial.check == 1, trial
        assert "NO " in trial.checked, trial
        assert trial.once == (3 if trial.outcome.what == "host down" else 1), trial
    assert {trial.outcome.what for trial in trials} == set(HOSTS)


@pytest.mark.long
def test_with_a_good_host_the_same_case_goes_through(hosts):
    _trials, case = hosts
    assert case["status"] == "done", case


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("settings")
    with PrivateHost(folder / "host") as host:
        return bad_hosts.try_settings(Site(folder, host))


@pytest.mark.long
def test_every_mistake_in_the_settings_is_told_with_its_line_and_ends_with_exit_2(settings):
    for outcome in settings:
        assert outcome.end == "exit 2", outcome
        assert "config.yaml" in outcome.text, outcome
    output = {outcome.what: outcome.text for outcome in settings}
    assert "histories_per_beam" in output["a typo in a key"]
    assert "paths" in output["a typo in a section"]
    assert "tab" in output["a tab"].lower()
    assert "whole number" in output["a wrong type"]


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disks")
    places = [folder / name for name in ("workspace", "results", "remote")]
    with PrivateHost(folder / "host") as host, bad_hosts.small_disks(*places) as mounted:
        if not mounted:
            pytest.skip("a small disk of its own can only be mounted by root where mounting is allowed")
        site = Site(folder, host, resources={"jobs": 2, "local_free_gib": 0, "remote_free_gib": 0})
        yield bad_hosts.try_disks(site)


@pytest.mark.long
def test_a_full_disk_is_told_and_waited_out(disks):
    *full, last = disks
    for outcome in full:
        assert any(words in outcome.text.lower() for words in ("no space", "full", "free")), outcome
    assert last.end == "done"


def missing_on_the_page(rows: list[Outcome]) -> list[str]:
    page = PAGE.read_text(encoding="utf-8")
    return [row.what for row in rows if row_of(row) not in page]


def test_the_page_shows_what_is_said_of_cases(evening):
    dropped = [bad for bad in evening.dropped if not untested_as_root(bad)]
    assert missing_on_the_page([outcome_of(bad.what, evening.of(bad)) for bad in dropped]) == [], ANEW


@pytest.mark.long
def test_the_page_shows_what_is_said_of_hosts_and_settings(hosts, settings):
    assert missing_on_the_page([trial.outcome for trial in hosts[0]] + settings) == [], ANEW
