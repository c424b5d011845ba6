"""A job as it is sent to a host: lines of tab-separated fields, which the script there validates and runs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mqi_communicator.case.work import Program, Work

_TOKEN = re.compile(r"([A-Za-z0-9][A-Za-z0-9_]{0,63})-b[0-9]{1,6}-r[0-9]{1,6}")
_GPU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


@dataclass(frozen=True, slots=True)
class GpuHold:
    """The GPUs of one job, by UUID or index, and the conditions that are checked when it starts.

    `look`: whether the driver is queried first. On each GPU `need_mib` of memory must be free, and others may use at
    most `foreign_mib`.
    """

    ids: tuple[str, ...]
    look: bool = True
    need_mib: int = 0
    foreign_mib: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one beam, as submitted to a scheduler."""

    token: str  # WorkItem.token
    work: Work
    gpus: GpuHold | None = None


def case_of(token: str) -> str:
    """The case key in a token (WorkItem.token). ValueError for anything that is not a token."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(f"not a job token: {token!r}")
    return found[1]


def workspace_root(root: str) -> str:
    """The remote workspace without a trailing slash. ValueError unless it is absolute and below /."""
    if not root.startswith("/") or not root.strip("/") or "\0" in root or "\n" in root:
        raise ValueError(f"the workspace must be an absolute path below /: {root!r}")
    return root.rstrip("/")


def token_lines(tokens: tuple[str, ...]) -> bytes:
    """Tokens for a verb's stdin. ValueError for anything that is not a token."""
    for token in tokens:
        case_of(token)
    return "".join(f"{token}\n" for token in tokens).encode()


def spec_of(
    job: Job, root: str, *, kill_grace_s: float, limit_s: float | None = None, sbatch: Sequence[str] = ()
) -> bytes:
    """The job's specification. Its last line is `end`: a truncated specification is rejected.

    `limit_s` overrides the limit of `job.work`; `sbatch` are options of Slurm.
    """
    case_of(job.token)
    lines = [
        ("token", job.token),
        ("root", workspace_root(root)),
        ("limit", _seconds(job.work.limit_s if limit_s is None else limit_s)),
        ("grace", _seconds(kill_grace_s)),
        *(("sbatch", option) for option in sbatch),
        *_gpu_lines(job.gpus),
        *(("folder", name) for name in job.work.folders),
        *(("product", path) for path in job.work.products),
        *(line for program in job.work.programs for line in _program_lines(program)),
        *(("show", path) for path in job.work.shown),
        ("end",),
    ]
    return "".join("\t".join(words) + "\n" for words in lines).encode()


def _program_lines(program: Program) -> Iterator[tuple[str, ...]]:
    limit = "0" if program.limit_s is None else _seconds(program.limit_s)
    settings = tuple(f"{name}={value}" for name, value in program.env)
    yield ("program", program.name, limit, str(len(settings)), *settings, *program.argv)
    yield from (("output", path) for path in program.outputs)


def _gpu_lines(hold: GpuHold | None) -> Iterator[tuple[str, ...]]:
    if hold is None:
        return
    for name in hold.ids:
        if not _GPU.fullmatch(name):
            raise ValueError(f"not the name of a GPU: {name!r}")
        yield ("gpu", name)
    if hold.look:
        yield ("gpu-look", str(hold.need_mib), str(hold.foreign_mib))


def _seconds(value: float) -> str:
    """Whole seconds, at least one."""
    return str(max(1, math.ceil(value)))
