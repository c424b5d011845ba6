"""The command line: `mqi`, also `python -m mqi_communicator`."""

import os

# pydantic would read the metadata of every installed package for plugins, and load those
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from mqi_communicator.cli.main import main

__all__ = ["main"]
