"""host-script: print the host script, for the host's administrator to install."""

from __future__ import annotations

from mqi_communicator.remote.verbs import library


def host_script() -> None:
    """Print the host script, to be installed on a host as the only command that our key may run."""
    print(library(), end="")  # noqa: T201
