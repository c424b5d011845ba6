"""The environment of the benchmarks: a private sshd on this machine, the fetched engine, the demo's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.settings import write_config
from mqi_communicator.demo.slot import Slot, first_free

ROOT = Path(__file__).resolve().parents[1]
ENGINE = Path(os.environ.get("MQI_ENGINE_HOME", ROOT / ".setup/mcsquare"))


def new_site(base: Path, host: PrivateHost, **changes: Mapping[str, Any]) -> Slot:
    """Make a separate site below `base`, with the demo's settings and `changes` to its sections."""
    slot = first_free(base)
    write_config(slot, ENGINE, host.options())
    settings = yaml.safe_load(slot.config.read_text())
    for section, values in changes.items():
        settings[section] = {**settings.get(section, {}), **values}
    slot.config.write_text(yaml.safe_dump(settings))
    return slot


def mqi(slot: Slot, word: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the product as a process that logs to `log`."""
    with log.open("wb") as out:
        words = (sys.executable, "-m", "mqi_communicator", word, "--config", str(slot.config))
        return subprocess.Popen(words, stdout=out, stderr=out)


def ssh_words(host: PrivateHost, socket: Path) -> tuple[str, ...]:
    """A plain ssh over one shared connection, as one would set it up by hand."""
    options = host.options()
    return (
        "ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={options.known_hosts_file}", "-i", str(options.identity_file),
        "-o", "ControlMaster=auto", "-o", f"ControlPath={socket}", "-o", "ControlPersist=60",
        "-o", f"Port={options.port}", "-l", str(options.user),
    )  # fmt: skip
