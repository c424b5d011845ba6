"""Arguments and options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="The YAML file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on one line.")]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="A case's key (or its start), or its folder's name.")]
DEFAULT = Path("config.yaml")
