"""The guard of tests that are marked `pure`."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis.configuration import storage_directory


@pytest.mark.pure
def test_a_pure_test_opens_no_file_no_socket_and_no_process():
    with pytest.raises(AssertionError, match=r"open .*somewhere"):
        Path("somewhere").write_text("x")
    with pytest.raises(AssertionError, match="Popen"):
        subprocess.run([sys.executable, "-V"], check=True)
    with socket.socket() as one, pytest.raises(AssertionError, match="bind"):
        one.bind(("127.0.0.1", 0))


@pytest.mark.pure
def test_the_cache_of_hypothesis_may_be_opened():
    """Two runs may share a checkout, and each then reads and writes what the other has not."""
    folder = storage_directory("tmp").path
    assert folder == Path(__file__).parents[3] / ".hypothesis/tmp"
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / "from_the_purity_test"
    with made.open("w") as file:
        file.write("x")
    assert made.read_text() == "x"
    made.unlink()
