"""Classify errors of ssh and rsync as faults: by the text on stderr first, by the exit code last.

Exit codes alone are ambiguous: a refused port gives 255 or 12, a missing remote rsync 12 or 127.
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
LOCK_HELD = "mqi-lock-held"  # our receiver writes this to stderr when another receiver holds the lock


@dataclass(frozen=True, slots=True)
class _ErrorPattern:
    pattern: str
    kind: type[Fault]
    reason: str  # a template with {host} and {side}
    advice: str


_SSH = (
    _ErrorPattern(
        r"mqi-other-edition",
        RemoteUnfit,
        "the script installed on {host} belongs to another version of MQI Communicator",
        "Ask the host's administrator to install the script that `mqi host-script` prints.",
    ),
    _ErrorPattern(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|host key .* (has changed|differs)|revoked host key",
        HostKeyProblem,
        "host key mismatch for {host}",
        "Ask its administrator whether the key was changed. Only then replace its line in known_hosts.",
    ),
    _ErrorPattern(
        r"Host key verification failed|No \S+ host key is known",
        HostKeyProblem,
        "the host key of {host} is not in known_hosts",
        "Get the host's public key from its administrator and add it to the known_hosts file.",
    ),
    _ErrorPattern(
        r"UNPROTECTED PRIVATE KEY|[Bb]ad permissions: ignore key|Permissions .* are too open",
        KeyRejected,
        "other users can read the private key for {host}, so ssh ignores it",
        "Run chmod 600 on the key file.",
    ),
    _ErrorPattern(
        r"password has expired|[Pp]assword change required|account (has )?expired",
        KeyRejected,
        "the account on {host} has expired or requires a new password",
        "Ask the host's administrator to renew the account.",
    ),
    _ErrorPattern(
        r"Permission denied \([a-z]|Too many authentication failures|no more authentication methods",
        KeyRejected,
        "{host} rejected the SSH key",
        "Check user and identity_file, that the key has no passphrase, and that authorized_keys on the host lists it.",
    ),
    _ErrorPattern(
        r"no matching (host key|cipher|key exchange|MAC)|Unable to negotiate",
        RemoteUnfit,
        "{host} and this machine have no SSH algorithm in common",
        "Update the older of the two, or set the algorithm in the ssh configuration.",
    ),
    _ErrorPattern(
        r"Bad configuration option|Bad owner or permissions on|\d+ bad configuration|Can't open user config",
        ActionRequired,
        "the local ssh configuration is not usable",
        "Run `ssh -G HOST` as the communicator's user and fix what it reports.",
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
        "The machine is up, but sshd is not running, or the port is wrong.",
    ),
    _ErrorPattern(
        r"timed out|not responding|No route to host|Network is unreachable|Host is down",
        Unreachable,
        "{host} does not answer",
        "Check that it is running and that the network reaches it.",
    ),
    _ErrorPattern(
        r"[Cc]onnection (reset|closed)|[Bb]roken pipe|kex_exchange|Connection to .* closed|MAC|[Cc]onnection corrupted",
        Unreachable,
        "the connection to {host} was lost",
        "",
    ),
)

_RSYNC = (
    _ErrorPattern(
        r"mqi-refused",
        RemoteUnfit,
        "the script installed on {host} refused a transfer",
        "paths.remote must be the folder given to --only there; docs/protocol.md lists the accepted rsync options.",
    ),
    _ErrorPattern(
        r"mqi-trouble (no-workspace|not-ours)",
        RemoteUnfit,
        "the workspace on {host} is missing or not in its expected state",
        "Inspect it by hand; nothing was changed.",
    ),
    _ErrorPattern(LOCK_HELD, Transient, "another upload is still writing on {host}", ""),
    _ErrorPattern(
        r"No space left on device|[Dd]isk quota exceeded|File too large",
        DiskFull,
        "no space left on {side}",
        "Free space or raise the quota; the transfer then continues automatically.",
    ),
    _ErrorPattern(
        r"is your shell clean|protocol version mismatch",
        RemoteUnfit,
        "the login shell of {host} prints text that breaks transfers",
        "Make ~/.bashrc on the host print nothing in non-interactive shells.",
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
        "the workspace on {side} is missing or not writable",
        "Check that it is mounted and belongs to the account, then run `mqi check`.",
    ),
    _ErrorPattern(
        r"link_stat .* failed: No such file|change_dir .* failed: No such file",
        Transient,
        "a file to be copied does not exist",
        "",
    ),
)

_TRANSPORT_CODES = (10, 12, 30, 35, 255)


def ssh_fault(err: str, host: str) -> Fault:
    """Return the fault behind a failed connection, from ssh's stderr; Unreachable if no pattern matches."""
    return _first(_SSH, err, host=host, side=host) or Unreachable(f"no connection to {host}: {_last_line(err)}")


def rsync_fault(code: int, err: str, host: str, *, side: str, largest: int = 0) -> Fault:
    """Return the fault behind a failed transfer. `side` is the machine that was written to; `largest` is the size
    limit of fetched files in bytes, 0 for an upload."""
    if largest and _TOO_LARGE in err:
        return AbsurdAnswer(
            f"a file fetched from {host} is larger than announced: more than {largest} bytes",
            "Find out what writes to the run's folder on the host.",
        )
    known = _first(_RSYNC, err, host=host, side=side) or _first(_SSH, err, host=host, side=side)
    if known is not None:
        return known
    if code in _TRANSPORT_CODES:
        return Unreachable(f"a transfer with {host} was interrupted (rsync exit code {code}): {_last_line(err)}")
    return Transient(f"a transfer with {host} failed (rsync exit code {code}): {_last_line(err)}")


def _first(patterns: tuple[_ErrorPattern, ...], err: str, *, host: str, side: str) -> Fault | None:
    for known in patterns:
        if re.search(known.pattern, err):
            return known.kind(known.reason.format(host=host, side=side), known.advice)
    return None


def _last_line(err: str) -> str:
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no error message"
