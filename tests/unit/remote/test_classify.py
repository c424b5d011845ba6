"""Recorded messages of ssh and rsync, and the faults that they give."""

from __future__ import annotations

import pytest

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
from mqi_communicator.remote.classify import LOCK_HELD, rsync_fault, ssh_fault

pytestmark = pytest.mark.pure

CHANGED = (
    "@@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
    "Host key for [127.0.0.1]:2222 has changed and you have requested strict checking.\nHost key verification failed.\n"
)
CONFIG = "/home/a/.ssh/config: line 3: Bad configuration option: prot\n/home/a/.ssh/config: terminating, 1 bad config"

SSH = [
    (CHANGED, HostKeyProblem, "host key mismatch"),
    (
        "No ED25519 host key is known for h and you have requested strict checking.",
        HostKeyProblem,
        "not in known_hosts",
    ),
    ("Host key verification failed.", HostKeyProblem, "not in known_hosts"),
    ("me@h: Permission denied (publickey).", KeyRejected, "rejected the SSH key"),
    ("me@h: Permission denied (publickey,gssapi-keyex,password).", KeyRejected, "rejected the SSH key"),
    ("Received disconnect from h port 22:2: Too many authentication failures", KeyRejected, "rejected the SSH key"),
    ("Permissions 0644 for '/k' are too open.\nThis private key will be ignored.", KeyRejected, "other users can read"),
    ("WARNING: Your password has expired.\nPassword change required but no TTY available.", KeyRejected, "expired"),
    ("ssh: Could not resolve hostname h: Name or service not known", Unreachable, "cannot be resolved"),
    ("ssh: Could not resolve hostname h: Temporary failure in name resolution", Unreachable, "cannot be resolved"),
    ("ssh: connect to host h port 22: Connection refused", Unreachable, "refuses connections"),
    ("ssh: connect to host h port 22: Connection timed out", Unreachable, "does not answer"),
    ("ssh: connect to host h port 22: No route to host", Unreachable, "does not answer"),
    ("Timeout, server h not responding.", Unreachable, "does not answer"),
    ("kex_exchange_identification: Connection closed by remote host", Unreachable, "was lost"),
    ("kex_exchange_identification: read: Connection reset by peer", Unreachable, "was lost"),
    ("client_loop: send disconnect: Broken pipe", Unreachable, "was lost"),
    (
        "ssh_dispatch_run_fatal: Connection to h port 22: message authentication code incorrect",
        Unreachable,
        "connection",
    ),
    ("Unable to negotiate with h port 22: no matching host key type found. Their offer: x", RemoteUnfit, "algorithm"),
    (CONFIG, ActionRequired, "configuration"),
    ("something nobody ever saw", Unreachable, "something nobody ever saw"),
    ("", Unreachable, "no error message"),
]


@pytest.mark.parametrize(("output", "kind", "words"), SSH)
def test_what_ssh_says(output: str, kind: type[Fault], words: str):
    fault = ssh_fault(output, "gpu1")
    assert type(fault) is kind
    assert words in fault.reason


UNFINISHED = "rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n"
RSYNC = [
    (12, LOCK_HELD + "\n" + UNFINISHED, Transient, "still writing"),
    (11, 'rsync: [receiver] write failed on "x": No space left on device (28)', DiskFull, "no space left on there"),
    (11, "rsync: [receiver] mkstemp failed: Disk quota exceeded (122)", DiskFull, "no space left on there"),
    (2, "protocol version mismatch -- is your shell clean?", RemoteUnfit, "prints text"),
    (12, "sh: 1: rsync: not found\n" + UNFINISHED, RemoteUnfit, "no rsync"),
    (127, "bash: line 1: rsync: command not found\n" + UNFINISHED, RemoteUnfit, "no rsync"),
    (12, "flock: failed to execute rsync: No such file or directory", RemoteUnfit, "no rsync"),
    (12, "sh: 1: flock: not found\n" + UNFINISHED, RemoteUnfit, "no flock"),
    (12, "flock: cannot open lock file /w/staging/x.lock: No such file or directory", RemoteUnfit, "workspace"),
    (11, 'rsync: [Receiver] mkdir "/w/staging/x" failed: Permission denied (13)', RemoteUnfit, "workspace"),
    (23, 'rsync: [sender] link_stat "/w/x" failed: No such file or directory (2)', Transient, "does not exist"),
    (12, "Connection reset by 127.0.0.1\n" + UNFINISHED, Unreachable, "was lost"),
    (12, "Host key verification failed.\n" + UNFINISHED, HostKeyProblem, "host key"),
    (255, "me@h: Permission denied (publickey).\n" + UNFINISHED, KeyRejected, "rejected the SSH key"),
    (30, "rsync error: timeout in data send/receive (code 30) at io.c(201)", Unreachable, "rsync exit code 30"),
    (12, UNFINISHED, Unreachable, "rsync exit code 12"),
    (23, "rsync: [sender] send_files failed to open: Permission denied (13)", Transient, "rsync exit code 23"),
    (1, "rsync: --frobnicate: unknown option", Transient, "rsync exit code 1"),
]


@pytest.mark.parametrize(("code", "output", "kind", "words"), RSYNC)
def test_what_rsync_says(code: int, output: str, kind: type[Fault], words: str):
    fault = rsync_fault(code, output, "gpu1", side="there")
    assert type(fault) is kind
    assert words in fault.reason


def test_a_file_that_grows_beyond_what_was_announced_is_the_hosts_fault():
    output = 'rsync: [receiver] write failed on "/x/log": File too large (27)'
    fault = rsync_fault(11, output, "gpu1", side="this machine", largest=4096)
    assert type(fault) is AbsurdAnswer
    assert "more than 4096 bytes" in fault.reason
    assert type(rsync_fault(11, output, "gpu1", side="gpu1")) is DiskFull
