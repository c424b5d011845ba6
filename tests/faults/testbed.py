"""The testbed of fault tests: a site with its host behind a faulty network, its disks, and its communicator."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from mqi_communicator.demo.host import PrivateHost
from tests.faults.machine import Machine, remote_name
from tests.faults.network import Network
from tests.faults.observer import Observer, alive
from tests.faults.points import AFTER, FIRST
from tests.fleet import noisy
from tests.fleet.cases import record_files, write_case
from tests.fleet.site import Fleet
from tests.slurm.cluster import Cluster
from tests.standin.site import BEAM_FILE

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
DISKS = {"workspace": 256, "remote": 64, "results": 32}  # MiB; a fetch reserves 64 MiB for a log
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MIN_LIFE_S = 12.0  # a life waits at least this long for its planned end while others are planned
MIN_LIFE_LINES = 25  # and must have written so many lines to its log
ENDED = ("done", "failed", "cancelled")
SAMPLE = 900  # the number of the constancy sample, which becomes a case automatically
FIND_S = 6.0  # how long a fault waits for a target
CHANGED = ("and the configuration now has", "started with another input")  # why a computed case needs an operator
SEEN_S = 60.0  # for a folder to be registered
PATIENCE_S = 300.0  # for a program to start and to refuse, on a busy machine
ENGINE_S = 0.6  # run time of the engine
SLURM = {"slurm": {"gres": "gpu:1", "query_s": 1, "look_s": 0.5, "files_late_s": 3, "kill_grace_s": 1}}


class Testbed(Fleet):
    """A fleet whose communicator is restarted whenever it ends, and may be planned to die at a kill point.

    `mounted`: the disks are small file systems of their own (needs root in a mount namespace of its own). `backend`:
    how jobs run on the hosts, `direct` or `slurm`.
    """

    def __init__(self, folder: Path, seed: int, *, mounted: bool, hosts: int = 1, backend: str = "direct") -> None:
        self.random = random.Random(f"ground {seed}")
        self.mounted = mounted
        self.share = folder / ("share" if mounted else "watch")
        self.clock, self.journal = folder / "clock", folder / "journal"
        self.clock_there, self.boot_id = folder / "clock-there", folder / "boot-id"
        self._disks = DISKS | {remote_name(number): DISKS["remote"] for number in range(hosts)}
        self._mount(folder)
        self.clock.write_text("0")
        self.clock_there.write_text("0")
        self.journal.touch()
        self.cluster = Cluster(nodes=2, gpus=2) if backend == "slurm" else None
        environment: Mapping[str, str] = {}
        if self.cluster is not None:
            self.cluster.start()
            environment = self.cluster.environment
        self.machines = [Machine(folder, number, self.clock_there, environment) for number in range(hosts)]
        self.at = 0  # the host that a fault befalls
        self.sample = folder / "samples" / f"case {SAMPLE:04d}"
        self.sample.parent.mkdir()
        sample = {"name": "sample", "folder": str(self.sample), "every_days": 1}
        super().__init__(
            folder,
            [one.entry(SLURM if self.cluster else one.direct()) for one in self.machines],
            seconds=ENGINE_S,
            **_sections(),
            constancy=[sample],
        )
        write_case(self.sample.parent, SAMPLE, self.sample.name)
        self.cases.append(SAMPLE)
        self.deliveries = folder / "deliveries"
        self.deliveries.mkdir()
        self.settings["paths"]["deliveries"] = str(self.deliveries)
        self.save()
        self.delivered: set[tuple[int, str]] = set()  # case and label of each fraction of which a record has arrived
        self.observer = Observer(*(one.remote for one in self.machines))
        self._armed: dict[str, Any] = {}
        self._began = 0.0
        self._began_refused = False
        self._lines_before = 0
        self.plan: list[dict[str, Any]] = []  # remaining kill points, one per life
        self.refusing: set[str] = set()  # active faults because of which a communicator may refuse to start
        self.wanted = True  # whether a communicator should run
        self.killed = self._drops = 0
        self.damaged: set[int] = set()  # cases with a corrupted file: they may fail with a message
        self.ordered: set[int] = set()  # cases that were cancelled by order
        self.inflicted: Counter[str] = Counter()  # faults that had a target
        self.missed = False  # set by a fault without a target
        self.released: set[str] = set()  # keys of cases that were released by order
        self.restored = False  # whether a backup replaced the store, which loses orders that are not applied yet
        self.notes: list[str] = []  # defects that a fault observed
        self.died: list[str] = []  # unplanned ends of the communicator
        self.refused = 0
        self._changes = 0
        self._again_after: dict[str, int] = {}  # cancelled cases whose folder is to be copied in again
        self._looked = 0.0
        self._again = 0.0

    def _mount(self, folder: Path) -> None:
        for name, size in self._disks.items():
            place = folder / name
            place.mkdir(parents=True)
            if self.mounted:
                _run("mount", "-t", "tmpfs", "-o", f"size={size}m,mode=700", "faults", str(place))
        self.share.mkdir()
        if self.mounted:
            (folder / "watch").mkdir()
            _run("mount", "--bind", str(self.share), str(folder / "watch"))
            self.boot_id.write_text(BOOT_ID.read_text())
            _run("mount", "--bind", str(self.boot_id), str(BOOT_ID))

    @property
    def machine(self) -> Machine:
        """The host that a fault befalls."""
        return self.machines[self.at]

    @property
    def host(self) -> PrivateHost:
        """Its sshd."""
        return self.machine.host

    @property
    def net(self) -> Network:
        """Its network."""
        return self.machine.net

    def change(self, random: random.Random) -> None:
        """Change the configuration; the communicator that starts next uses it."""
        self._changes += 1
        kind = random.choice(("model", "histories", "slots"))
        if kind == "model":
            model = self.folder / f"beam_file-{self._changes}.txt"
            model.write_bytes(BEAM_FILE + f"# {self._changes}\n".encode())
            (machine,) = self.settings["machines"].values()
            machine |= {"beam_model": str(model), "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
        elif kind == "histories":
            self.settings["engine"]["histories_per_beam"] = random.choice((1, 2, 3)) * noisy.HISTORIES
        else:
            random.choice(self.settings["hosts"])["jobs"] = random.choice((2, 3))
        self.save()

    def answer_changes(self) -> None:
        """As the message about a changed configuration advises: cancel the case, and copy its folder in again."""
        for (key,) in self.look_up(
            'select distinct "case" from work_items where needs_person and (reason like ? or reason like ?)',
            *(f"%{why}%" for why in CHANGED),
        ):
            number = self.number_of(key)
            with suppress(subprocess.TimeoutExpired):
                if number and self.mqi("cancel", key, timeout=120).returncode == 0:
                    self._again_after[key] = number
        for key, number in list(self._again_after.items()):
            if self.look_up('select 1 from work_items where beam = 0 and "case" = ? and '
                            "(wanted = 'cancel' or status = 'cancelled')", key):  # fmt: skip
                del self._again_after[key]
                if number == SAMPLE:  # it is due again with the new configuration
                    self.ordered.add(number)
                else:
                    known = self.key_of(number)
                    self.write_again(number)
                    self.until(partial(self._is_another_key, number, known), SEEN_S)

    def _is_another_key(self, number: int, known: str) -> bool:
        return self.key_of(number) != known

    @property
    def answering(self) -> bool:
        """Whether a case is still to be copied in again."""
        return bool(self._again_after)

    # --- the communicator

    def start(self) -> subprocess.Popen[bytes]:
        """Start a new life with the next planned end."""
        self._armed = plan = self.plan.pop(0) if self.plan else {}
        self._began_refused = bool(self.refusing)
        self._began = time.monotonic()
        self._lines_before = self.log.read_bytes().count(b"\n") if self.log.exists() else 0
        hook = ROOT / "tests" / "faults" / "hook"
        environment = {
            **os.environ,
            "PYTHONPATH": f"{hook}:{ROOT / 'src'}:{ROOT}",
            "FAULTS_PLAN": json.dumps(plan),
            "FAULTS_JOURNAL": str(self.journal),
            "FAULTS_CLOCK": str(self.clock),
        }
        argv = (sys.executable, "-m", "tests.faults.communicator", "run", "--config", str(self.config))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", *argv),
                stdout=log, stderr=log, start_new_session=True, env=environment, cwd=ROOT,
            )  # fmt: skip
        return self.process

    def supervise(self) -> None:
        """Observe; start the communicator again if it has ended."""
        if time.monotonic() - self._looked > 0.4:
            self.observer.look()
            self._looked = time.monotonic()
        if not self.wanted:
            return
        if self.process is not None and self.process.poll() is None:
            if self._armed and self.plan and self._has_lived():
                kill(self.process.pid)  # it does not reach its point: kill it now, at a random time
            return
        if self.process is not None:
            self._note_end(self.process.returncode)
            self.process = None
        if time.monotonic() >= self._again:
            self.start()

    @property
    def effect_to_come(self) -> str:
        """The effect at which this life is planned to end; "" if it is not."""
        return str(self._armed.get("point", "")).rpartition(":")[0]

    @property
    def has_started(self) -> bool:
        """Whether this life has reported that it started."""
        lines = self.log.read_bytes().splitlines()[self._lines_before :] if self.log.exists() else []
        return any(b'"event": "started"' in line for line in lines)

    def ends_when_asked(self) -> tuple[int, ...]:
        """The exit codes allowed after SIGTERM; before it has reported its start, death by the signal is one."""
        lines = self.log.read_bytes().splitlines()[self._lines_before :]
        forced = any(b'"event": "stop.forced"' in line for line in lines)
        early = () if self.has_started else (-signal.SIGTERM,)
        late = (1,) if forced and self.refusing else ()  # it cannot use the store, and must end in time nevertheless
        return (0, -signal.SIGKILL, *early, *late)

    def _has_lived(self) -> bool:
        old = time.monotonic() - self._began > MIN_LIFE_S
        return old and self.log.read_bytes().count(b"\n") - self._lines_before > MIN_LIFE_LINES

    def _note_end(self, code: int) -> None:
        if self._armed:
            point = self._armed["point"]
            hit, seen = (point in self.kill_points(what) for what in ("killed", "seen"))
            replan(self.plan, point, hit=hit, seen=seen)
        if code == -signal.SIGKILL:
            self.killed += 1
        elif code == 1 and (self.refusing or self._began_refused):  # it may end a moment after the fault has ended
            self.refused += 1
            self._again = time.monotonic() + 1.0
        else:
            self.died.append(f"exit {code}: {self.log_tail()}")
            self._again = time.monotonic() + 1.0

    def log_tail(self) -> str:
        """The end of the log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:])[-600:]

    def pause(self, seconds: float) -> None:
        """Wait, and supervise."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.supervise()
            time.sleep(0.1)

    def until(self, wanted: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds; return whether it did in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.supervise()
            if wanted():
                return True
            time.sleep(0.1)
        return False

    def find(self, look: Callable[[], list[T]], seconds: float = FIND_S) -> list[T]:
        """Wait for a target of a fault; without one the fault does not count."""
        found: list[T] = []

        def some() -> bool:
            found[:] = look()
            return bool(found)

        self.missed = not self.until(some, seconds)
        return found

    # --- state

    def look_up(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of the store; none if it cannot be read now."""
        with suppress(Exception):
            return self.ask(query, *values)
        return []

    def new_number(self) -> int:
        """An unused case number."""
        return max((number for number in self.cases if number != SAMPLE and number not in noisy.NUMBERS), default=0) + 1

    def drop(self, *numbers: int) -> None:
        """Write cases to the share."""
        for number in numbers:
            write_case(self.share, number)
            self.cases.append(number)

    def deliver(self, number: int) -> None:
        """The record of the next fraction of a case arrives, in one rename."""
        fraction = 1 + sum(case == number for case, _ in self.delivered)
        making = self.folder / "making-delivery"
        making.mkdir()
        for name, data in record_files(number, fraction).items():
            (making / name).write_bytes(data)
        making.rename(self.deliveries / f"records {number:04d} {fraction}")
        self.delivered.add((number, f"fraction {fraction}"))

    def live_deliveries(self) -> int:
        """How many deliveries and fractions have not ended, or were not noticed yet."""
        rows = self.look_up(
            "select kind, status from cases join work_items on key = work_items.'case' "
            "where beam = 0 and kind in ('delivery', 'fraction')"
        )
        seen = len([kind for kind, _status in rows if kind == "delivery"])
        return len([status for _kind, status in rows if status not in ENDED]) + max(0, len(self.delivered) - seen)

    def write_again(self, number: int) -> None:
        """Drop a case again, under another name."""
        for folder in self.share.glob(f"*case {number:04d}"):
            shutil.rmtree(folder)
        self._drops += 1
        write_case(self.share, number, f"drop {self._drops} case {number:04d}")

    def live_cases(self) -> int:
        """How many dropped cases have not ended."""
        rows = self.look_up(
            "select source, status from cases join work_items on key = work_items.'case' where beam = 0"
        )
        over = {case_number(source) for source, status in rows if status in ENDED}
        under_way = {case_number(source) for source, status in rows if status not in ENDED}
        return len(set(self.cases) - over | (under_way & set(self.cases)))

    def key_of(self, number: int) -> str:
        """The last key under which a case is known, "" if it is not."""
        rows = self.look_up("select key, source from cases order by rowid")
        return next((key for key, source in reversed(rows) if case_number(source) == number), "")

    def number_of(self, key: str) -> int:
        """The case number of a key; 0 if unknown."""
        rows = self.look_up("select source from cases where key = ?", key)
        return case_number(rows[0][0]) if rows else 0

    def kill_points(self, what: str) -> set[str]:
        """The points that were "seen" or "killed" so far."""
        lines = [line.split() for line in self.journal.read_text().splitlines()]
        return {argv[2] for argv in lines if argv[1] == what}

    def processes(self, *parts: str) -> list[int]:
        """The processes whose command line contains all of these parts."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                argv = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                if all(part in argv for part in parts) and int(folder.name) != os.getpid():
                    found.append(int(folder.name))
        return sorted(found)

    def jobs(self) -> list[int]:
        """The processes of jobs on all hosts, by their working folder."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if re.match(f"{re.escape(str(self.folder))}/remote[^/]*/cases/", str((folder / "cwd").readlink())):
                    found.append(int(folder.name))
        return found

    def children(self) -> list[int]:
        """All descendants of the communicator."""
        return [] if self.process is None else descendants(self.process.pid)

    def children_with(self, wanted: Callable[[list[str]], bool]) -> list[int]:
        """Those of its descendants with such a command line."""
        found = []
        for pid in self.children():
            with suppress(OSError):
                argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                if argv[0] and wanted(argv):
                    found.append(pid)
        return found

    def dashboard_answers(self) -> bool:
        """Whether the dashboard that was started last serves a page."""
        started = [line for line in self.log.read_bytes().splitlines() if b'"event": "web.started"' in line]
        with suppress(httpx.HTTPError, IndexError):
            address = json.loads(started[-1])["address"].rstrip("/")
            return httpx.get(f"{address}/login", timeout=10).status_code == httpx.codes.OK
        return False

    # --- the end

    def heal(self) -> None:
        """Undo every fault."""
        for machine in self.machines:
            machine.heal()
        self.behave(fault="", seconds=ENGINE_S)
        self.hold.unlink(missing_ok=True)

    def close(self) -> None:
        """End all processes and remove all files."""
        self.wanted = False
        self.stop(signal.SIGKILL)
        self.end_strays()
        for machine in self.machines:
            machine.close()
        if self.cluster is not None:
            self.cluster.stop()
        if self.mounted:
            for place in (*(self.folder / name for name in (*self._disks, "watch")), BOOT_ID):
                subprocess.run(("umount", "-l", str(place)), check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def orphans(self) -> set[str]:
        """Tokens of our jobs with live processes."""
        keys = {key for (key,) in self.look_up("select key from cases")}
        return {token for token in alive() if token.partition("-")[0] in keys}


def case_number(source: bytes | str) -> int:
    """The number in a folder's name; 0 if there is none."""
    text = source.decode("utf-8", "replace") if isinstance(source, bytes) else source
    found = re.search(r"case (\d{4})[^/]*$", text)
    return int(found[1]) if found else 0


def is_dashboard(argv: list[str]) -> bool:
    """Whether this is the command line of a communicator's dashboard."""
    return "web" in argv


def descendants(root: int) -> list[int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found[1:]


def replan(plan: list[dict[str, Any]], ended: str, *, hit: bool, seen: bool) -> None:
    """After a life: plan next what only the next life can reach; plan a point that was not hit again."""
    effect = ended.rpartition(":")[0]
    if hit:
        plan.sort(key=lambda life: not _follows(life["point"], ended))
    elif effect not in FIRST:
        plan += [{"point": point, "nth": 1} for point in (AFTER.get(effect), ended) if point]
    elif not seen:  # it occurs once per round, and has not yet
        plan.insert(0, {"point": ended, "nth": 1})


def _follows(point: str, ended: str) -> bool:
    effect, _, moment = point.rpartition(":")
    return effect in AFTER and (ended == AFTER[effect] or (moment == "after" and ended == f"{effect}:before"))


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal; return whether the process existed."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _sections() -> dict[str, Any]:
    return {
        "engine": {"time_limit_s": 60, "histories_per_beam": noisy.HISTORIES},
        "extension": {"max_histories_per_beam": noisy.MOST},
        "resources": {"workers": 1, "transfers": 2, "local_free_gib": 0.01, "remote_free_gib": 0.01},
        "retry": {"first_s": 0.5, "cap_s": 5, "probe_s": 3, "max_runs": 12},
        "breaker": {"open_s": 1, "open_cap_s": 4},
        "backup": {"every_s": 15, "keep": 3},
        "report": {"draw": True, "gamma": []},
        "web": {"port": 0},
    }


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
