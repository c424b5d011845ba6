"""Users, sessions, throttling of sign-in, and validation of the dashboard's options."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.requests import Request

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.web.client import client_address
from mqi_communicator.web.options import ProxyOptions, WebOptions, is_loopback
from mqi_communicator.web.private import check_key, check_users
from mqi_communicator.web.sessions import Sessions
from mqi_communicator.web.throttle import CAP_S, FIRST_S, FORGET_S, MOST, Throttle
from mqi_communicator.web.users import User, UsersFile, hash_password, password_matches, public

ANN = User("ann", "operator", "hash-1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_is_found_by_its_cookie_until_its_time_is_over():
    clock = Clock()
    sessions = Sessions(1.0, clock)
    cookie = sessions.begin(ANN)
    found = sessions.find(cookie, {"ann": ANN})
    assert found is not None
    assert found.user == ANN
    assert sessions.find("another", {"ann": ANN}) is None
    clock.now += 3600
    assert sessions.find(cookie, {"ann": ANN}) is None


def test_a_session_follows_its_user():
    sessions = Sessions(1.0, Clock())
    cookie = sessions.begin(ANN)
    lesser = replace(ANN, role="viewer")
    found = sessions.find(cookie, {"ann": lesser})
    assert found is not None
    assert not found.user.may("operator")
    assert sessions.find(cookie, {}) is None
    assert sessions.find(cookie, {"ann": replace(ANN, password="hash-2")}) is None


def test_no_two_sessions_share_a_token_and_a_proxied_user_keeps_his():
    sessions = Sessions(1.0, Clock())
    tokens = {sessions.find(sessions.begin(ANN), {"ann": ANN}).csrf for _ in range(3)}
    assert len(tokens) == 3
    one, two = sessions.behind_proxy(ANN), sessions.behind_proxy(User("bob", "viewer"))
    assert one.csrf == sessions.behind_proxy(ANN).csrf
    assert one.csrf != two.csrf
    assert Sessions(1.0).behind_proxy(ANN).csrf != one.csrf


def test_one_user_cannot_end_the_sessions_of_others():
    sessions = Sessions(1.0, Clock())
    bob = User("bob", "viewer", "hash-2")
    users = {"ann": ANN, "bob": bob}
    ann, first, second = sessions.begin(ANN), sessions.begin(bob), sessions.begin(bob)
    cookies = [sessions.begin(bob) for _ in range(1200)]
    assert sessions.find(ann, users) is not None
    assert sessions.find(first, users) is None
    assert sessions.find(second, users) is None
    assert sum(sessions.find(cookie, users) is not None for cookie in cookies) == 50


def test_roles_include_the_lesser_ones():
    assert [User("x", role).may("operator") for role in ("viewer", "operator", "physicist")] == [False, True, True]


def test_after_five_wrong_passwords_a_name_waits_longer_each_time():
    throttle = Throttle()
    for _ in range(4):
        throttle.failed("ann", "1.2.3.4", 0.0)
        assert throttle.pause("ann", "1.2.3.4", 0.0) == 0.0
    waits = []
    for _ in range(12):
        throttle.failed("ann", "1.2.3.4", 0.0)
        waits.append(throttle.pause("ann", "5.6.7.8", 0.0))
    assert waits[:3] == [FIRST_S, 2 * FIRST_S, 4 * FIRST_S]
    assert waits[-1] == CAP_S
    assert throttle.pause("ann", "5.6.7.8", CAP_S) == 0.0


def test_one_name_or_address_does_not_keep_out_others():
    throttle = Throttle()
    for _ in range(10):
        throttle.failed("ann", "1.2.3.4", 0.0)
    assert throttle.pause("bob", "1.2.3.4", 0.0) == 0.0
    for number in range(15):
        throttle.failed(f"guess-{number}", "1.2.3.4", 0.0)
    assert throttle.pause("bob", "1.2.3.4", 0.0) > 0
    assert throttle.pause("bob", "5.6.7.8", 0.0) == 0.0


def test_success_clears_the_name_and_time_clears_all():
    throttle = Throttle()
    for _ in range(9):
        throttle.failed("ann", "1.2.3.4", 0.0)
    throttle.succeeded("ann", "1.2.3.4")
    assert throttle.pause("ann", "5.6.7.8", 0.0) == 0.0
    for _ in range(9):
        throttle.failed("ann", "1.2.3.4", 0.0)
    throttle.failed("ann", "1.2.3.4", FORGET_S + 1)
    assert throttle.pause("ann", "5.6.7.8", FORGET_S + 1) == 0.0


def test_failures_decay_while_others_are_added():
    throttle = Throttle()
    for number in range(60):  # one in ten minutes, of many people behind one address: more than FREE in all
        throttle.failed(f"person-{number}", "1.2.3.4", 600.0 * number)
        assert throttle.pause("ann", "1.2.3.4", 600.0 * number) == 0.0


def test_the_right_password_takes_its_own_attempt_back_from_the_address():
    throttle = Throttle()
    for number in range(100):
        throttle.failed(f"person-{number}", "1.2.3.4", 0.0)
        throttle.succeeded(f"person-{number}", "1.2.3.4")
    assert throttle.pause("ann", "1.2.3.4", 0.0) == 0.0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.0.0.53", ""])
def test_no_address_of_this_machine_is_locked_but_names_are(address):
    throttle = Throttle()
    for number in range(200):
        throttle.failed(f"guess-{number}", address, 0.0)
    assert throttle.pause("ann", address, 0.0) == 0.0
    for _ in range(5):
        throttle.failed("ann", address, 0.0)
    assert throttle.pause("ann", address, 0.0) == FIRST_S


@pytest.mark.parametrize(
    ("peer", "header", "given", "address"),
    [
        ("127.0.0.1", "X-Forwarded-For", ["10.0.0.9, 192.0.2.7"], "192.0.2.7"),  # the client claims the first
        ("::1", "X-Forwarded-For", ["10.0.0.9", "2001:db8::7"], "2001:db8::7"),
        ("127.0.0.1", "X-Forwarded-For", [], "127.0.0.1"),
        ("127.0.0.1", "X-Forwarded-For", ["nonsense"], "127.0.0.1"),
        ("127.0.0.1", None, ["192.0.2.7"], "127.0.0.1"),
        ("203.0.113.5", "X-Forwarded-For", ["192.0.2.7"], "203.0.113.5"),  # no proxy of ours
    ],
)
def test_one_hop_is_trusted_if_it_is_configured(peer, header, given, address):
    headers = [(b"x-forwarded-for", value.encode()) for value in given]
    request = Request({"type": "http", "headers": headers, "client": (peer, 1)})
    assert client_address(request, header) == address


def test_a_flood_of_names_does_not_fill_the_memory():
    throttle = Throttle()
    for number in range(MOST):
        throttle.failed(f"name-{number}", f"address-{number}", 0.0)
    assert len(throttle._failures) == MOST


def test_users_are_kept_with_hashes_and_read_again_when_the_file_changes(tmp_path):
    file = UsersFile(tmp_path / "users.json")
    assert file.users() == {}
    file.put(User("ann", "operator", hash_password("correct horse battery")))
    other = UsersFile(tmp_path / "users.json")
    ann = other.users()["ann"]
    assert password_matches(ann, "correct horse battery")
    assert not password_matches(ann, "correct horse batterz")
    assert not password_matches(None, "correct horse battery")
    file.put(User("bob", "viewer"))
    assert set(other.users()) == {"ann", "bob"}
    assert not password_matches(other.users()["bob"], "")
    assert public(other.users()["bob"])["signs_in"] == "at the proxy"
    other.remove("ann")
    assert set(file.users()) == {"bob"}
    with pytest.raises(ActionRequired, match="no user"):
        file.remove("ann")


@pytest.mark.parametrize("password", ["short", "x" * 201, ""])
def test_passwords_have_a_sensible_length(password):
    with pytest.raises(ActionRequired, match="10 to 200"):
        hash_password(password)


@pytest.mark.parametrize("name", ["", "a b", "../x", "a" * 65, "<b>", "-x"])
def test_user_names_are_plain(tmp_path, name):
    with pytest.raises(ActionRequired, match="user name"):
        UsersFile(tmp_path / "users.json").put(User(name, "viewer"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": "other", "users": {}}', '{"format": "mqi-users/1", "users": {"a": {"role": "king"}}}'],
)
def test_an_invalid_users_file_is_refused_with_a_message(tmp_path, text):
    (tmp_path / "users.json").write_text(text)
    with pytest.raises(ActionRequired, match="users file"):
        UsersFile(tmp_path / "users.json").users()


def test_the_users_file_is_complete_and_private(tmp_path):
    UsersFile(tmp_path / "users.json").put(User("ann", "viewer"))
    assert json.loads((tmp_path / "users.json").read_text())["users"] == {"ann": {"role": "viewer", "password": ""}}
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("mode", "verb"), [(0o666, "changed"), (0o620, "changed"), (0o602, "changed"), (0o640, "read"), (0o604, "read")]
)
def test_a_users_file_that_others_may_read_or_change_is_refused(tmp_path, mode, verb):
    file = UsersFile(tmp_path / "users.json")
    file.put(User("ann", "viewer"))
    assert set(file.users()) == {"ann"}
    (tmp_path / "users.json").chmod(mode)
    with pytest.raises(ActionRequired, match=f"{verb} by others: its mode is {mode:04o}") as refused:
        file.users()
    assert refused.value.advice.startswith(f"chmod 600 {tmp_path}/users.json")


@pytest.mark.parametrize(("mode", "fit"), [(0o600, True), (0o400, True), (0o644, False), (0o640, False)])
def test_a_private_key_that_others_may_read_is_refused(tmp_path, mode, fit):
    key = tmp_path / "key.pem"
    key.touch()
    key.chmod(mode)
    with nullcontext() if fit else pytest.raises(ActionRequired, match=f"read by others: its mode is {mode:04o}"):
        check_key(key)


@pytest.mark.parametrize(("me", "owner", "fit"), [(900, 900, True), (900, 0, True), (900, 901, False), (0, 900, True)])
def test_files_of_another_user_are_refused_but_root_may_look_at_all(monkeypatch, me, owner, fit):
    monkeypatch.setattr(os, "geteuid", lambda: me)
    state = os.stat_result((0o100600, 1, 1, 1, owner, 0, 0, 0, 0, 0))
    with nullcontext() if fit else pytest.raises(ActionRequired, match="belongs to user 901"):
        check_users(Path("users.json"), state)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "qa.example.org"])  # noqa: S104 - refused
def test_passwords_are_never_sent_unencrypted(host):
    with pytest.raises(ValidationError, match="passwords unencrypted"):
        WebOptions(host=host)
    assert WebOptions(host=host, certificate="a.pem", key="b.pem").tls


def test_other_invalid_options_are_refused():
    with pytest.raises(ValidationError, match="both certificate and key"):
        WebOptions(certificate="a.pem")
    with pytest.raises(ValidationError, match="host name without port"):
        WebOptions(names=("qa.example.org:8443",))
    with pytest.raises(ValidationError, match="must be a header name"):
        ProxyOptions(socket="/run/x.sock", user_header="X User")


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)],
)
def test_loopback_is_known(host, here):
    assert is_loopback(host) is here
