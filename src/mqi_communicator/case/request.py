"""A request to a host: one verb of its script, the arguments and stdin; and the faults that the script may report.

The script is in `remote/verbs`. `compute` and `remote.workspace` build requests and read responses; a `Host` sends
them.
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
    """One request. Verb and arguments are plain, so that no shell can misread them; ValueError if they are not."""

    verb: str
    arguments: tuple[str, ...] = ()
    stdin: bytes = b""

    def __post_init__(self) -> None:
        """Reject arguments that a shell would not pass unchanged."""
        if not _VERB.fullmatch(self.verb) or not all(_PLAIN.fullmatch(word) for word in self.arguments):
            raise ValueError(f"not plain words for a host: {self.verb} {self.arguments!r}")


@dataclass(frozen=True, slots=True)
class RemoteResponse:
    """The complete response to a request."""

    exit_code: int
    out: str
    err: str = ""


class Stopped(ActionRequired):
    """An administrator of the host has created a STOP file: nothing new is started there."""


class InputGone(Transient):
    """The upload is no longer on the host: a user, or the site's purge, removed it. It is uploaded again."""


class OtherInput(Permanent):
    """The host holds another input of the case than ours."""


class GpuInUse(Transient):
    """The GPU selected for a job is not available at this moment."""


_TROUBLES: dict[str, tuple[type[Fault], str, str]] = {
    "no-workspace": (
        RemoteUnfit,
        "the workspace on the host is missing or not writable",
        "Check that it is mounted and belongs to the account, then run `mqi check`.",
    ),
    "not-ours": (
        RemoteUnfit,
        "the workspace on the host is not in its expected state",
        "Inspect it by hand; nothing was changed.",
    ),
    "full": (
        DiskFull,
        "no space left on the host",
        "Free space or raise the quota; work then continues automatically.",
    ),
    "read-only": (
        ActionRequired,
        "the disk of the workspace on the host is read-only",
        "Ask the host's administrator; work continues automatically when the disk is writable again.",
    ),
    "busy": (Transient, "another upload of this case is still writing on the host", ""),
    "mismatch": (Transient, "the upload is incomplete", "It is uploaded again automatically."),
    "other": (OtherInput, "the case's folder on the host has other content", "Remove it by hand, or retry."),
    "not-written": (
        ActionRequired,
        "a folder in the workspace on the host is not writable",
        "Check its owner and permissions.",
    ),
    "no-input": (InputGone, "the case's input is no longer on the host", "It is uploaded again automatically."),
    "stray": (Permanent, "the run's folder exists on the host, but its gate does not", "Retry the beam as a new run."),
    "not-begun": (Transient, "the job did not start in time on the host", ""),
    "bad-word": (
        RemoteUnfit,
        "the script on the host rejected a request",
        "paths.remote must be the folder given to --only in authorized_keys on the host (docs/hosts.md).",
    ),
    "bad-order": (
        ActionRequired,
        "the script on the host rejected the job's specification",
        "docs/protocol.md defines each line; correct the configuration of the engine and its steps.",
    ),
    "sbatch-barred": (
        ActionRequired,
        "the host's administrator does not allow an option of sbatch",
        "Remove it from slurm.options, or ask the administrator to add it to the --sbatch file (docs/hosts.md).",
    ),
    "cut": (Transient, "the job's specification arrived truncated on the host", ""),
    "alive": (Transient, "processes of the job are still alive on the host", ""),
    "stopped": (
        Stopped,
        "the workspace on the host contains an administrator's STOP file: nothing is started there",
        "Ask the host's administrator; work continues automatically when the file is removed.",
    ),
    "slurm-host": (
        ActionRequired,
        "Slurm jobs are submitted from this host, so computing on it directly is refused",
        "Set the host's scheduler to slurm; or, if it may run jobs itself, set direct.on_slurm_host: true.",
    ),
    "slurm-silent": (
        Unreachable,
        "Slurm does not answer on the host",
        "Its controller may be down or restarting; work continues automatically when it is back.",
    ),
    "slurm-refused": (
        ActionRequired,
        "Slurm refuses the job",
        "Correct the slurm section (partition, account, qos, gres, time), or ask the cluster's administrator.",
    ),
    "gpu-leased": (GpuInUse, "the GPU is still leased to another job", ""),
    "gpu-unknown": (GpuInUse, "the host's driver does not answer for the GPU", "Check nvidia-smi on the host."),
    "gpu-used": (GpuInUse, "the GPU is used by others", ""),
    "gpu-small": (GpuInUse, "the GPU does not have enough free memory", ""),
}


def trouble(response: RemoteResponse, what: str) -> Fault:
    """The fault that the response of a failed `what` reports; Transient if the host reports something unknown."""
    found = _TROUBLE.findall(response.out)
    word, detail = found[-1] if found else ("", "")
    for mark, meaning in _DISK.items():
        if mark in response.err:
            word, detail = meaning, ""
    if word in _TROUBLES:
        kind, reason, advice = _TROUBLES[word]
        return kind(f"{reason}: {detail}" if detail else reason, advice)
    stderr = response.err.strip().splitlines()
    text = f": {stderr[-1][:200]}" if stderr else ""
    return Transient(f"{what} failed on the host (exit {response.exit_code}{f', {word}' if word else ''}){text}")
