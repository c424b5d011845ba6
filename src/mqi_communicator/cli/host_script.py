"""host-script: what answers on a host, for its administrator to install."""

from __future__ import annotations

from mqi_communicator.remote.verbs import library


def host_script() -> None:
    """Print the script that answers on a host, to be installed there as all that our key may start."""
    print(library(), end="")  # noqa: T201
