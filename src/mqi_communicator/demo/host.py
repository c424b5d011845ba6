"""A private host: a real sshd on the loopback interface, with its own keys, that leaves nothing behind."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.remote.options import SshOptions

_SSHD = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/lib/openssh/sshd")
_START = 10.0  # seconds


class PrivateHost:
    """An sshd for this account only, on 127.0.0.1, until stopped.

    `folder` has its keys, configuration, log and an empty home; its name may contain spaces. `environment` is set for
    its commands; `settings` are lines of sshd_config that take precedence. `forced` is the only command that its key
    may start. ActionRequired, with what to install or change, if no sshd is available.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        settings: Sequence[str] = (),
        forced: str = "",
    ) -> None:
        self.folder = folder.absolute()
        self.port = 0
        self.home = self.folder / "home"
        self._environment = {"HOME": str(self.home), **(environment or {})}
        self._settings = tuple(settings)
        self._forced = forced
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The listener's process id."""
        if self._process is None:
            raise RuntimeError("the private host is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it accepts connections. A restart keeps the keys and, if free, the port.

        It ends with the calling thread at the latest.
        """
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        for name in ("host", "user"):
            _make_key(self.folder / name)
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, parents=True, exist_ok=True)  # empty root folder of sshd's helpers
        for _ in range(5):
            self.port = _free_port(self.port)
            self._write()
            if self._listen():
                return
        raise ActionRequired("the private sshd does not start", f"Check {self.folder / 'sshd.log'}.")

    def stop(self) -> None:
        """End the listener, its sessions and their commands; detached processes (jobs) keep running."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGSTOP)  # no new sessions while processes are listed
        for pid in (self._process.pid, *self.descendants()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def descendants(self) -> list[int]:
        """Process ids of the sessions and their commands."""
        parents = _parents()
        found = [self.pid]
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found[1:]

    def options(self, **changes: object) -> SshOptions:
        """Return the SSH options to connect to it."""
        return SshOptions.model_validate(
            {
                "name": "private",
                "host": "127.0.0.1",
                "port": self.port,
                "user": _account(),
                "identity_file": self.folder / "user",
                "known_hosts_file": self.folder / "known_hosts",
                "config_file": "/dev/null",
                **changes,
            }
        )

    def _write(self) -> None:
        only = f'restrict,command="{self._forced}" ' if self._forced else ""
        self._write_file("authorized_keys", only + (self.folder / "user.pub").read_text())
        key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        self._write_file("known_hosts", f"[127.0.0.1]:{self.port} {key}\n")
        self._write_file("sshd_config", "\n".join((*self._settings, *self._lines(), "")))

    def _write_file(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)

    def _lines(self) -> tuple[str, ...]:
        variables = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        here = str(self.folder)
        return (
            "ListenAddress 127.0.0.1",
            f"Port {self.port}",
            f'HostKey "{here}/host"',
            f'AuthorizedKeysFile "{here.replace("%", "%%")}/authorized_keys"',
            "PidFile none",
            f"AllowUsers {_account()}",
            "AuthenticationMethods publickey",
            "PermitRootLogin prohibit-password",
            f"UsePAM {'yes' if _locked() else 'no'}",
            "StrictModes no",  # the folder may be below a world-writable one; it is itself 0700
            "UseDNS no",
            "DisableForwarding yes",
            "PrintMotd no",
            "PrintLastLog no",
            "ClientAliveInterval 10",
            "LogLevel VERBOSE",
            f"SetEnv {variables}",
        )

    def _listen(self) -> bool:
        log = self.folder / "sshd.log"
        command = (_sshd(), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(log))
        self._process = subprocess.Popen(
            (*_death_signal(), *command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + _START
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            time.sleep(0.02)
        self.stop()
        self.port = 0
        return False


def _death_signal() -> tuple[str, ...]:
    """The prefix that ends the listener with the process that started it, if util-linux has it."""
    return ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()


def _sshd() -> str:
    for path in (shutil.which("sshd"), *_SSHD):
        if path and os.access(path, os.X_OK):
            return os.path.realpath(path)  # it re-executes itself and needs its absolute path
    raise ActionRequired("this machine has no sshd", "Install openssh-server (it need not be enabled).")


def _make_key(path: Path) -> None:
    if path.exists():
        return
    if shutil.which("ssh-keygen") is None:
        raise ActionRequired("this machine has no ssh-keygen", "Install openssh-client.")
    subprocess.run(
        ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mqi-demo", "-f", str(path)),
        check=True,
        stdin=subprocess.DEVNULL,
    )


def _account() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def _locked() -> bool:
    """Return whether the account's password is locked: sshd then accepts it only with PAM. Only root can read this, and
    only root's sshd checks it."""
    if os.getuid() != 0:
        return False
    try:
        lines = Path("/etc/shadow").read_text().splitlines()
    except OSError:
        return False
    if not any(line.startswith(f"{_account()}:!") for line in lines):
        return False
    if not Path("/etc/pam.d/sshd").exists():
        raise ActionRequired(
            "sshd refuses this account because its password is locked",
            "Run the demo as an ordinary user, or let an administrator set the password field to '*'.",
        )
    return True


def _free_port(preferred: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parents() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return parents
