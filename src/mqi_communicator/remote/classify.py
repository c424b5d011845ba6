"""What ssh and rsync say, sorted into faults: their words first, the exit code last.

The codes alone are ambiguous: a refused port was seen as 255 and as 12, a missing remote rsync as 12 and as 127.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mqi_communicator.case.faults import (
    AbsurdAnswer,
    ActionRequired,
    DiskFull,
    Fault,
    HostKeyProblem,
    KeyRejected,
    RemoteUnfit,
    Transient,
    Unreachable,
)

_TOO_LARGE = "File too large"  # EFBIG
LOCK_HELD = "mqi-lock-held"  # said on stderr by our own receiver when another one holds the lock


@dataclass(frozen=True, slots=True)
class _ErrorPattern:
    pattern: str
    kind: type[Fault]
    reason: str  # "{host}" is filled in
    advice: str


_SSH = (
    _ErrorPattern(
        r"mqi-other-edition",
        RemoteUnfit,
        "the script installed on {host} is of another version of MQI Communicator",
        "Let the host's administrator install the one that `mqi host-script` prints.",
    ),
    _ErrorPattern(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* (has changed|differs)|revoked host key",
        HostKeyProblem,
        "{host} shows another host key than the pinned one",
        "Ask its administrator whether the key was really changed; only then replace the line in known_hosts.",
    ),
    _ErrorPattern(
        r"Host key verification failed|No \S+ host key is known",
        HostKeyProblem,
        "the host key of {host} is not known here",
        "Get the host's public key from its administrator and add it to the known_hosts file.",
    ),
    _ErrorPattern(
        r"UNPROTECTED PRIVATE KEY|[Bb]ad permissions: ignore key|Permissions .* are too open",
        KeyRejected,
        "the private key for {host} can be read by others, so ssh does not use it",
        "chmod 600 the key file.",
    ),
    _ErrorPattern(
        r"password has expired|[Pp]assword change required|account (has )?expired",
        KeyRejected,
        "the account on {host} has expired or wants a new password",
        "Ask the administrator of the host to renew the account.",
    ),
    _ErrorPattern(
        r"Permission denied \([a-z]|Too many authentication failures|no more authentication methods",
        KeyRejected,
        "{host} refused our key",
        "Check user and identity_file, that the key has no passphrase, and that authorized_keys there still lists it.",
    ),
    _ErrorPattern(
        r"no matching (host key|cipher|key exchange|MAC)|Unable to negotiate",
        RemoteUnfit,
        "{host} and this machine share no ssh algorithm",
        "Update the older side, or set the algorithm in the ssh configuration.",
    ),
    _ErrorPattern(
        r"Bad configuration option|Bad owner or permissions on|\d+ bad configuration|Can't open user config",
        ActionRequired,
        "the ssh configuration here cannot be used",
        "Try `ssh -G HOST` as the communicator's user and mend what it names.",
    ),
    _ErrorPattern(
        r"Could not resolve hostname|Name or service not known|Temporary failure in name resolution",
        Unreachable,
        "the name of {host} cannot be resolved",
        "Check the host name and the name server.",
    ),
    _ErrorPattern(
        r"Connection refused",
        Unreachable,
        "{host} refuses connections",
        "The machine is up and its sshd is not, or the port is wrong.",
    ),
    _ErrorPattern(
        r"timed out|not responding|No route to host|Network is unreachable|Host is down",
        Unreachable,
        "{host} does not answer",
        "Check that it is up and the network to it.",
    ),
    _ErrorPattern(
        r"[Cc]onnection (reset|closed)|[Bb]roken pipe|kex_exchange|Connection to .* closed|MAC|[Cc]onnection corrupted",
        Unreachable,
        "the connection to {host} broke",
        "",
    ),
)

_RSYNC = (
    _ErrorPattern(
        r"mqi-refused",
        RemoteUnfit,
        "the script installed on {host} does not take a transfer as it was asked for",
        "paths.remote must be the folder that --only names there; docs/protocol.md has the words that rsync may send.",
    ),
    _ErrorPattern(
        r"mqi-trouble (no-workspace|not-ours)",
        RemoteUnfit,
        "the workspace on {host} is missing or not as we made it",
        "Look at it by hand; nothing was changed.",
    ),
    _ErrorPattern(LOCK_HELD, Transient, "another upload is still writing on {host}", ""),
    _ErrorPattern(
        r"No space left on device|[Dd]isk quota exceeded|File too large",
        DiskFull,
        "no space left on {side}",
        "Free space or raise the quota; the transfer goes on by itself.",
    ),
    _ErrorPattern(
        r"is your shell clean|protocol version mismatch",
        RemoteUnfit,
        "the login shell of {host} prints text that breaks transfers",
        "Let ~/.bashrc there print nothing when it is not interactive.",
    ),
    _ErrorPattern(
        r"rsync: (command )?not found|rsync: No such file|exec rsync|failed to execute rsync|rsync': No such file",
        RemoteUnfit,
        "{host} has no rsync",
        "Install rsync on the host.",
    ),
    _ErrorPattern(
        r"flock: (command )?not found|flock': No such file",
        RemoteUnfit,
        "{host} has no flock",
        "Install util-linux on the host.",
    ),
    _ErrorPattern(
        r"cannot open lock file|mkdir .* failed: (No such file|Permission denied)|Read-only file system"
        r"|mkstemp .* failed: Permission denied|cannot create|Not a directory",
        RemoteUnfit,
        "the workspace on {side} is missing or cannot be written",
        "Check that it is mounted and owned by the account, then run `mqi check`.",
    ),
    _ErrorPattern(
        r"link_stat .* failed: No such file|change_dir .* failed: No such file",
        Transient,
        "a file to be copied is not there",
        "",
    ),
)

_TRANSPORT_CODES = (10, 12, 30, 35, 255)


def ssh_fault(err: str, host: str) -> Fault:
    """What stopped a connection, from what ssh said. Words that nobody knows mean Unreachable."""
    return _first(_SSH, err, host=host, side=host) or Unreachable(f"no connection to {host}: {_last_line(err)}")


def rsync_fault(code: int, err: str, host: str, *, side: str, largest: int = 0) -> Fault:
    """What stopped a transfer. `side` names the machine that was written to; `largest`: how many bytes a file that was
    fetched may have, 0 where nothing was fetched."""
    if largest and _TOO_LARGE in err:
        return AbsurdAnswer(
            f"a file that {host} was asked for is larger than it was announced, more than {largest} bytes",
            "See what writes in the run's folder on the host.",
        )
    known = _first(_RSYNC, err, host=host, side=side) or _first(_SSH, err, host=host, side=side)
    if known is not None:
        return known
    if code in _TRANSPORT_CODES:
        return Unreachable(f"a transfer with {host} broke off (rsync {code}): {_last_line(err)}")
    return Transient(f"a transfer with {host} failed (rsync {code}): {_last_line(err)}")


def _first(patterns: tuple[_ErrorPattern, ...], err: str, *, host: str, side: str) -> Fault | None:
    for known in patterns:
        if re.search(known.pattern, err):
            return known.kind(known.reason.format(host=host, side=side), known.advice)
    return None


def _last_line(err: str) -> str:
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it gave no reason"
