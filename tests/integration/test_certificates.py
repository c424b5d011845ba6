"""When an SSH certificate ends, as the real ssh-keygen makes and reads it."""

import subprocess

import pytest

from mqi_communicator.remote.certificate import certificate_of, expires


@pytest.fixture
def key(tmp_path):
    for name in ("ca", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    return tmp_path / "id"


def sign(key, *validity):
    words = ["ssh-keygen", "-q", "-s", str(key.parent / "ca"), "-I", "mqi", "-n", "mqi", *validity, f"{key}.pub"]
    subprocess.run(words, check=True, env={"PATH": "/usr/bin:/bin", "TZ": "UTC"}, capture_output=True)


def test_the_end_of_a_certificate_is_known_in_any_time_zone(key, monkeypatch):
    sign(key, "-V", "20260101:20260131120000")
    monkeypatch.setenv("TZ", "Asia/Seoul")
    assert expires(certificate_of(key)) == 1769860800.0  # 2026-01-31T12:00:00Z


def test_no_certificate_one_without_an_end_and_one_that_is_none(key):
    certificate = certificate_of(key)
    assert expires(certificate) is None
    sign(key)
    assert certificate.is_file()
    assert expires(certificate) is None
    certificate.write_text("not a certificate")
    assert expires(certificate) is None
