"""The database is damaged: the next start says what to type, and after that nothing is lost and nothing runs twice."""

from __future__ import annotations

import json
import shlex
from collections import Counter

from tests.unit.store.test_audit import relink, tamper
from tests.unit.store.test_backup import damage


def computing(cases):
    return len(cases) == 2 and any(
        beam["percent"] and beam["step"] == "follow" for case in cases for beam in case["beams"]
    )


def test_a_damaged_store_is_refused_restored_and_reconciled_without_a_second_run(site):
    backup = site.workspace / "backups"
    daemon = site.daemon()
    made = daemon.until("backup.made")  # before any case was seen: the store will remember nothing
    site.drop("case one")
    (done,) = site.wait_for(lambda cases: cases and cases[0]["status"] == "done", "the first case is done")
    daemon.stop()
    site.histories(600_000)
    daemon = site.daemon()
    site.drop("case two", seed=2)
    both = site.wait_for(computing, "the second case is computing")
    (second,) = [case for case in both if case["case"] != done["case"]]
    daemon.kill()
    damage(site.workspace / "store.sqlite3")

    refused = site.mqi("run")
    assert refused.returncode == 1
    assert "is damaged" in refused.stderr
    command = shlex.split(refused.stderr.strip().splitlines()[-1])
    assert command == ["./mqi", "restore", "--config", str(site.config), str(backup / str(made["file"]))]
    assert site.mqi("status").stderr.splitlines()[-1] == refused.stderr.splitlines()[-1], "looking says the same"

    answer = site.mqi("restore", command[-1], "--json")
    assert answer.returncode == 0, answer.stderr
    assert (site.workspace / json.loads(answer.stdout)["kept"] / "store.sqlite3").is_file()
    daemon = site.daemon()
    found = daemon.until("startup.summary")
    assert (found["readmitted"], found["delivered"], found["mismatched"]) == (2, 1, 0)
    refused = site.mqi("restore", command[-1])
    assert refused.returncode == 1
    assert f"process {daemon.process.pid} on" in refused.stderr

    def over(cases):
        return len(cases) == 2 and all(case["status"] == "done" for case in cases)

    now = {case["case"]: case for case in site.wait_for(over, "both are done again")}
    assert set(now) == {done["case"], second["case"]}, "under their old keys"
    assert {name: now[done["case"]][name] for name in ("verdict", "results", "folder", "revision")} == {
        name: done[name] for name in ("verdict", "results", "folder", "revision")
    }
    assert Counter(site.starts()) == {f"{key}-b{beam}-r1": 1 for key in now for beam in (1, 2)}
    assert {folder.name for folder in site.results.iterdir() if folder.is_dir()} == set(now)
    assert not list((site.remote / "cases").iterdir())
    assert daemon.stop() == 0
    audited(site, str(done["case"]), str(second["case"]))


def audited(site, before: str, after: str) -> None:
    """The chain is whole after the restore, notes what it lost, and what was delivered finds a forger."""
    answer = json.loads(site.mqi("audit", "--verify", "--json").stdout)
    assert (answer["whole"], answer["wrong"], answer["cases"]) == (True, [], 2)
    assert answer["anchors"] > 10
    assert [before in note for note in answer["notes"]] == [True]
    assert "[1 " in site.mqi("audit", before).stdout
    forged = f"update events set who = 'nobody' where \"case\" = '{after}' and seq = 3"  # noqa: S608 - a key of ours
    tamper(site.workspace / "store.sqlite3", forged)
    relink(site.workspace / "store.sqlite3")
    broken = site.mqi("audit", "--verify")
    assert broken.returncode == 1
    assert f"(number 3 of case {after}): what was delivered of case {after} has another link" in broken.stdout


def test_a_missing_store_is_not_silently_created_anew(site):
    answer = site.mqi("backup")
    assert "does not exist yet" in answer.stderr
    daemon = site.daemon()
    daemon.until("backup.made")
    daemon.stop()
    for path in site.workspace.glob("store.sqlite3*"):
        path.unlink()
    refused = site.mqi("once")
    assert refused.returncode == 1
    assert "is missing, and there are backups of it" in refused.stderr
    assert site.mqi("restore").returncode == 0
    assert "intact" in site.mqi("restore", "--list").stdout
    assert site.mqi("once").returncode == 0
