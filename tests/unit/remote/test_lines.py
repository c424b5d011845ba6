"""Command lines and envelopes: quoting, refusal, verification."""

from __future__ import annotations

import base64
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mqi_communicator.case.faults import Fault
from mqi_communicator.case.request import RemoteRequest, RemoteResponse
from mqi_communicator.compute.gpus import read_inventory
from mqi_communicator.compute.observed import Observed
from mqi_communicator.remote.envelope import frame_request, frame_script
from mqi_communicator.remote.mux import master_command
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.remote.rsync import Transport, fetch_command, names_to_fetch, send_command
from mqi_communicator.remote.workspace import read_left, read_space, sums_text

pytestmark = pytest.mark.pure

SOCKET = Path("/tmp/mqi/c")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_nothing_of_a_script_is_in_the_command_line(script: str):
    envelope = frame_script(script, deadline=10)
    assert re.fullmatch(r"exec timeout -k 5 25 sh -c '[^'!\n]*'", envelope.remote_command)
    assert envelope.payload.startswith(script.encode())


@given(st.binary(), st.binary())
def test_an_answer_without_its_mark_proves_nothing(out: bytes, more: bytes):
    envelope = frame_script("true", deadline=10)
    whole = out + f"\n{envelope.mark} 3\n".encode()
    response = envelope.response(whole, "")
    assert response is not None
    assert (response.exit_code, response.out) == (3, out.decode("utf-8", "replace"))
    assert envelope.response(whole[:-1], "") is None
    assert envelope.response(out + more, "") is None


@pytest.mark.parametrize("code", ["9" * 5000, "\u00b2", "-1", ""])
def test_an_exit_code_that_is_none_proves_nothing(code: str):
    envelope = frame_script("true", deadline=10)
    assert envelope.response(f"\n{envelope.mark} {code}\n".encode(), "") is None


@pytest.mark.parametrize("number", ["9" * 5000, "\u00b2"])
def test_numbers_of_a_host_that_are_none_are_not_read(number: str):
    with pytest.raises(Fault, match="determining free space failed on the host"):
        read_space(RemoteResponse(0, f"mqi-space {number} 1 1 1\n"))
    assert read_space(RemoteResponse(0, f"mqi-space 7 1 1 1\nmqi-quota {number} none\n")).free_bytes == 7
    assert read_left(RemoteResponse(0, f"mqi-left abc {number}\n")) == {}
    gpus = base64.b64encode(f"0, GPU-1, {number}, {number}, 0, 30\n".encode()).decode()
    output = f"mqi-gpus 0 {gpus}\nmqi-apps 0 \nmqi-ours\n"
    assert read_inventory(RemoteResponse(0, output)).gpus[0].total_mib is None
    assert read_inventory(RemoteResponse(0, output.replace("ours", f"ours {number}"))).trouble
    products = base64.b64encode(f"{'0' * 64} {number} ./dose\n".encode()).decode()
    seen = Observed.read(f"mqi-job k-b1-r1 job none {number} 0,1 products={products} log= none")
    assert seen is not None
    assert (seen.began_at, dict(seen.products)) == (0.0, {})


def test_a_script_holds_no_nul():
    with pytest.raises(ValueError, match="NUL"):
        frame_script("a\0b", deadline=1)


TRANSPORT = Transport(("ssh", "-S", "/s"), stall_s=9, bandwidth_kib_s=7)


def option(words: tuple[str, ...], name: str) -> str:
    return next(word for word in words if word.startswith(name)).removeprefix(name)


def test_a_lock_is_quoted_for_the_remote_shell():
    words = send_command(Path("/a b"), "/w/it's $(x)", "key", TRANSPORT)
    assert shlex.split(option(words, "--rsync-path="))[3:] == ["/w/it's $(x)/staging/key.lock"]
    assert words[-2:] == ("/a b/", "there:/w/it's $(x)/staging/key/")
    assert {"-s", "--timeout=9", "--bwlimit=7", "--delete"} <= set(words)


def test_an_installed_script_is_told_the_key_and_chooses_the_folder():
    transport = Transport(("ssh",), installed=True)
    sent = send_command(Path("/a"), "/w", "key", transport)
    assert option(sent, "--rsync-path=") == "mqi-host receive /w key"
    fetched = fetch_command("/w", "key-b1-r1", Path("/x"), transport, 1000)
    assert option(fetched, "--rsync-path=") == "mqi-host provide /w key-b1-r1"
    assert "-s" not in {*sent, *fetched}


def test_a_question_to_an_installed_script_is_plain_words():
    envelope = frame_request(RemoteRequest("settled", ("/w", "key", "0" * 64), b"stdin"), deadline=10)
    assert envelope.remote_command == f"mqi-host {envelope.mark} 25 settled /w key {'0' * 64}"
    assert envelope.payload == b"stdin"


@pytest.mark.parametrize("word", ["", "a b", "$x", "a;b", "`x`", "'", "a\nb", "*", "é", "(x)"])
def test_words_that_a_shell_might_misread_are_refused(word: str):
    with pytest.raises(ValueError, match="plain words"):
        RemoteRequest("settled", (word,))


@pytest.mark.parametrize("path", ["relative", "", "~/x", "host:/x"])
def test_remote_paths_are_absolute(path: str):
    with pytest.raises(ValueError, match="absolute"):
        fetch_command(path, "key-b1-r1", Path("/x"), Transport(), 1000)
    with pytest.raises(ValueError, match="absolute"):
        send_command(Path("/x"), path, "key", Transport())


@pytest.mark.parametrize("name", ["", "/x", "..", "../x", "x/../../y", "x\0y"])
def test_names_lead_nowhere_else(name: str):
    with pytest.raises(ValueError, match="inside the folder"):
        names_to_fetch(["fine", name])


@pytest.mark.parametrize("name", ["a\nb", "a\\b", "/a", "../a", "SHA256SUMS"])
def test_a_list_of_digests_needs_no_escapes(name: str):
    with pytest.raises(ValueError, match="input file"):
        sums_text({name: "0" * 64})


def test_a_list_of_digests_is_sorted():
    assert sums_text({"b": "1" * 64, "a/c": "2" * 64}) == f"{'2' * 64}  ./a/c\n{'1' * 64}  ./b\n".encode()


def test_a_master_asks_nobody_and_forwards_nothing():
    options = SshOptions(name="x", host="gpu", identity_file="/a b/100%", known_hosts_file="/k h", user="me", port=9)
    words = master_command(options, SOCKET, "gpu")
    settings = {value for flag, value in pairwise(words) if flag == "-o"}
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
        'IdentityFile="/a b/100%%"',
        'UserKnownHostsFile="/k h"',
        "GlobalKnownHostsFile=/dev/null",
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ControlPersist=no",
        "ServerAliveInterval=5",
        "ServerAliveCountMax=3",
    } <= settings
    assert words[-2] == "gpu"


def test_what_is_left_out_is_left_to_the_sites_configuration():
    words = master_command(SshOptions(name="x", host="gpu"), SOCKET, "gpu")
    assert not {"-p", "-l", "-F"} & set(words)
    assert not [word for word in words if word.startswith(("Identit", "UserKnown", "GlobalKnown"))]


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "-oProxyCommand=x"},
        {"host": "a b"},
        {"user": "-x"},
        {"identity_file": '/a"b'},
        {"identity_file": "/${HOME}/x"},
        {"known_hosts_file": "/a\\b"},
        {"port": 0},
        {"prot": 22},
    ],
)
def test_options_that_ssh_would_misread_are_refused(changes: dict[str, object]):
    with pytest.raises(ValidationError):
        SshOptions.model_validate({"name": "x", "host": "gpu", **changes})
