"""One host of a testbed: its sshd behind a faulty network, its name, its disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mqi_communicator.demo.host import PrivateHost
from tests.faults.network import Network, known_hosts

DATE = '#!/bin/sh\nnow=$(/bin/date +%s)\nexec /bin/date -d "@$((now + $(cat "{file}")))" "$@"\n'
GPUS = 3
QUICK = {"connect_timeout_s": 15, "alive_interval_s": 2, "alive_count": 5, "stall_s": 10}


class Machine:
    """The host `number` (from 0). `clock` is the file with the offset of its clock."""

    def __init__(self, folder: Path, number: int, clock: Path, environment: Mapping[str, str]) -> None:
        self.name = "there" if number == 0 else f"there-{number + 1}"
        self.remote = folder / remote_name(number)
        self._number, self._folder = number, folder / f"machine-{number + 1}"
        programs = self._folder / "programs"
        programs.mkdir(parents=True)
        (programs / "date").write_text(DATE.format(file=clock))
        (programs / "date").chmod(0o755)
        (programs / "nice").write_text('#!/bin/sh\n[ "$1" != -n ] || shift 2\nexec "$@"\n')  # see hook
        (programs / "nice").chmod(0o755)
        path = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self.host = PrivateHost(self._folder / "host", environment={**environment, **path})
        self.host.start()
        self.net = Network(self.host.port)
        self.known = known_hosts(self.host, self.net.port, self._folder / "known_hosts")
        self.ssh_config = self._folder / "ssh_config"
        self.name_host("127.0.0.1")

    def entry(self, scheduler: Mapping[str, Any]) -> dict[str, Any]:
        """Its entry in the list `hosts` of the configuration; `scheduler`: the sections that say how jobs run."""
        options = self.host.options(
            name=self.name,
            host="there",
            port=self.net.port,
            known_hosts_file=self.known,
            config_file=self.ssh_config,
            **QUICK,
        )
        ssh = options.model_dump(mode="json", exclude_defaults=True)
        return {"ssh": ssh, "remote": str(self.remote), "jobs": GPUS, **scheduler}

    def direct(self) -> dict[str, Any]:
        """Detached processes, on GPUs whose numbers no other host has."""
        ids = range(10 * self._number, 10 * self._number + GPUS)
        gpus = {"listed": [{"id": number, "memory_mib": 24_000} for number in ids]}
        return {"direct": {"poll_s": 1, "kill_grace_s": 1}, "gpus": gpus}

    def name_host(self, address: str) -> None:
        """Set the address of the host's name."""
        self.ssh_config.write_text(f"Host there\n  HostName {address}\n")

    def heal(self) -> None:
        """Undo every fault of network and name."""
        self.net.heal()
        self.name_host("127.0.0.1")

    def close(self) -> None:
        """End sshd and network."""
        self.host.stop()
        self.net.close()


def remote_name(number: int) -> str:
    """The folder of a host's workspace."""
    return "remote" if number == 0 else f"remote-{number + 1}"
