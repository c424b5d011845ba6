"""GPUs of a host as its driver reports them (nvidia-smi). After a failed query they are unknown, never idle."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.compute.options import GpuOptions

_PART = re.compile(r"^mqi-(gpus|apps) (\d{1,3}) ([\w+/=]*)$", re.MULTILINE | re.ASCII)
_OURS = re.compile(r"^mqi-ours((?: \d{1,18})*)$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. None: the driver does not report the value."""

    index: str
    uuid: str
    total_mib: int | None
    used_mib: int | None
    percent: int | None = None  # utilisation
    celsius: int | None = None
    ours_mib: int = 0  # used by jobs of ours
    foreign: tuple[int, ...] = ()  # process ids of others

    @property
    def name(self) -> str:
        """The name used for leases and in CUDA_VISIBLE_DEVICES."""
        return self.uuid or self.index


@dataclass(frozen=True, slots=True)
class Inventory:
    """The GPUs of a host. If `trouble` is set, they are unknown for this reason and none may be used."""

    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""


def listed(options: GpuOptions) -> Inventory:
    """The GPUs that the configuration lists for a host without nvidia-smi: all of their memory counts as free."""
    return Inventory(tuple(Gpu(str(one.id), "", one.memory_mib, 0) for one in options.listed))


def read_inventory(response: RemoteResponse) -> Inventory:
    """The driver's report; unknown, with its error message, if any part of the response is missing or an error."""
    parts = {kind: (int(code), _text(text)) for kind, code, text in _PART.findall(response.out)}
    if "gpus" not in parts:
        return Inventory(trouble="the host does not report its GPUs")
    for kind in ("gpus", "apps"):
        code, text = parts.get(kind, (1, "no list of processes"))
        if code != 0:
            return Inventory(trouble=_first_line(text) or f"nvidia-smi exited with {code}")
    ours = _OURS.search(response.out)
    if ours is None:
        return Inventory(trouble="the host does not report which processes are ours")
    try:
        gpus = [_gpu(line) for line in parts["gpus"][1].splitlines() if line.strip()]
        apps = [_app(line) for line in parts["apps"][1].splitlines() if line.strip()]
    except ValueError as problem:
        return Inventory(trouble=f"unexpected output of nvidia-smi: {problem}")
    mine = {int(pid) for pid in ours[1].split()}
    return Inventory(tuple(_shared(gpu, apps, mine) for gpu in gpus))


def reason_unusable(gpu: Gpu, options: GpuOptions, need_mib: int) -> str:
    """Why one of our jobs must not start on this GPU now; "" if it may. Leases are not considered."""
    if options.only and gpu.index not in options.only and gpu.uuid not in options.only:
        return "is not listed in gpus.only"
    if gpu.used_mib is None or gpu.total_mib is None:
        return "does not report its memory"
    foreign = gpu.used_mib - gpu.ours_mib
    if foreign > options.foreign_mib:
        who = f" (process {gpu.foreign[0]})" if gpu.foreign else ""
        return f"is used by others{who}: {foreign} MiB"
    if not gpu.ours_mib and gpu.percent is not None and gpu.percent > options.foreign_percent:
        return f"is used by others: {gpu.percent} % busy"
    if options.hottest_celsius and gpu.celsius is not None and gpu.celsius > options.hottest_celsius:
        return f"is too hot: {gpu.celsius} degrees"
    if gpu.total_mib - foreign < need_mib:
        return f"has {gpu.total_mib - foreign} MiB free for us; {need_mib} MiB are needed"
    return ""


def fit(inventory: Inventory, options: GpuOptions, need_mib: int) -> tuple[str, ...]:
    """The names of the GPUs on which one of our jobs may start. Leases are not considered."""
    return tuple(gpu.name for gpu in inventory.gpus if not reason_unusable(gpu, options, need_mib))


def describe(inventory: Inventory, options: GpuOptions, need_mib: int, leases: Mapping[str, str]) -> list[str]:
    """One sentence per GPU: which beam it computes, or why it is not used. `leases`: GPU -> beam that uses it."""
    if inventory.trouble:
        return [f"its GPUs are unknown: {inventory.trouble}"]
    sentences = []
    for gpu in inventory.gpus:
        if gpu.name in leases:
            sentences.append(f"GPU {gpu.index} computes {leases[gpu.name]}")
        elif why := reason_unusable(gpu, options, need_mib):
            sentences.append(f"GPU {gpu.index} {why}")
    return sentences


def _shared(gpu: Gpu, apps: Sequence[tuple[str, int, int | None]], mine: set[int]) -> Gpu:
    here = [(pid, mib) for uuid, pid, mib in apps if uuid == gpu.uuid]
    ours = sum(mib or 0 for pid, mib in here if pid in mine)
    return replace(gpu, ours_mib=ours, foreign=tuple(pid for pid, _ in here if pid not in mine))


def _gpu(line: str) -> Gpu:
    words = [word.strip() for word in line.split(",")]
    if len(words) != 6 or not words[0].isdigit() or not re.fullmatch(r"[A-Za-z0-9-]+", words[1]):  # noqa: PLR2004 - the fields of the query
        raise ValueError(line[:80])
    total, used, percent, celsius = (_number(word) for word in words[2:])
    return Gpu(words[0], words[1], total, used, percent, celsius)


def _app(line: str) -> tuple[str, int, int | None]:
    words = [word.strip() for word in line.split(",")]
    if len(words) != 3 or not words[1].isdigit():  # noqa: PLR2004 - the fields of the query
        raise ValueError(line[:80])
    return words[0], int(words[1]), _number(words[2])


def _number(word: str) -> int | None:
    """A whole number; None for [N/A], [Not Supported] and the like."""
    return int(word) if re.fullmatch(r"\d{1,18}", word, re.ASCII) else None


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _first_line(text: str) -> str:
    return next((line.strip()[:120] for line in text.splitlines() if line.strip()), "")
