"""delivery: judge what a machine recorded of a plan's fractions. Needs no configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import AsJson

_FILES = (
    "RT Ion Beams Treatment Records (DICOM), or folders of them. Parts of one fraction belong together, in any order. "
    "Exit code 1 unless every fraction passed and no record was refused."
)


def delivery(
    files: Annotated[list[Path], typer.Argument(metavar="FILE-OR-FOLDER...", help=_FILES)],
    *,
    plan: Annotated[Path, typer.Option(metavar="RTPLAN", help="The RT Ion Plan that was delivered.")],
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="Configuration with the site's limits; without it, defaults.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdict to this JSON file too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge what a machine recorded of a plan's fractions, spot by spot, against the plan."""
    from mqi_communicator.cli.delivery_summary import judge_files, lines
    from mqi_communicator.results.documents import as_json as written
    from mqi_communicator.results.verdict import CheckOutcome

    with exit_codes.report_faults(config):
        judged = judge_files(files, plan, config)
        if judged is None:
            exit_codes.print_error("mqi: there is no treatment record of proton beams in what was given")
            raise typer.Exit(exit_codes.USAGE)
        if output is not None:
            output.write_bytes(written(judged.document))
        if as_json:
            print(judged.document.model_dump_json(by_alias=True))  # noqa: T201
        else:
            print("\n".join(lines(judged)))  # noqa: T201
    if judged.document.word is not CheckOutcome.PASS:
        raise typer.Exit(exit_codes.NOT_PASSED)
