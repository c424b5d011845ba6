"""The workspace on a host, as shell text and readers of its answers. Pure: `Host.run` runs it.

Names below ROOT are in compute.scheduler. Every script may be run again after a lost answer.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from mqi_communicator.case.faults import DiskFull, Fault, Permanent, RemoteUnfit, Transient
from mqi_communicator.remote.host import Finished
from mqi_communicator.remote.rsync import PARTIAL

SUMS = "SHA256SUMS"  # in an upload's folder, made by `sums_text`

NEEDS: tuple[tuple[str, str], ...] = (
    ("command -v rsync >/dev/null", "Install rsync on the host."),
    ("command -v flock >/dev/null && command -v setsid >/dev/null", "Install util-linux on the host."),
    ("printf x | sha256sum >/dev/null && timeout 5 true && stat -c %s / >/dev/null", "Install coreutils on the host."),
    ("find / -maxdepth 0 -type d >/dev/null", "Install findutils on the host."),
)

_BUSY, _MISMATCH, _OTHER, _NO_WORKSPACE, _NOT_THERE, _NOT_OURS = 71, 72, 73, 74, 76, 77


@dataclass(frozen=True, slots=True)
class Space:
    """What is free below the workspace, for us."""

    free_bytes: int
    free_inodes: int | None  # None where the file system does not count them


def staging_folder(root: str, key: str) -> str:
    """Where an upload of the case is written."""
    return f"{_root(root)}/staging/{_key(key)}"


def staging_lock(root: str, key: str) -> str:
    """The lock its receiver holds."""
    return staging_folder(root, key) + ".lock"


def sums_text(digests: Mapping[str, str]) -> bytes:
    """The SHA256SUMS file of an upload: relative path -> sha256 in hex. ValueError for a path that needs escapes."""
    for path in digests:
        if re.search(r"[\\\n\r]|^/|(^|/)\.\.(/|$)", path) or path == SUMS:
            raise ValueError(f"not a name for an input file: {path!r}")
    return "".join(f"{digest}  ./{path}\n" for path, digest in sorted(digests.items())).encode()


def workspace(root: str) -> str:
    """Make ROOT and its folders, mode 0700, and prove that they can be written and are ours."""
    return f"""umask 077
root={_quoted(root)}
mkdir -p -- "$root" || exit {_NO_WORKSPACE}
for d in staging cases gates; do
  if [ -L "$root/$d" ]; then echo "$d is a link" >&2; exit {_NOT_OURS}; fi
  mkdir -p -- "$root/$d" || exit {_NO_WORKSPACE}
done
[ -O "$root" ] || {{ echo "it belongs to another account" >&2; exit {_NOT_OURS}; }}
chmod 700 -- "$root" "$root/staging" "$root/cases" "$root/gates" || exit {_NOT_OURS}
t="$root/staging/.probe.$$"
printf 'x\\n' > "$t" || {{
  rm -f -- "$t"; [ "$(stat -f -c %a -- "$root")" -gt 0 ] || echo "No space left" >&2; exit {_NO_WORKSPACE}; }}
rm -f -- "$t"
"""


def read_workspace(answer: Finished) -> None:
    """Return if the workspace stands; DiskFull or RemoteUnfit."""
    if answer.exit_code != 0:
        raise _fault(answer)


def settled(root: str, key: str, digest: str) -> str:
    """Ask whether the case's input is in place already. `digest` is the sha256 of its SHA256SUMS."""
    return f"""{_places(root, key)}
[ -d "$root/cases" ] || exit {_NO_WORKSPACE}
{_look(digest)}
exit {_NOT_THERE}
"""


def settle(root: str, key: str, digest: str) -> str:
    """Verify an upload under its lock and rename it into place; nothing to do if that has been done.

    `digest` is the sha256 of its SHA256SUMS. A file that does not match is removed, so that another send mends it.
    """
    return f"""{_places(root, key)}
[ -d "$root/staging" ] && [ -d "$root/cases" ] || exit {_NO_WORKSPACE}
exec 9>>"$stage.lock" || exit {_NO_WORKSPACE}
flock -n 9 || exit {_BUSY}
{_look(digest)}
[ -d "$stage" ] && [ ! -L "$stage" ] && cd -- "$stage" || exit {_MISMATCH}
[ "$(sha256sum < {SUMS})" = "{_digest(digest)}  -" ] || {{
  rm -f {SUMS}; echo "its list differs" >&2; exit {_MISMATCH}; }}
find . -depth -name {PARTIAL} -exec rm -rf -- {{}} +
odd=$(find . ! -type f ! -type d)
[ -z "$odd" ] || {{ echo "it holds what is not a file" >&2; exit {_MISMATCH}; }}
bad=$(sha256sum -c --strict --quiet {SUMS} 2>/dev/null) || {{
  printf '%s\n' "$bad" | while IFS= read -r line; do rm -f -- "${{line%: FAILED*}}"; done
  echo "files differ or are missing" >&2; exit {_MISMATCH}; }}
[ "$(find . -type f | wc -l)" -eq "$(($(sort -u {SUMS} | wc -l) + 1))" ] || {{
  echo "it holds files that nobody sent" >&2; exit {_MISMATCH}; }}
find . -type f -exec sync -- {{}} + || exit {_MISMATCH}
mkdir -p -- "$case" && cd / && mv -T -- "$stage" "$case/input" && sync -- "$case" || exit {_OTHER}
"""


def read_settle(answer: Finished) -> None:
    """Return if the input is in place. Transient if the upload is not whole (send again: what was bad is gone) or
    still written to; Permanent if other content is in place under this key; DiskFull, RemoteUnfit."""
    if answer.exit_code != 0:
        raise _fault(answer)


def read_settled(answer: Finished) -> bool:
    """True if the input is in place, False if not. Permanent if other content is there under this key; RemoteUnfit."""
    if answer.exit_code in (0, _NOT_THERE):
        return answer.exit_code == 0
    raise _fault(answer)


def remove(root: str, key: str) -> str:
    """Remove everything of a case: input, runs, staging, and last its gates. Follows no link, leaves ROOT never."""
    return f"""{_places(root, key)}
[ -d "$root/cases" ] && [ -d "$root/staging" ] || exit {_NO_WORKSPACE}
exec 9>>"$stage.lock" || exit {_NO_WORKSPACE}
flock -n 9 || exit {_BUSY}
for d in "$stage" "$case"; do
  if [ -L "$d" ]; then echo "a case's folder is a link" >&2; exit {_NOT_OURS}; fi
done
rm -rf --one-file-system -- "$case" "$stage" || exit {_OTHER}
rm -rf --one-file-system -- "$root/gates/$key-"* "$root/gates/.$key-"* "$stage.lock"
"""


def read_removed(answer: Finished) -> None:
    """Return if nothing of the case is left. Transient while a receiver writes; RemoteUnfit."""
    if answer.exit_code != 0:
        raise _fault(answer)


def space(root: str) -> str:
    """Ask what is free below ROOT."""
    return f"stat -f -c 'mqi-space %a %S %d %c' -- {_quoted(root)} || exit {_NO_WORKSPACE}\n"


def read_space(answer: Finished) -> Space:
    """Free bytes and inodes. RemoteUnfit if the workspace is missing."""
    found = re.fullmatch(r"mqi-space (\d+) (\d+) (\d+) (\d+)\s*", answer.out)
    if answer.exit_code != 0 or found is None:
        raise _fault(answer)
    blocks, size, free, all_inodes = (int(word) for word in found.groups())
    return Space(blocks * size, free if all_inodes else None)


def _places(root: str, key: str) -> str:
    return (
        f'umask 077\nroot={_quoted(root)}; key={_key(key)}\ncase="$root/cases/$key"; stage="$root/staging/$key"\n'
        f'[ ! -L "$case" ] || {{ echo "a case\'s folder is a link" >&2; exit {_NOT_OURS}; }}'
    )


def _look(digest: str) -> str:
    return f"""if [ -e "$case/input" ]; then
  [ "$(sha256sum < "$case/input/{SUMS}")" = "{_digest(digest)}  -" ] && exit 0
  exit {_OTHER}
fi"""


def _fault(answer: Finished) -> Fault:
    said = answer.err.strip().splitlines()
    words = f": {said[-1][:200]}" if said else ""
    if "No space left" in answer.err or "quota exceeded" in answer.err:
        return DiskFull("no space left on the host", "Free space or raise the quota; it goes on by itself.")
    if answer.exit_code == _BUSY:
        return Transient("another upload of this case is still writing on the host")
    if answer.exit_code == _MISMATCH:
        return Transient(f"the upload is not whole{words}", "It is sent again by itself.")
    if answer.exit_code == _NO_WORKSPACE:
        return RemoteUnfit(
            f"the workspace on the host is missing or cannot be written{words}",
            "Check that it is mounted and belongs to the account, then run `mqi check`.",
        )
    if answer.exit_code == _NOT_OURS:
        return RemoteUnfit(
            f"the workspace on the host is not as we made it{words}", "Look at it by hand; nothing was changed."
        )
    if answer.exit_code == _OTHER:
        return Permanent(f"the case's folder on the host holds something else{words}", "Remove it by hand, or retry.")
    return Transient(f"the workspace script failed on the host (exit {answer.exit_code}){words}")


def _root(root: str) -> str:
    if not root.startswith("/") or "\0" in root or "\n" in root or not root.strip("/"):
        raise ValueError(f"the workspace is an absolute path below /: {root!r}")
    return root.rstrip("/")


def _quoted(root: str) -> str:
    return shlex.quote(_root(root))


def _key(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_]{0,63}", key):
        raise ValueError("a case key has letters and digits only")
    return key


def _digest(digest: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("a sha256 has 64 hex digits")
    return digest
