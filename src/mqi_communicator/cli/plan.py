"""plan: what RT Ion Plans hold, and what of them cannot be computed, by engine. Needs no configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import AsJson

_FILES = (
    "RT Ion Plans (DICOM). Exit code 1 if one cannot be read or contradicts itself; 0 otherwise, also where no engine "
    "can compute a beam. Beam models and CT are not needed and not looked at."
)


def plan(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=_FILES)],
    *,
    as_json: AsJson = False,
) -> None:
    """Print what RT Ion Plans hold, and every reason why a beam cannot be computed, by engine."""
    from mqi_communicator.cli.plan_summary import lines, summary

    found: list[dict[str, Any]] = [summary(file) for file in files]
    if as_json:
        print(json.dumps(found))  # noqa: T201
    else:
        print("\n".join(line for one in found for line in lines(one)))  # noqa: T201
    if not all(one["understood"] for one in found):
        raise typer.Exit(exit_codes.NOT_PASSED)
