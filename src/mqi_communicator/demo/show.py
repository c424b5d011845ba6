"""The demo: the production application with a private but real host, showing its progress."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.model import CaseKind
from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import write_sample
from mqi_communicator.demo.sample_records import FOLDER as RECORDS
from mqi_communicator.demo.sample_records import LOGS, write_deliveries
from mqi_communicator.demo.settings import write_config
from mqi_communicator.demo.slot import Slot, first_free
from mqi_communicator.demo.special import SAMPLE, special_lines
from mqi_communicator.flow.view import CaseView, view_all
from mqi_communicator.store import orders
from mqi_communicator.store.database import Database, open_database
from mqi_communicator.system.command import typed
from mqi_communicator.terminal import checks_table, table
from mqi_communicator.terminal import console as terminal

START_S = 30.0
CANCEL_S = 60.0
STOP_S = 20.0
FRACTION_S = 300.0


def run_demo(folder: Path, engine_home: Path, *, stay: bool) -> bool:
    """Run one demo to its verdict and return whether it passed. Leaves no process; with `stay` it waits for Ctrl-C.

    KeyboardInterrupt after Ctrl-C, once the case is cancelled.
    """
    for name in (signal.SIGINT, signal.SIGTERM):  # also if a shell started this process with Ctrl-C ignored
        signal.signal(name, signal.default_int_handler)
    console = terminal()
    slot = first_free(folder)
    console.print(f"demo folder: {slot.folder}", soft_wrap=True)
    with PrivateHost(slot.folder / "host") as host:
        console.print(f"private sshd on 127.0.0.1 port {host.port}")
        write_config(slot, engine_home, host.options(), web=stay)
        login = _dashboard_login(slot) if stay else ""
        if login:
            console.print(login, soft_wrap=True, highlight=False)
        with _communicator(slot) as process:
            database = open_database(_store(slot))
            try:
                return _watch(slot, database, process, console, login)
            except KeyboardInterrupt:
                _cancel(database, process, console)
                raise


def _dashboard_login(slot: Slot) -> str:
    """Add a user with a new password to this demo's dashboard; returns its address and the login."""
    from mqi_communicator.config import load
    from mqi_communicator.web.users import User, hash_password, users_of

    config, password = load(slot.config), secrets.token_urlsafe(9)
    users_of(config.web, config.paths.workspace).put(
        User("demo", "physicist", hash_password(password), "Demo Physicist", "Medical Physicist")
    )
    port = config.web.port if config.web is not None else 0
    return f"dashboard: http://127.0.0.1:{port}/  name: demo  password: {password}"


def _store(slot: Slot) -> Path:
    from mqi_communicator.config import load

    return load(slot.config).paths.store


@contextmanager
def _communicator(slot: Slot) -> Iterator[subprocess.Popen[bytes]]:
    """Run `mqi run` as a process that ends with this one, even if this one is killed."""
    command = [sys.executable, "-m", "mqi_communicator", "run", "--config", str(slot.config)]
    death_signal = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    with slot.log.open("ab") as log:
        process = subprocess.Popen([*death_signal, *command], stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _watch(slot: Slot, database: Database, process: subprocess.Popen[bytes], console: Console, login: str) -> bool:
    folder = _case_to_follow(slot, database, console)
    view = _follow(database, process, folder, console)
    _print_result(view, console)
    delivered = True
    if view.status == "done" and (slot.deliveries / folder).is_dir():
        fraction = _fraction_of(view, database, process)
        _print_fraction(fraction, console)
        delivered = fraction.verdict == "pass"
    if login:
        _stay(slot, console, login)
    return view.verdict == "pass" and delivered


def _case_to_follow(slot: Slot, database: Database, console: Console) -> str:
    """Return the folder name of this demo's case: one left by an interrupted demo, else a new one."""
    for case in database.read_now(view_all, time.time()):
        if case.kind == CaseKind.PLAN and not _ended(case):
            console.print(f"an earlier demo was interrupted: its case {case.case} continues")
            return case.folder
    number = 1 + sum(1 for path in slot.watch.iterdir() if path.is_dir() and not path.name.startswith("."))
    name = f"sample-{number}"
    made = slot.watch / f".{name}.making"
    shutil.rmtree(made, ignore_errors=True)
    write_sample(made, seed=number, site=None, **SAMPLE)
    write_deliveries(made, 1)
    shutil.rmtree(made / LOGS)  # the records of the same fraction are enough
    (made / RECORDS).rename(slot.deliveries / name)
    made.rename(slot.watch / name)
    console.print(f"the sample case is in the watched folder: {slot.watch / name}", soft_wrap=True)
    console.print(f"made-up records of its first fraction are in {slot.deliveries / name}", soft_wrap=True)
    return name


def _fraction_of(plan: CaseView, database: Database, process: subprocess.Popen[bytes]) -> CaseView:
    """The fraction that was delivered of a plan, once it has ended."""
    deadline = time.monotonic() + FRACTION_S
    while time.monotonic() < deadline and process.poll() is None:
        for case in database.read_now(view_all, time.time()):
            if case.kind == CaseKind.FRACTION and case.parent == plan.case and _ended(case):
                return case
        time.sleep(0.3)
    raise ActionRequired("the fraction that was delivered was not judged", "check mqi.log in the demo folder")


def _is_plan(case: CaseView, folder: str) -> bool:
    """Whether this is the case of the plan: what was delivered of it has a folder of the same name."""
    return case.kind == CaseKind.PLAN and case.folder == folder


def _follow(database: Database, process: subprocess.Popen[bytes], folder: str, console: Console) -> CaseView:
    with _display(console) as show:
        while True:
            found = [case for case in database.read_now(view_all, time.time()) if _is_plan(case, folder)]
            if process.poll() is not None:
                raise ActionRequired("the communicator ended before the case", "check mqi.log in the demo folder")
            if found:
                show(found[0])
                if found[0].status in ("done", "failed", "cancelled"):
                    return found[0]
            time.sleep(0.3)


@contextmanager
def _display(console: Console):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a context manager of a callable
    """Show a live table on a terminal, else print a line for each change."""
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda case: live.update(table([case]))
        return
    printed: set[str] = set()

    def print_new(case: CaseView) -> None:
        for line in _lines(case):
            if line not in printed:
                printed.add(line)
                console.print(line, soft_wrap=True, highlight=False)

    yield print_new


def _lines(case: CaseView) -> list[str]:
    lines = [f"{case.case}: {case.step} {case.status}"]
    for beam in case.beams:
        far = "" if beam.percent is None else f" {beam.percent // 10 * 10:.0f} %"
        lines.append(f"{case.case}: beam {beam.beam} {beam.step}{far if beam.step == 'follow' else ''}")
    if case.needs_person:
        lines.append(f"{case.case}: action required: {case.why} -> {case.advice}")
    return lines


def _print_result(case: CaseView, console: Console) -> None:
    path = Path(case.results) / "verdict.json"
    if case.results and path.is_file():
        document = json.loads(path.read_text(encoding="utf-8"))
        console.print(checks_table(document["checks"]))
        for line in special_lines(document["checks"]):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    word = case.verdict or case.status
    console.print(f"verdict: {word}: {case.why}", soft_wrap=True)
    if case.results:
        console.print(f"results: {case.results}", soft_wrap=True)
        console.print(_report(Path(case.results)), soft_wrap=True)


def _print_fraction(case: CaseView, console: Console) -> None:
    console.print(
        f"what the machine recorded, {case.fraction}: {case.verdict or case.status}: {case.why}", soft_wrap=True
    )
    if case.results:
        console.print(f"results: {case.results}", soft_wrap=True)


def _report(results: Path) -> str:
    """The path of the report, or that there is none."""
    page = results / "report.html"
    if not page.is_file():
        return "report: could not be generated, see mqi show"
    return f"report: {page} and report.pdf (with the patient id: report.identity in the configuration)"


def _stay(slot: Slot, console: Console, login: str) -> None:
    console.print(login, soft_wrap=True, highlight=False)
    command = typed("status", "--config", slot.config)
    console.print(f"host and communicator keep running. Look around:  {command}", soft_wrap=True, markup=False)
    console.print(f"put cases into {slot.watch}; stop with Ctrl-C", soft_wrap=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("stopping")


def _cancel(database: Database, process: subprocess.Popen[bytes], console: Console) -> None:
    """After Ctrl-C: end the jobs on the host, and confirm it, before this process ends."""
    live = [case for case in database.read_now(view_all, time.time()) if not _ended(case)]
    console.print(f"interrupted: cancelling {len(live)} case(s) and their jobs on the host")
    for case in live:
        database.write_now(
            orders.add, at=time.time(), case=case.case, order="cancel", who=f"user {os.getuid()}", why="Ctrl-C"
        )
    deadline = time.monotonic() + CANCEL_S
    while time.monotonic() < deadline and process.poll() is None:
        if all(_ended(case) for case in database.read_now(view_all, time.time())):
            console.print("cancelled")
            return
        time.sleep(0.3)
    console.print("could not confirm that every job has ended; the next demo continues where this one stopped")


def _ended(case: CaseView) -> bool:
    return case.status in ("done", "failed", "cancelled")
