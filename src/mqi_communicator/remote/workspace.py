"""The workspace on a host: what to ask for, and how to read what is answered. Pure: `Host.ask` carries it there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mqi_communicator.case.request import RemoteRequest, RemoteResponse, trouble

SUMS = "SHA256SUMS"  # in an upload's folder, made by `sums_text`
_SPACE = re.compile(r"^mqi-space (\d{1,20}) (\d{1,20}) (\d{1,20}) (\d{1,20})$", re.MULTILINE | re.ASCII)
_QUOTA = re.compile(r"^mqi-quota (\d{1,20}|none) (\d{1,20}|none)$", re.MULTILINE | re.ASCII)
_RUN = re.compile(r"^mqi-run ([A-Za-z0-9_]+-b\d+-r\d+)$", re.MULTILINE)
_LEFT = re.compile(r"^mqi-left ([A-Za-z0-9_]+) (\d{1,6})$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """What is free below the workspace, for us: the lesser of the disk and of the account's quota."""

    free_bytes: int
    free_inodes: int | None  # None where nobody counts them
    bound_by: str = "the disk"


def sums_text(digests: Mapping[str, str]) -> bytes:
    """The SHA256SUMS file of an upload: relative path -> sha256 in hex. ValueError for a path that needs escapes."""
    for path in digests:
        if re.search(r"[\\\n\r]|^/|(^|/)\.\.(/|$)", path) or path == SUMS:
            raise ValueError(f"not a name for an input file: {path!r}")
    return "".join(f"{digest}  ./{path}\n" for path, digest in sorted(digests.items())).encode()


def workspace(root: str) -> RemoteRequest:
    """Make ROOT and its folders, mode 0700, and prove that they can be written and are ours."""
    return RemoteRequest("workspace", (_root(root),))


def read_workspace(response: RemoteResponse) -> None:
    """Return if the workspace stands; DiskFull or RemoteUnfit."""
    _require_success(response, "making the workspace")


def settled(root: str, key: str, digest: str) -> RemoteRequest:
    """Ask whether the case's input is in place already. `digest` is the sha256 of its SHA256SUMS."""
    return RemoteRequest("settled", (_root(root), _key(key), _digest(digest)))


def read_settled(response: RemoteResponse) -> bool:
    """True if the input is in place, False if not. Permanent if other content is there under this key; RemoteUnfit."""
    _require_success(response, "looking for the case")
    return response.out.strip() == "mqi-settled yes"


def settle(root: str, key: str, digest: str) -> RemoteRequest:
    """Verify an upload under its lock and rename it into place; nothing to do if that has been done.

    `digest` is the sha256 of its SHA256SUMS. A file that does not match is removed, so that another send mends it.
    """
    return RemoteRequest("settle", (_root(root), _key(key), _digest(digest)))


def read_settle(response: RemoteResponse) -> None:
    """Return if the input is in place. Transient if the upload is not whole (send again: what was bad is gone) or
    still written to; Permanent if other content is in place under this key; DiskFull, RemoteUnfit."""
    _require_success(response, "verifying the upload")


def remove(root: str, key: str) -> RemoteRequest:
    """Remove everything of a case: input, runs, staging, and last its gates. Follows no link, leaves ROOT never."""
    return RemoteRequest("remove", (_root(root), _key(key)))


def read_removed(response: RemoteResponse) -> None:
    """Return if nothing of the case is left. Transient while a receiver writes; RemoteUnfit."""
    _require_success(response, "removing the case")


def space(root: str) -> RemoteRequest:
    """Ask what is free below ROOT."""
    return RemoteRequest("space", (_root(root),))


def read_space(response: RemoteResponse) -> FreeSpace:
    """Free bytes and inodes, by disk and quota. RemoteUnfit if the workspace is missing."""
    _require_success(response, "asking for free space")
    found = _SPACE.search(response.out)
    if found is None:
        raise trouble(response, "asking for free space")
    blocks, size, inodes, all_inodes = (int(word) for word in found.groups())
    free = FreeSpace(blocks * size, inodes if all_inodes else None)
    for kib, files in _QUOTA.findall(response.out):
        free = _less(free, kib, files)
    return free


def left(root: str) -> RemoteRequest:
    """Ask which cases lie in the workspace."""
    return RemoteRequest("left", (_root(root),))


def read_left(response: RemoteResponse) -> dict[str, int]:
    """Age in days of each case that lies there, by key."""
    _require_success(response, "listing the workspace")
    return {key: int(days) for key, days in _LEFT.findall(response.out)}


def runs(root: str, key: str) -> RemoteRequest:
    """Ask which jobs of a case were ever begun or handed over there, whatever the store remembers."""
    return RemoteRequest("runs", (_root(root), _key(key)))


def read_runs(response: RemoteResponse) -> list[str]:
    """Their tokens."""
    _require_success(response, "listing the case's jobs")
    return sorted(set(_RUN.findall(response.out)))


def _less(free: FreeSpace, kib: str, files: str) -> FreeSpace:
    if kib != "none" and int(kib) * 1024 < free.free_bytes:
        free = FreeSpace(int(kib) * 1024, free.free_inodes, "the account's quota")
    if files != "none" and (free.free_inodes is None or int(files) < free.free_inodes):
        free = FreeSpace(free.free_bytes, int(files), free.bound_by)
    return free


def _require_success(response: RemoteResponse, what: str) -> None:
    if response.exit_code != 0:
        raise trouble(response, what)


def _root(root: str) -> str:
    if not root.startswith("/") or not root.strip("/"):
        raise ValueError(f"the workspace is an absolute path below /: {root!r}")
    return root.rstrip("/")


def _key(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}", key):
        raise ValueError("a case key has letters and digits only")
    return key


def _digest(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("a sha256 has 64 hex digits")
    return digest
