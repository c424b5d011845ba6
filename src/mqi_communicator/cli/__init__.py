"""The command line: `mqi`, also `python -m mqi_communicator`."""

from mqi_communicator.cli.main import main

__all__ = ["main"]
