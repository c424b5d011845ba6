"""One round: a fleet is computed while its script injects faults; then all are undone and the results are counted."""

from __future__ import annotations

import shutil
import subprocess
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

from tests.faults.catalogue import Fault
from tests.faults.points import NEEDS
from tests.faults.script import Script, Step
from tests.faults.testbed import Testbed, case_number
from tests.fleet.checker import Audit

QUIET_S = 900.0  # the longest a healed fleet may take; a busy machine needs minutes
ANSWER_S = 10.0  # between two looks for a case that an operator must cancel
SEEN_S = 60.0
DASHBOARD_S = 180.0  # until a stopped one is killed, and the longest pause before it is started again
UNDER_WAY = 2  # least number of cases in progress
LONGER_S = 120.0
MORE = 6  # additional cases while planned kills are pending
AGAIN_S = 10.0  # until the precondition of an effect is created again


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _version() -> str:
    """The commit under test."""
    output = subprocess.run(
        ("git", "describe", "--always", "--dirty"),
        cwd=Path(__file__).parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return output.stdout.strip() or "unknown"


@dataclass
class Outcome:
    """The result of a round. The lists of defects should be empty."""

    seed: int
    day: str = field(default_factory=_today)
    version: str = field(default_factory=_version)
    hosts: int = 1
    backend: str = "direct"
    cases: int = 0
    done: int = 0
    cancelled: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    kills: int = 0  # of the communicator, planned and random
    points: list[str] = field(default_factory=list)  # kill points at which it died
    seen: list[str] = field(default_factory=list)  # kill points that it passed
    runs: int = 0  # of the engine
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    superseded: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    corrupt: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)  # cases that require action without need
    unnoticed: list[str] = field(default_factory=list)  # faults that required action and did not report it
    other: list[str] = field(default_factory=list)  # unplanned ends, leftovers, unexpected messages
    recovered_s: float = 0.0
    took_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether there is no defect."""
        return not any(getattr(self, name) for name in DEFECTS)

    def to_json(self) -> dict[str, object]:
        return asdict(self) | {"clean": self.clean}


DEFECTS = ("lost", "doubled", "superseded", "mixed", "corrupt", "stuck", "unnoticed", "other")


def play(
    folder: Path,
    script: Script,
    faults: Mapping[str, Fault],
    *,
    mounted: bool,
    keep: Path | None = None,
    hosts: int = 1,
    backend: str = "direct",
) -> Outcome:
    """Play a round and count its defects."""
    began = time.monotonic()
    outcome = Outcome(script.seed, cases=script.cases, hosts=hosts, backend=backend)
    testbed = Testbed(folder, script.seed, mounted=mounted, hosts=hosts, backend=backend)
    try:
        testbed.plan = [{"point": point, "nth": nth} for point, nth in script.kills]
        testbed.drop(*range(1, min(2, script.cases) + 1))
        for step in script.steps:
            _run_step(testbed, script, step, faults)
        _die_as_planned(testbed, script, faults)
        healed = time.monotonic()
        testbed.heal()
        _wait_until_ended(testbed)
        outcome.recovered_s = round(time.monotonic() - healed, 1)
        _wait_until_tidy(testbed)
        if not testbed.until(testbed.dashboard_answers, DASHBOARD_S):
            testbed.notes.append("the dashboard was not started again")
        testbed.wanted = False
        testbed.stop()
        _count(testbed, outcome)
        if keep is not None and not outcome.clean:
            _keep(testbed, keep / str(script.seed))
    except Exception:  # noqa: BLE001 - an error in a fault costs its round only
        outcome.other.append(f"the harness itself: {traceback.format_exc()[-800:]}")
        if keep is not None:
            _keep(testbed, keep / str(script.seed))
    finally:
        testbed.close()
    outcome.took_s = round(time.monotonic() - began, 1)
    return outcome


def _keep(testbed: Testbed, place: Path) -> None:
    """Copy the files that help to analyse a round."""
    place.mkdir(parents=True, exist_ok=True)
    for file in (testbed.log, testbed.witness, testbed.journal, testbed.store, Path(f"{testbed.store}-wal")):
        if file.exists():
            shutil.copy(file, place / file.name)


def _supply(testbed: Testbed, most: int) -> None:
    """Do an operator's work. Drop another case if too few are in progress, up to `most` cases in all."""
    testbed.answer_changes()
    if testbed.live_cases() < UNDER_WAY and len(testbed.cases) < most:
        testbed.drop(testbed.new_number())


def _die_as_planned(testbed: Testbed, script: Script, faults: Mapping[str, Fault]) -> None:
    """Continue for a while, for the remaining planned kills."""
    random = Random(f"provoked {script.seed}")
    end = time.monotonic() + LONGER_S
    provoked = 0.0
    while (testbed.plan or testbed.effect_to_come) and time.monotonic() < end:
        _supply(testbed, script.cases + MORE)
        needed = NEEDS.get(testbed.effect_to_come, ())
        if needed and time.monotonic() > provoked + AGAIN_S and testbed.has_started:
            with ExitStack() as over:
                for name in needed:
                    over.enter_context(_inflicted(testbed, faults[name], random.randrange(1 << 30)))
                    testbed.pause(3)
            provoked = time.monotonic()
        testbed.pause(0.5)


def _run_step(testbed: Testbed, script: Script, step: Step, faults: Mapping[str, Fault]) -> None:
    fault = faults[step.name]
    with ExitStack() as over:
        if fault.refuses:
            testbed.refusing.add(fault.name)
            over.callback(testbed.refusing.discard, fault.name)
        needed = fault.action_required and _work_needs_the_host(testbed)
        over.enter_context(_inflicted(testbed, fault, step.seed))
        part = step.seconds / (len(step.once) + 1)
        testbed.pause(part)
        for name, seed in step.once:
            _supply(testbed, script.cases)
            with _inflicted(testbed, faults[name], seed):
                testbed.pause(part)
        if needed and not testbed.until(lambda: _operator_informed(testbed), SEEN_S):
            testbed.notes.append(f"unnoticed: {fault.name}")
    _supply(testbed, script.cases)
    testbed.pause(step.rest)


@contextmanager
def _inflicted(testbed: Testbed, fault: Fault, seed: int) -> Iterator[None]:
    """Inject a fault, into one of the hosts if it concerns a host; it counts if it had a target."""
    before, at = testbed.at, Random(f"at {seed}").randrange(len(testbed.machines))
    testbed.missed, testbed.at = False, at
    with ExitStack() as over:
        over.enter_context(fault.act(testbed, Random(seed)))
        testbed.inflicted[fault.name] += not testbed.missed
        testbed.at = before
        over.callback(setattr, testbed, "at", at)
        yield
    testbed.at = before


def _work_needs_the_host(testbed: Testbed) -> bool:
    return bool(
        testbed.look_up(
            "select 1 from work_items where step in ('submit', 'follow') and status in ('ready', 'waiting')"
        )
    )


def _operator_informed(testbed: Testbed) -> bool:
    """Whether action is required, or no work needs the host any more."""
    return bool(testbed.look_up("select 1 from work_items where needs_person")) or not _work_needs_the_host(testbed)


def _wait_until_ended(testbed: Testbed) -> None:
    """Wait until every case has ended. Corrupted cases that failed are dropped again, as their advice says. A release
    that a restored store may have lost before it was applied is given again, as docs/operations.md says."""
    end = time.monotonic() + QUIET_S
    while time.monotonic() < end:
        testbed.answer_changes()
        for (key,) in testbed.look_up("select \"case\" from work_items where beam = 0 and status = 'held'"):
            if testbed.restored and key in testbed.released:
                testbed.mqi("release", key, timeout=120)
        if not testbed.until(lambda: _is_over(testbed) or bool(_stopped(testbed)), ANSWER_S):
            continue
        stopped = _stopped(testbed)
        if not stopped and _is_over(testbed):
            return
        for key, number in stopped.items():
            testbed.mqi("cancel", key, timeout=120)
            testbed.until(partial(_is_cancelled, testbed, key), 120)
            testbed.write_again(number)
            testbed.until(partial(_is_seen, testbed, number, set(stopped)), 120)


def _is_over(testbed: Testbed) -> bool:
    return testbed.live_cases() == 0 and testbed.live_deliveries() == 0 and not testbed.answering


def _stopped(testbed: Testbed) -> dict[str, int]:
    """Corrupted cases that failed."""
    rows = testbed.look_up(
        "select key, source from cases join work_items on key = work_items.'case' where beam = 0 and status = 'failed'"
    )
    return {key: case_number(source) for key, source in rows if case_number(source) in testbed.damaged}


def _is_seen(testbed: Testbed, number: int, before: set[str]) -> bool:
    """Whether the case is known under a key other than these."""
    return testbed.key_of(number) not in {"", *before}


def _is_cancelled(testbed: Testbed, key: str) -> bool:
    return testbed.look_up('select status from work_items where beam = 0 and "case" = ?', key) == [("cancelled",)]


def _wait_until_tidy(testbed: Testbed) -> None:
    """Wait a moment for the end of cancelled jobs."""
    testbed.until(lambda: not testbed.orphans(), 30)


def _count(testbed: Testbed, outcome: Outcome) -> None:
    found: Audit = testbed.audit()
    rows = testbed.ask(
        "select key, source, status, superseded_by, same_as from cases "
        "join work_items on key = work_items.'case' where beam = 0"
    )
    cancelled = {case_number(source) for _key, source, status, *_ in rows if status == "cancelled"}
    known = {case_number(source) for _key, source, *_ in rows}
    outcome.cases = len(set(testbed.cases))
    outcome.done = len(found.done)
    outcome.runs = len({token for (token,) in testbed.ask("select token from jobs")})
    missing = [number for number in found.lost if not (number in cancelled and number in testbed.ordered)]
    outcome.cancelled = len(found.lost) - len(missing)
    for number in missing:
        why = found.waiting.get(number) or _describe_case(testbed, number) if number in known else "never seen"
        outcome.lost.append(f"case {number}: {why}")
    outcome.lost += [
        f"{label} of case {number}: {_describe_fraction(testbed, label)}"
        for number, label in sorted(testbed.delivered - found.fractions)
    ]
    outcome.doubled = sorted({*found.doubled, *found.shared, *found.twice, *testbed.observer.together})
    outcome.doubled += _twice(testbed)
    outcome.doubled += [f"gate {token} changed hands" for token in sorted(testbed.observer.changed)]
    ended_early = tuple(key for key, _source, status, *_ in rows if status == "cancelled")
    outcome.superseded = [one for one in found.stale if not one.startswith(ended_early)]
    outcome.mixed, outcome.corrupt = found.mixed, found.corrupt
    outcome.stuck = [
        f"case {number}: {why}" for number, why in sorted(found.waiting.items()) if number not in testbed.damaged
    ]
    outcome.unnoticed = [note for note in testbed.notes if note.startswith("unnoticed")]
    outcome.other = [note for note in testbed.notes if not note.startswith("unnoticed")]
    outcome.other += [f"the communicator died: {end}" for end in testbed.died] + _leftovers(testbed, rows)
    outcome.faults = {name: count for name, count in sorted(testbed.inflicted.items()) if count}
    if "Traceback (most recent call last)" in testbed.log.read_text(errors="replace"):
        outcome.other.append("the log shows a stack trace")
    outcome.kills = testbed.killed
    outcome.points = sorted(testbed.kill_points("killed"))
    outcome.seen = sorted(testbed.kill_points("seen"))


def _describe_case(testbed: Testbed, number: int) -> str:
    rows = testbed.ask(
        'select beam, step, status, tries, run, wanted, reason from work_items where "case" = ? order by beam',
        testbed.key_of(number),
    )
    return "; ".join(
        f"b{b} {step}/{status} tries {tries} run {run} {wanted} {why}"
        for b, step, status, tries, run, wanted, why in rows
    )


def _describe_fraction(testbed: Testbed, label: str) -> str:
    rows = testbed.ask(
        "select kind, key, parent, step, status, reason from cases join work_items on key = work_items.'case' "
        "where beam = 0 and kind in ('delivery', 'fraction') and fraction = ?",
        label,
    )
    return "; ".join(" ".join(map(str, row)) for row in rows) or "not known"


def _twice(testbed: Testbed) -> list[str]:
    """Fractions of a plan that have two cases."""
    query = "select parent, fraction, count(*) from cases where kind = 'fraction' group by parent, fraction"
    return [f"{label} of {parent} is {count} cases" for parent, label, count in testbed.ask(query) if count > 1]


def _leftovers(testbed: Testbed, rows: list[tuple[str, bytes, str, str, str]]) -> list[str]:
    """Files that ended cases left on the host, and live processes."""
    over = {key for key, _source, status, *_ in rows if status in ("done", "cancelled")}
    left = [
        f"left on the host: {folder}/{path.name.lstrip('.')}"
        for machine in testbed.machines
        for folder in ("cases", "staging", "gates")
        for path in (machine.remote / folder).glob("*")
        if path.name.lstrip(".").partition("-")[0].partition(".")[0] in over
    ]
    return left + [f"still alive: {token}" for token in sorted(testbed.orphans())]
