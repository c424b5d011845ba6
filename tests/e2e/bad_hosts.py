"""Hosts, disks and configurations as they should not be, each put through the real program."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.e2e.bad_inputs import Outcome, outcome_of, plain
from tests.e2e.conftest import Site

from mqi_communicator.demo.host import PrivateHost


@dataclass(frozen=True)
class HostTrial:
    """What `mqi once` and `mqi check` made of one host."""

    outcome: Outcome
    once: int
    check: int
    checked: str  # what `mqi check` printed


def try_hosts(site: Site) -> tuple[list[HostTrial], dict[str, object]]:
    """One case against each bad host in turn, then against the good one: the trials, and how the case ends."""
    site.drop()
    trials = [_try(site, what, ssh) for what, ssh in _wrong_settings(site)]
    with _without_rsync(site) as bare:
        trials.append(_try(site, "remote without rsync", bare.options()))
    good = site.host.options()
    site.host.stop()
    trials.append(_try(site, "host down", good))
    site.host.start()
    _reach(site, site.host.options())
    site.mqi("once")
    (case,) = site.status()
    return trials, case


def _wrong_settings(site: Site):
    other = site.folder / "other"
    for name in ("key", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{other}-{name}"], check=True)
    known = " ".join(Path(f"{other}-host.pub").read_text().split()[:2])
    changed, unknown = site.folder / "known_changed", site.folder / "known_none"
    changed.write_text(f"[127.0.0.1]:{site.host.port} {known}\n")
    unknown.touch()
    yield "wrong key", site.host.options(identity_file=Path(f"{other}-key"))
    yield "changed host key", site.host.options(known_hosts_file=changed)
    yield "unknown host key", site.host.options(known_hosts_file=unknown)


@contextlib.contextmanager
def _without_rsync(site: Site) -> Iterator[PrivateHost]:
    """A host that has everything but rsync."""
    bin_folder = site.folder / "bin"
    bin_folder.mkdir()
    for folder in ("/usr/bin", "/bin"):
        for program in Path(folder).iterdir():
            if program.name != "rsync" and not (bin_folder / program.name).is_symlink():
                (bin_folder / program.name).symlink_to(program)
    with PrivateHost(site.folder / "bare", environment={"PATH": str(bin_folder)}) as bare:
        yield bare


def _reach(site: Site, ssh) -> None:
    site.settings["ssh"] = ssh.model_dump(mode="json", exclude_defaults=True)
    site.config.write_text(yaml.safe_dump(site.settings))


def _try(site: Site, what: str, ssh) -> HostTrial:
    _reach(site, ssh)
    once = site.mqi("once")
    (case,) = site.status()
    outcome = outcome_of(what, case)
    check = site.mqi("check")
    return HostTrial(
        Outcome(what, outcome.text, outcome.advice, f"{outcome.end}; exit {once.returncode}"),
        once.returncode,
        check.returncode,
        check.stdout,
    )


@contextlib.contextmanager
def small_disks(*folders: Path) -> Iterator[bool]:
    """A file system of 256 MiB of its own on each folder; False where this account may not mount any."""
    mounted: list[Path] = []
    try:
        for folder in folders:
            folder.mkdir(exist_ok=True)
            argv = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(folder)]
            if os.getuid() != 0 or subprocess.run(argv, check=False, capture_output=True).returncode != 0:
                break
            mounted.append(folder)
        yield len(mounted) == len(folders)
    finally:
        for folder in mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all space of the disk of `folder`; delete the returned file to give it back."""
    filler = folder / ".filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free)
    return filler


def try_disks(site: Site) -> list[Outcome]:
    """Each disk full in turn under a running communicator; each time it continues automatically when there is space."""
    filler = fill(site.workspace)
    refused = site.mqi("once")
    filler.unlink()
    outcome = [Outcome("the store's disk full at the start", plain(refused.stderr), "", f"exit {refused.returncode}")]
    fillers = {step: fill(folder) for step, folder in (("upload", site.remote), ("deliver", site.results))}
    site.drop()
    daemon = site.daemon()
    try:
        for step, disk in (("upload", "the host's"), ("deliver", "the results'")):
            (case,) = site.wait_for(_asks_at(step), f"asks for space at {step}")
            outcome.append(outcome_of(f"{disk} disk full", case))
            fillers[step].unlink()
        (case,) = site.wait_for(lambda cases: cases[0]["status"] == "done", "continues automatically")
        outcome.append(outcome_of("the same case, with space again", case))
    finally:
        daemon.stop()
    return outcome


def _asks_at(step: str) -> Callable[[list[dict[str, object]]], bool]:
    return lambda cases: bool(cases) and cases[0]["step"] == step and bool(cases[0]["needs_person"])


def try_settings(site: Site) -> list[Outcome]:
    """The good configuration with one mistake each, as `mqi once` takes it."""
    good = site.config.read_text()
    outcome = []
    for what, text in _mistakes(good).items():
        if text is None:
            site.config.unlink()
        else:
            site.config.write_text(text)
        answer = site.mqi("once")
        outcome.append(Outcome(what, plain(answer.stderr), "", f"exit {answer.returncode}"))
    site.config.write_text(good)
    return outcome


def _mistakes(good: str) -> dict[str, str | None]:
    return {
        "a typo in a key": good.replace("histories_per_beam:", "histories_per_beem:"),
        "a typo in a section": good.replace("paths:", "pahts:"),
        "a tab": good.replace("  jobs:", "\tjobs:"),
        "a wrong type": good.replace("  jobs: 2", "  jobs: many"),
        "a value out of bounds": good.replace("  jobs: 2", "  jobs: 0"),
        "a password": good.replace("ssh:", "ssh:\n  password: hunter2"),
        "a section twice": f"{good}resources: {{}}\n",
        "an empty file": "",
        "no such file": None,
    }
