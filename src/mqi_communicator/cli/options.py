"""Arguments and options shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path, typer.Option("--config", "-c", help="Configuration file (YAML).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on one line.")]
CaseName = Annotated[str, typer.Argument(metavar="CASE", help="Case key (or its first letters) or name of its folder.")]
DEFAULT = Path("config.yaml")
