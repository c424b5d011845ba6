"""A question to a host: one verb of the script there, its words, what it reads on stdin; and the trouble it may tell.

The script stands in `remote/verbs`. A scheduler and the workspace's keeper say what to ask and read what comes back;
a host carries it there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mqi_communicator.case.faults import (
    ActionRequired,
    DiskFull,
    Fault,
    Permanent,
    RemoteUnfit,
    Transient,
    Unreachable,
)

_PLAIN = re.compile(r"[A-Za-z0-9_./:=,+@%~-]+")
_VERB = re.compile(r"[a-z_]+")
_TROUBLE = re.compile(r"^mqi-trouble ([a-z-]+)(?: (.*))?$", re.MULTILINE)
_DISK = {
    "No space left": "full",
    "quota exceeded": "full",
    "File too large": "full",
    "Read-only file system": "read-only",
}


@dataclass(frozen=True, slots=True)
class RemoteRequest:
    """One question. Its words are plain, so that no shell on the way can misread them. ValueError if they are not."""

    verb: str
    words: tuple[str, ...] = ()
    stdin: bytes = b""

    def __post_init__(self) -> None:
        """Refuse words that a shell would not hand on unchanged."""
        if not _VERB.fullmatch(self.verb) or not all(_PLAIN.fullmatch(word) for word in self.words):
            raise ValueError(f"not plain words for a host: {self.verb} {self.words!r}")


@dataclass(frozen=True, slots=True)
class RemoteResponse:
    """A question that was answered to its end."""

    exit_code: int
    out: str
    err: str = ""


class Stopped(ActionRequired):
    """An administrator of the host has put a STOP file down: nothing new is started there."""


class InputGone(Transient):
    """What was uploaded is no longer on the host: somebody, or the site's purge, removed it. It is sent again."""


class GpuInUse(Transient):
    """The GPU that was meant for a job cannot be had at this moment."""


_TROUBLES: dict[str, tuple[type[Fault], str, str]] = {
    "no-workspace": (
        RemoteUnfit,
        "the workspace on the host is missing or cannot be written",
        "Check that it is mounted and belongs to the account, then run `mqi check`.",
    ),
    "not-ours": (
        RemoteUnfit,
        "the workspace on the host is not as we made it",
        "Look at it by hand; nothing was changed.",
    ),
    "full": (DiskFull, "no space left on the host", "Free space or raise the quota; it goes on by itself."),
    "read-only": (
        ActionRequired,
        "the disk of the workspace on the host can only be read",
        "Ask the host's administrator; it goes on by itself when it can be written again.",
    ),
    "busy": (Transient, "another upload of this case is still writing on the host", ""),
    "mismatch": (Transient, "the upload is not whole", "It is sent again by itself."),
    "other": (Permanent, "the case's folder on the host holds something else", "Remove it by hand, or retry."),
    "not-written": (
        ActionRequired,
        "a folder in the workspace on the host cannot be written",
        "Check its owner and its modes.",
    ),
    "no-input": (InputGone, "the case's input is no longer on the host", "It is sent again by itself."),
    "stray": (Permanent, "the run's folder is on the host and its gate is not", "Retry the beam as a new run."),
    "not-begun": (Transient, "the job did not begin in time on the host", ""),
    "bad-word": (
        RemoteUnfit,
        "the script on the host does not take the question as it was asked",
        "paths.remote must be the folder that --only names in authorized_keys there (docs/hosts.md).",
    ),
    "bad-order": (
        ActionRequired,
        "the script on the host does not take the job's order",
        "docs/protocol.md has the form of each line; correct what the configuration says of the engine and its steps.",
    ),
    "sbatch-barred": (
        ActionRequired,
        "the host's administrator does not allow an option of Slurm",
        "Take it out of slurm.options, or let the administrator add it to the file named by --sbatch (docs/hosts.md).",
    ),
    "cut": (Transient, "the job's order did not arrive whole on the host", ""),
    "alive": (Transient, "processes of the job still live on the host", ""),
    "stopped": (
        Stopped,
        "an administrator has put a STOP file into the workspace on the host: nothing is started there",
        "Ask the host's administrator; it goes on by itself when the file is gone.",
    ),
    "slurm-host": (
        ActionRequired,
        "the host is one from which Slurm jobs are submitted; computing on it directly is refused",
        "Set the host's scheduler to slurm; or, if it may compute by itself, direct.on_slurm_host: true.",
    ),
    "slurm-silent": (
        Unreachable,
        "the host's Slurm does not answer",
        "Its controller may be down or restarting; it goes on by itself.",
    ),
    "slurm-refused": (
        ActionRequired,
        "Slurm refuses the job",
        "Correct the slurm section (partition, account, qos, gres, time), or ask the cluster's administrator.",
    ),
    "gpu-leased": (GpuInUse, "the GPU is still leased to another job", ""),
    "gpu-unknown": (GpuInUse, "the host's driver does not answer for the GPU", "Look at nvidia-smi on the host."),
    "gpu-used": (GpuInUse, "somebody else uses the GPU", ""),
    "gpu-small": (GpuInUse, "the GPU has not enough memory free", ""),
}


def trouble(answer: RemoteResponse, what: str) -> Fault:
    """What stood in the way of `what`, as a fault. Words of the host that nobody knows mean Transient."""
    found = _TROUBLE.findall(answer.out)
    word, detail = found[-1] if found else ("", "")
    for mark, meaning in _DISK.items():
        if mark in answer.err:
            word, detail = meaning, ""
    if word in _TROUBLES:
        kind, reason, advice = _TROUBLES[word]
        return kind(f"{reason}: {detail}" if detail else reason, advice)
    said = answer.err.strip().splitlines()
    told = f": {said[-1][:200]}" if said else ""
    return Transient(f"{what} failed on the host (exit {answer.exit_code}{f', {word}' if word else ''}){told}")
