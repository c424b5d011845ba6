"""Bad input put through the real program, and what was really said: the page docs/bad-input.md is made from this."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e import bad_cases
from tests.e2e.bad_cases import CASES, FILE_CANARY, BadCase
from tests.e2e.conftest import Site

from mqi_communicator.app import build_engine
from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.config import Config
from mqi_communicator.dose.prepare.preparer import Preparer
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.engine_input import write_input
from mqi_communicator.intake.admit import examine
from mqi_communicator.intake.examination import Incomplete, Rejected
from mqi_communicator.intake.spooling import copy_to_spool

GROWING = f"{FILE_CANARY} half copied"
PAUSE_S = 0.1  # between two halves of a file
_AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search")


@dataclass(frozen=True)
class Outcome:
    """One row of the page: what was wrong, what was said, and how it ended."""

    what: str
    text: str
    advice: str
    end: str


def plain(text: str) -> str:
    """Without what differs from run to run, and without the names that only these tests use."""
    text = text.replace(f"{FILE_CANARY}.", "").replace(FILE_CANARY, "NAME")
    text = re.sub(r"; next check in \d+ s", "", text)
    text = re.sub(r"\b2\.25\.\d+", "2.25.…", text)
    text = re.sub(r"^(failed|waiting|cancelled) at \w+: ", "", text)
    text = re.sub(r"^\S+ does not answer \((.*)\); calls to it are paused and retried$", r"\1", text)
    text = re.sub(r"/\S*/(config\.yaml)", r"\1", text)
    text = re.sub(r"/\S*/(workspace|results|remote|other-\w+|known_\w+|known_hosts|engine)\b", r"…/\1", text)
    text = re.sub(r"\d+\.\d+ GiB are free", "… GiB are free", text)
    text = re.sub(r"needs \d+\.\d+ GiB", "needs … GiB", text)
    # What an engine computes differs a little from one processor to the next.
    text = re.sub(r"uncertainty is \d+\.\d+ %", "uncertainty is … %", text)
    return re.sub(r"computed range is \d+\.\d+ mm", "computed range is … mm", text)


def outcome_of(what: str, case: dict[str, object]) -> Outcome:
    """What `mqi status` tells of a case."""
    end = "done" if case["status"] == "done" else f"{case['status']} at {case['step']}"
    if case["needs_person"]:
        end += ", action required"
    return Outcome(what, plain(str(case["why"])), plain(str(case["advice"])), end)


def examined(bad: BadCase, folder: Path, config: Config, seed: int) -> Outcome | None:
    """What `mqi status` would tell of it, from admission and preparation in this process; None if it is computed."""
    source, preparer = folder / "source" / bad.folder, Preparer(build_engine(config), config.preparation)
    bad_cases.write(bad, source, seed)
    before = digest_of(source)
    try:
        found = examine(source, config.intake, preparer.refusals, still_for=1e6)
        if isinstance(found, Incomplete):
            assert found.overdue
            return Outcome(bad.what, plain(found.summary), "", f"{bad_cases.WAITS}, action required")
        if isinstance(found, Rejected):
            return Outcome(bad.what, plain(found.reason), plain(found.advice), bad_cases.REFUSED)
        spool = Spool(folder / "spool")
        copy_to_spool(source, spool.case, found)
        write_input(spool, preparer, config.dose_conventions)
    except ActionRequired as fault:
        return Outcome(bad.what, plain(fault.reason), plain(fault.advice), f"{bad_cases.HELD}, action required")
    finally:
        assert digest_of(source) == before
    return None


def shown(name: str) -> str:
    """A folder's name as `mqi status` shows it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in name)


def digest_of(tree: Path) -> str:
    """One digest over every name, mode, size, time and byte below `tree`."""
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*"), key=os.fsencode):
        state = path.lstat()
        digest.update(os.fsencode(path) + repr((state.st_mode, state.st_size, state.st_mtime_ns)).encode())
        if stat.S_ISREG(state.st_mode) and os.access(path, os.R_OK):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def as_others() -> tuple[str, ...]:
    """Words before a command, with which root may read no more than its files' modes say."""
    return _AS_OTHERS if os.getuid() == 0 and shutil.which("setpriv") else ()


@dataclass
class Evening:
    """One run of `mqi once` over bad cases, while one more is still being copied."""

    site: Site
    dropped: Sequence[BadCase]
    cases: dict[str, dict[str, object]] = field(default_factory=dict)
    exit_code: int = -1
    log: str = ""
    errors: str = ""
    before: str = ""
    after: str = ""
    half_way: list[dict[str, object]] = field(default_factory=list)

    def of(self, bad: BadCase) -> dict[str, object]:
        """What became of it, by its folder's name as `mqi status` shows it."""
        return self.cases[shown(bad.folder)]


def spend(site: Site, cases: Sequence[BadCase] = CASES) -> Evening:
    """Put bad cases into the folder, run `mqi once`, and let one more grow meanwhile."""
    evening = Evening(site, cases)
    for seed, bad in enumerate(cases, start=100):
        bad_cases.write(bad, site.watch / bad.folder, seed)
    evening.before = digest_of(site.watch)
    growing = site.folder / "growing"
    bad_cases.write(BadCase("", "pass", ""), growing, 99)
    argv = [*as_others(), sys.executable, "-m", "mqi_communicator", "once", "--config", str(site.config)]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen(argv, stdout=out, stderr=err, text=True, cwd=site.folder)
        try:
            seen = threading.Event()
            copying = threading.Thread(target=_grow, args=(growing, site.watch / GROWING, seen))
            copying.start()
            evening.half_way = _until_seen(site)
            seen.set()
            copying.join()
            evening.exit_code = process.wait(timeout=280)
        finally:
            process.kill()
            process.wait()
        for file in (out, err):
            file.seek(0)
        evening.log, evening.errors = out.read(), err.read()
    evening.cases = {str(case["folder"]): case for case in site.status()}
    shutil.move(site.watch / GROWING, site.folder / "grown")
    evening.after = digest_of(site.watch)
    return evening


def _until_seen(site: Site) -> list[dict[str, object]]:
    """The cases as they stand once the growing one is among them."""
    for _ in range(400):
        cases = site.status()
        if any(case["folder"] == GROWING for case in cases):
            return cases
        time.sleep(0.5)
    return []


def _grow(source: Path, target: Path, seen: threading.Event) -> None:
    """Copy a folder as a slow share does: each file in two halves, with a pause after each; the last one only when
    the case was seen."""
    target.mkdir()
    paths = sorted(source.iterdir())
    for path in paths:
        if path == paths[-1]:
            seen.wait(250)
        content = path.read_bytes()
        with (target / path.name).open("wb") as copy:
            for part in (content[: len(content) // 2], content[len(content) // 2 :]):
                copy.write(part)
                copy.flush()
                time.sleep(PAUSE_S)
