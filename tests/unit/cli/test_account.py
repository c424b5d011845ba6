"""Who gave an order or signed is what the system knows, not what the environment claims."""

from __future__ import annotations

import os
import pwd

import pytest

from mqi_communicator.cli.account import account, invoker

NAMES = {0: "root", 900: "mqi", 1001: "ann", 1002: "bob"}


def reported(uid: int, *above: int, **environment: str) -> str:
    return account(uid, environment, above, NAMES.get)


@pytest.mark.pure
def test_the_name_is_that_of_the_user_id():
    assert reported(1001, LOGNAME="bob", USER="bob", LNAME="bob", USERNAME="bob") == "ann"
    assert reported(4711) == "uid 4711"


@pytest.mark.pure
def test_sudo_is_named_where_root_vouches_for_it():
    sudo = {"SUDO_UID": "1001", "SUDO_USER": "ann"}
    assert reported(0, **sudo) == "root (sudo by ann)"
    assert reported(900, 0, 1001, 1001, 0, **sudo) == "mqi (sudo by ann)"


@pytest.mark.pure
@pytest.mark.parametrize(
    ("uid", "above", "environment"),
    [
        (900, (900, 0), {"SUDO_UID": "1001", "SUDO_USER": "ann"}),  # set by hand: no process of ann's is above
        (900, (0, 1002), {"SUDO_UID": "1001", "SUDO_USER": "ann"}),  # bob ran sudo and wrote down ann
        (0, (), {"SUDO_UID": "1001", "SUDO_USER": "bob"}),  # the two do not agree
        (0, (), {"SUDO_UID": "4711", "SUDO_USER": "ann"}),
        (0, (), {"SUDO_USER": "ann"}),
        (0, (), {"SUDO_UID": "1001"}),
        (0, (), {"SUDO_UID": "²", "SUDO_USER": "ann"}),
        (0, (), {"SUDO_UID": "9" * 400, "SUDO_USER": "ann"}),
        (0, (), {"SUDO_UID": "0", "SUDO_USER": "root"}),
    ],
)
def test_what_is_not_proved_is_not_repeated(uid, above, environment):
    assert reported(uid, *above, **environment) == NAMES[uid]


def test_the_process_itself_is_asked(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "dr-house")
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert invoker() == pwd.getpwuid(os.getuid()).pw_name
