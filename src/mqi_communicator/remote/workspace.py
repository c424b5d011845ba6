"""The workspace on a host: one function builds the request of each verb, `read_*` reads the response. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mqi_communicator.case.request import RemoteRequest, RemoteResponse, trouble

SUMS = "SHA256SUMS"  # in the folder of an upload; `sums_text` makes it
_SPACE = re.compile(r"^mqi-space (\d{1,20}) (\d{1,20}) (\d{1,20}) (\d{1,20})$", re.MULTILINE | re.ASCII)
_QUOTA = re.compile(r"^mqi-quota (\d{1,20}|none) (\d{1,20}|none)$", re.MULTILINE | re.ASCII)
_RUN = re.compile(r"^mqi-run ([A-Za-z0-9_]+-b\d+-r\d+)$", re.MULTILINE)
_LEFT = re.compile(r"^mqi-left ([A-Za-z0-9_]+) (\d{1,6})$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """What the workspace has free for us: the smaller of disk space and account quota."""

    free_bytes: int
    free_inodes: int | None  # None if the file system does not count them
    bound_by: str = "the disk"


def sums_text(digests: Mapping[str, str]) -> bytes:
    """The SHA256SUMS file of an upload: relative path -> sha256 in hex. ValueError for a path that needs escapes."""
    for path in digests:
        if re.search(r"[\\\n\r]|^/|(^|/)\.\.(/|$)", path) or path == SUMS:
            raise ValueError(f"not a valid name of an input file: {path!r}")
    return "".join(f"{digest}  ./{path}\n" for path, digest in sorted(digests.items())).encode()


def workspace(root: str) -> RemoteRequest:
    """Create ROOT and its folders, mode 0700, and check that they are writable and ours."""
    return RemoteRequest("workspace", (_root(root),))


def read_workspace(response: RemoteResponse) -> None:
    """Return if the workspace exists and is usable; DiskFull or RemoteUnfit."""
    _require_success(response, "creating the workspace")


def settled(root: str, key: str, digest: str) -> RemoteRequest:
    """Ask whether the case's input is in place already. `digest` is the sha256 of its SHA256SUMS."""
    return RemoteRequest("settled", (_root(root), _key(key), _digest(digest)))


def read_settled(response: RemoteResponse) -> bool:
    """True if the input is in place. Permanent if other content is stored under this key; RemoteUnfit."""
    _require_success(response, "checking the case's input")
    return response.out.strip() == "mqi-settled yes"


def settle(root: str, key: str, digest: str) -> RemoteRequest:
    """Verify an upload under its lock and rename it into place; nothing to do if that has been done.

    `digest` is the sha256 of its SHA256SUMS. A file that does not match is removed, and the next upload replaces it.
    """
    return RemoteRequest("settle", (_root(root), _key(key), _digest(digest)))


def read_settle(response: RemoteResponse) -> None:
    """Return if the input is in place. Transient if the upload is incomplete (send it again; bad files were removed) or
    still being written; Permanent if other content is stored under this key; DiskFull, RemoteUnfit."""
    _require_success(response, "verifying the upload")


def remove(root: str, key: str) -> RemoteRequest:
    """Remove everything of a case: input, runs, staging, and last its gates. Follows no links and stays inside ROOT."""
    return RemoteRequest("remove", (_root(root), _key(key)))


def read_removed(response: RemoteResponse) -> None:
    """Return if nothing of the case is left. Transient while a receiver writes; RemoteUnfit."""
    _require_success(response, "removing the case")


def space(root: str) -> RemoteRequest:
    """Ask for the free space of ROOT."""
    return RemoteRequest("space", (_root(root),))


def read_space(response: RemoteResponse) -> FreeSpace:
    """Free bytes and inodes, by disk and quota. RemoteUnfit if the workspace is missing."""
    _require_success(response, "determining free space")
    found = _SPACE.search(response.out)
    if found is None:
        raise trouble(response, "determining free space")
    blocks, size, inodes, all_inodes = (int(word) for word in found.groups())
    free = FreeSpace(blocks * size, inodes if all_inodes else None)
    for kib, files in _QUOTA.findall(response.out):
        free = _less(free, kib, files)
    return free


def left(root: str) -> RemoteRequest:
    """Ask which cases are stored in the workspace."""
    return RemoteRequest("left", (_root(root),))


def read_left(response: RemoteResponse) -> dict[str, int]:
    """Age in days of each stored case, by key."""
    _require_success(response, "listing the workspace")
    return {key: int(days) for key, days in _LEFT.findall(response.out)}


def runs(root: str, key: str) -> RemoteRequest:
    """Ask which jobs of a case were ever started or submitted on the host, whatever the store has recorded."""
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
        raise ValueError(f"the workspace must be an absolute path below /: {root!r}")
    return root.rstrip("/")


def _key(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}", key):
        raise ValueError("a case key consists of letters and digits")
    return key


def _digest(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("a sha256 has 64 hex digits")
    return digest
