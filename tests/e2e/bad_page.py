"""Writes docs/bad-input.md from actual messages: `python -m tests.e2e.bad_page`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.e2e import bad_hosts, bad_records
from tests.e2e.bad_cases import CASES, CHOSEN
from tests.e2e.bad_inputs import Outcome, examined, outcome_of, spend
from tests.e2e.conftest import Site

from mqi_communicator.config import load
from mqi_communicator.demo.host import PrivateHost

PAGE = Path(__file__).parents[2] / "docs/bad-input.md"
ROOM = {"local_free_gib": 0.1, "remote_free_gib": 0.1}
HEAD = """# Bad input and its messages

Look up a message here to find what is wrong with a case, a host or a configuration, and what to do.
`tests/e2e/test_bad_input.py` tries each row again and fails if a message differs from this page; `./test.sh --long`
runs all of them through the program. `python -m tests.e2e.bad_page` regenerates the page. "…" replaces what differs
between runs. A refused case costs no time on the host, its folder is never changed, and nothing that could identify
a patient reaches the log.

`failed at admit`: refused until the folder changes. `waiting`: continues automatically once the cause is removed.

"""


def row_of(outcome: Outcome) -> str:
    """One row of the page."""
    output = "<br>".join(
        line for line in (*outcome.text.splitlines(), f"*{outcome.advice}*" if outcome.advice else "") if line
    )
    return "| " + " | ".join(text.replace("|", "\\|") for text in (outcome.what, output, outcome.end)) + " |"


def table(title: str, rows: list[Outcome]) -> str:
    """One section of the page."""
    lines = "\n".join(row_of(row) for row in rows)
    return f"## {title}\n\n| input | message and *advice* | result |\n|---|---|---|\n{lines}\n"


def main() -> None:
    """Run all bad inputs and write the page."""
    sections = []
    with tempfile.TemporaryDirectory(prefix="mqi-bad-") as name:
        base = Path(name)
        with PrivateHost(base / "host") as host:
            site = Site(_new(base / "cases"), host, resources={"jobs": 2, "workers": 2, **ROOM})
            sections.append(table("Case folders", _cases(site)))
        with PrivateHost(base / "host") as host:
            trials, _case = bad_hosts.try_hosts(Site(_new(base / "hosts"), host))
            sections.append(table("Hosts", [trial.outcome for trial in trials]))
        with PrivateHost(base / "host") as host:
            places = [_new(base / "disks") / part for part in ("workspace", "results", "remote")]
            with bad_hosts.small_disks(*places) as mounted:
                if mounted:
                    site = Site(base / "disks", host, resources={"jobs": 2, "local_free_gib": 0, "remote_free_gib": 0})
                    sections.append(table("Full disks", bad_hosts.try_disks(site)))
            sections.append(table("Configuration", bad_hosts.try_settings(Site(_new(base / "settings"), host))))
        sections.append(table("Treatment records", [_record(bad, base) for bad in bad_records.RECORDS]))
    PAGE.write_text(HEAD + "\n".join(sections), encoding="utf-8")


def _record(bad: bad_records.BadRecord, base: Path) -> Outcome:
    return bad_records.reported(bad, _new(base / f"record {bad_records.RECORDS.index(bad)}"))


def _cases(site: Site) -> list[Outcome]:
    """What is reported of each: by the program where it is computed or chosen for it, otherwise by admission."""
    rows = {}
    for number, bad in enumerate(CASES):
        if bad not in CHOSEN and (
            outcome := examined(bad, site.folder / f"examined-{number}", load(site.config), 100 + number)
        ):
            rows[bad.what] = outcome
    remaining = [bad for bad in CASES if bad.what not in rows]
    evening = spend(site, remaining)
    rows |= {bad.what: outcome_of(bad.what, evening.of(bad)) for bad in remaining}
    return [rows[bad.what] for bad in CASES]


def _new(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
