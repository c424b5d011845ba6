"""plan: summarize RT Ion Plans, and list what each engine cannot compute. Needs no configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import AsJson

_FILES = (
    "RT Ion Plans (DICOM). Exit code 1 if one is unreadable or inconsistent; 0 otherwise, even if no engine can "
    "compute a beam. Beam models and CT are not needed and not checked."
)


def plan(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=_FILES)],
    *,
    as_json: AsJson = False,
) -> None:
    """Summarize RT Ion Plans, and list for each engine every reason why a beam cannot be computed."""
    from mqi_communicator.cli.plan_summary import lines, summary

    found: list[dict[str, Any]] = [summary(file) for file in files]
    if as_json:
        print(json.dumps(found))  # noqa: T201
    else:
        print("\n".join(line for one in found for line in lines(one)))  # noqa: T201
    if not all(one["understood"] for one in found):
        raise typer.Exit(exit_codes.NOT_PASSED)
