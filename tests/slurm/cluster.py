"""A complete Slurm on the loopback: controller, nodes whose GPUs are links to /dev/null, optional accounting."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

PATIENCE_S = 120.0
_SBIN = "/usr/sbin"

_SLURM = """\
ClusterName=mqitest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[controller]}
AuthType=auth/munge
AuthInfo=socket={base}/munge/s
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmdPidFile={base}/run/slurmd-%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobContainerType=job_container/none
SwitchType=switch/none
MpiDefault=none
PropagateResourceLimits=NONE
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SlurmdParameters=config_overrides
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,sched_min_interval=0,batch_sched_delay=0,nohold_on_prolog_fail
MinJobAge={min_job_age}
KillWait=2
UnkillableStepTimeout=30
InactiveLimit=0
SlurmctldTimeout=10
SlurmdTimeout=10
BatchStartTimeout=10
MessageTimeout=10
CompleteWait=0
TCPTimeout=2
OverTimeLimit=0
ReturnToService=2
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
{accounting}
{nodes}
PartitionName=gpu Nodes=ALL Default=YES MaxTime=1-00:00:00 DefaultTime=00:10:00 State=UP OverSubscribe=NO PriorityTier=1
PartitionName=short Nodes=node1 MaxTime=00:05:00 State=UP PriorityTier=1
PartitionName=rude Nodes=ALL MaxTime=1-00:00:00 State=UP PriorityTier=9
"""
_NODE = (
    "NodeName=node{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 Boards=1 SocketsPerBoard=1 "
    "CoresPerSocket=16 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:test:{gpus} State=UNKNOWN"
)
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports[dbd]}
AccountingStoragePass={base}/munge/s
AccountingStorageTRES=gres/gpu"""
_DBD = """\
AuthType=auth/munge
AuthInfo=socket={base}/munge/s
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={ports[dbd]}
CommunicationParameters=NoInAddrAny
SlurmUser={user}
LogFile={base}/log/slurmdbd.log
PidFile={base}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct
"""


class Cluster:
    """Some nodes of some GPUs each, while it is wanted. `environment` is what a login finds set."""

    def __init__(self, *, nodes: int = 2, gpus: int = 2, accounting: bool = False, min_job_age: int = 300) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="mqi-slurm-", dir="/tmp"))  # sockets want short paths
        self.nodes, self.gpus, self.accounting = nodes, gpus, accounting
        self._min_job_age = min_job_age
        self._database: subprocess.Popen[bytes] | None = None
        names = ("controller", "dbd", *(f"node{number}" for number in range(1, nodes + 1)))
        self._ports = dict(zip(names, _free_ports(len(names)), strict=True))

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of clients of this Slurm: SLURM_CONF."""
        return {"SLURM_CONF": str(self.base / "etc" / "slurm.conf")}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Return when every node is idle."""
        for name in ("etc", "log", "run", "state", "spool", "munge", "dev", "db"):
            (self.base / name).mkdir()
        self.base.chmod(0o755)
        (self.base / "munge").chmod(0o755)
        (self.base / "munge" / "key").write_bytes(secrets.token_bytes(1024))
        (self.base / "munge" / "key").chmod(0o600)
        for number in range(self.gpus):
            (self.base / "dev" / f"gpu{number}").symlink_to("/dev/null")
        self._munge()
        if self.accounting:
            self._start_accounting()
        self._configure()
        self.start_controller()
        for number in range(1, self.nodes + 1):
            self.start_node(number)
        self._wait(lambda: self.ask("sinfo", "-h", "-N", "-p", "gpu", "-o", "%T").split() == ["idle"] * self.nodes)

    def stop(self) -> None:
        """End only what this object started."""
        run = self.base / "run"
        self.resume_controller()
        with suppress(subprocess.SubprocessError):
            self.ask("scancel", "-u", getpass.getuser())
        for pattern in ("slurmd-*.pid", "slurmctld.pid", "slurmdbd.pid", "mariadbd.pid", "munged.pid"):
            _end([_pid(path) for path in run.glob(pattern)])
        self._end_steps()
        if self._database is not None:
            self._database.wait()
        shutil.rmtree(self.base, ignore_errors=True)

    def ask(self, *words: str) -> str:
        """The output of a Slurm command."""
        done = subprocess.run(words, env=self._env(), capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def start_controller(self) -> None:
        """Start the controller; it restores the jobs that it knew."""
        self._run("slurmctld", "-f", self.environment["SLURM_CONF"])

    def stop_controller(self) -> None:
        """End the controller; jobs continue."""
        _end([_pid(self.base / "run" / "slurmctld.pid")])

    def pause_controller(self) -> None:
        """Stop the controller with SIGSTOP: it does not answer, and keeps its state."""
        os.kill(_pid(self.base / "run" / "slurmctld.pid"), signal.SIGSTOP)

    def resume_controller(self) -> None:
        """Let the controller continue."""
        with suppress(OSError, ValueError):
            os.kill(_pid(self.base / "run" / "slurmctld.pid"), signal.SIGCONT)

    def start_node(self, number: int) -> None:
        """One node's daemon."""
        self._run("slurmd", "-N", f"node{number}", "-f", self.environment["SLURM_CONF"])

    def kill_node(self, number: int) -> None:
        """Simulate a power failure: end the node's daemon and all jobs on it."""
        with suppress(OSError, ValueError):
            os.kill(_pid(self.base / "run" / f"slurmd-node{number}.pid"), signal.SIGKILL)
        self._end_steps(f"node{number}")

    def _munge(self) -> None:
        munge = self.base / "munge"
        self._run(
            "munged", f"--key-file={munge}/key", f"--socket={munge}/s", f"--pid-file={self.base}/run/munged.pid",
            f"--log-file={munge}/log", f"--seed-file={munge}/seed", "--num-threads=2", "--force",
        )  # fmt: skip

    def _configure(self) -> None:
        host = socket.gethostname()
        nodes = [
            _NODE.format(number=number, host=host, port=self._ports[f"node{number}"], gpus=self.gpus)
            for number in range(1, self.nodes + 1)
        ]
        text = _SLURM.format(
            host=host,
            base=self.base,
            user=getpass.getuser(),
            ports=self._ports,
            nodes="\n".join(nodes),
            min_job_age=self._min_job_age,
            accounting=_ACCOUNTING.format(base=self.base, ports=self._ports)
            if self.accounting
            else "AccountingStorageType=accounting_storage/none",
        )
        devices = f"{self.base}/dev/gpu" + (f"[0-{self.gpus - 1}]" if self.gpus > 1 else "0")
        etc = self.base / "etc"
        (etc / "slurm.conf").write_text(text)
        (etc / "gres.conf").write_text(f"NodeName=node[1-{self.nodes}] Name=gpu Type=test File={devices}\n")
        (etc / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _start_accounting(self) -> None:
        """A private MariaDB that listens on a socket alone, and slurmdbd on the loopback."""
        folder, etc = self.base / "db", self.base / "etc"
        sock = folder / "s"
        common = ("--no-defaults", f"--user={getpass.getuser()}", f"--datadir={folder}/data")
        self._run("mariadb-install-db", *common, "--auth-root-authentication-method=normal", "--skip-test-db")
        with (self.base / "log" / "mariadb.out").open("wb") as out:
            self._database = subprocess.Popen(
                ("mariadbd", *common, f"--socket={sock}", f"--pid-file={self.base}/run/mariadbd.pid",
                 "--skip-networking", "--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900",
                 "--innodb-flush-log-at-trx-commit=0", f"--log-error={self.base}/log/mariadb.log"),
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._env(),
            )  # fmt: skip
        client = ("mariadb", "--no-defaults", "-u", "root", "-S", str(sock))
        self._wait(lambda: self._says((*client, "-e", "select 1")))
        self._run(
            *client, "-e",
            "create database slurm_acct; create user slurm@localhost identified by 'x'; "
            "grant all on slurm_acct.* to slurm@localhost;",
        )  # fmt: skip
        text = _DBD.format(base=self.base, host=socket.gethostname(), user=getpass.getuser(), ports=self._ports)
        (etc / "slurmdbd.conf").write_text(text)
        (etc / "slurmdbd.conf").chmod(0o600)
        (etc / "slurm.conf").touch()  # slurmdbd looks for its own file beside it
        self._run("slurmdbd", MYSQL_UNIX_PORT=str(sock))
        self._wait(lambda: _listens(self._ports["dbd"]))

    def _run(self, *words: str, **extra: str) -> None:
        done = subprocess.run(
            words,
            env=self._env() | extra,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]} did not start: {done.stdout}{done.stderr}")

    def _says(self, words: tuple[str, ...]) -> bool:
        return subprocess.run(words, env=self._env(), capture_output=True, check=False).returncode == 0

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PATH": f"{os.environ['PATH']}:{_SBIN}"}

    def _end_steps(self, node: str = "") -> None:
        """End the jobs of one node or of all, and their step daemons."""
        conf = f"SLURM_CONF={self.environment['SLURM_CONF']}"
        found = {pid: words for pid, words in _environments().items() if conf in words}
        here = f"SLURMD_NODENAME={node}" if node else conf
        jobs = {
            pid
            for pid, words in found.items()
            if here in words and any(word.startswith("SLURM_JOB_ID=") for word in words)
        }
        steps = {pid for pid in found if _title(pid).startswith("slurmstepd")}
        doomed = (steps & {_parent(job) for job in jobs} if node else steps) | jobs
        for number in (signal.SIGSTOP, signal.SIGKILL):  # all at once: none may see another go
            for pid in doomed:
                with suppress(OSError):
                    os.kill(pid, number)

    def _wait(self, ready) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not ready():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the cluster does not come up; see {self.base}/log\n{self.ask('sinfo', '-N')}")
            time.sleep(0.1)


def _environments() -> dict[int, list[str]]:
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found[int(folder.name)] = (folder / "environ").read_bytes().decode("utf-8", "replace").split("\0")
    return found


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    return ""


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _pid(path: Path) -> int:
    return int(path.read_text().strip())


def _end(pids: list[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        for _ in range(100):
            if not any(_alive(pid) for pid in pids):
                return
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
