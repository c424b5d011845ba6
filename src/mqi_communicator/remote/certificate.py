"""When the SSH certificate of a private key expires."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

_VALID = re.compile(r"^\s*Valid: from \S+ to (\S+)$", re.MULTILINE)


def certificate_of(identity_file: Path) -> Path:
    """Where OpenSSH looks for the certificate of a key (ssh_config(5), CertificateFile)."""
    return identity_file.with_name(identity_file.name + "-cert.pub")


def expires(certificate: Path) -> float | None:
    """Expiry time in epoch seconds. None without a certificate, if it is not readable, or if it never expires."""
    environment = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    argv = ["ssh-keygen", "-L", "-f", str(certificate)]
    try:
        if not certificate.is_file():
            return None
        completed = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    ends = _VALID.search(completed.stdout)
    return datetime.fromisoformat(ends[1]).replace(tzinfo=UTC).timestamp() if ends and ends[1] != "forever" else None
