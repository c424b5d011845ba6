"""Owner and mode of a file with a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mqi_communicator.case.private_file import exposure


@pytest.mark.parametrize(
    ("account", "owner", "mode", "found"),
    [
        (900, 900, 0o600, ""),
        (900, 900, 0o400, ""),
        (900, 900, 0o640, "can be read by others: its mode is 0640"),
        (900, 900, 0o604, "can be read by others: its mode is 0604"),
        (900, 900, 0o622, "can be changed by others: its mode is 0622"),
        (900, 0, 0o640, ""),
        (900, 0, 0o440, ""),
        (900, 0, 0o660, "can be changed by others: its mode is 0660"),
        (900, 0, 0o644, "can be read by others: its mode is 0644"),
        (900, 901, 0o600, "belongs to user 901, neither to this account nor to root"),
        (0, 901, 0o600, ""),
        (0, 0, 0o640, "can be read by others: its mode is 0640"),
    ],
)
def test_who_may_read_a_secret(account, owner, mode, found):
    state = os.stat_result((0o100000 | mode, 1, 1, 1, owner, 0, 0, 0, 0, 0))
    problem = exposure("the key", Path("/etc/my key"), state, account)
    assert (problem[0] if problem else "") == (f"the key /etc/my key {found}" if found else "")


@pytest.mark.parametrize(("account", "owner", "line"), [(900, 900, "chmod 600 "), (900, 0, "chmod 640 ")])
def test_the_advice_is_a_line_for_a_shell(account, owner, line):
    state = os.stat_result((0o100644, 1, 1, 1, owner, 0, 0, 0, 0, 0))
    problem = exposure("the key", Path("/etc/my key"), state, account)
    assert problem is not None
    assert problem[1] == f"{line}'/etc/my key'"
