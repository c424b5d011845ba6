"""demo, sample: synthetic cases, played through or written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mqi_communicator.cli import exit_codes


def demo(
    *,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the host and the communicator up to look around.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its things.")] = Path(".demo"),
    engine_home: Annotated[Path, typer.Option(help="Where the engine was fetched to.")] = Path(".setup/mcsquare"),
) -> None:
    """Take the bundled sample through the real route: a private sshd, rsync, Monte Carlo, a verdict."""
    from mqi_communicator.demo.show import run_demo

    with exit_codes.report_faults():
        if not run_demo(folder.resolve(), engine_home.resolve(), stay=stay):
            raise typer.Exit(exit_codes.NOT_PASSED)


def sample(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to write it; must not exist yet, or be empty.")
    ] = None,
    kind: Annotated[str, typer.Option(help="What is in it, right or wrong; --list names the kinds.")] = "pass",
    size: Annotated[str, typer.Option(help="tiny, standard or large.")] = "standard",
    seed: Annotated[int, typer.Option(help="Another seed gives another patient with the same anatomy.")] = 1,
    *,
    list_kinds: Annotated[bool, typer.Option("--list", help="List kinds and sizes, and write nothing.")] = False,
) -> None:
    """Write a synthetic case, made up from nothing: it proves the route, not the physics."""
    from mqi_communicator.demo.sample import KINDS, SIZES, write_sample

    if list_kinds:
        for name, what in [*KINDS.items(), *((f"--size {size.name}", size.what) for size in SIZES.values())]:
            print(f"{name:22} {what}")  # noqa: T201
        return
    if folder is None or (folder.exists() and any(folder.iterdir())):
        exit_codes.print_error("mqi: name a folder that does not exist yet, or is empty")
        raise typer.Exit(exit_codes.USAGE)
    with exit_codes.report_faults():
        try:
            write_sample(folder, kind=kind, size=size, seed=seed)
        except ValueError as error:
            exit_codes.print_error(f"mqi: {error}")
            raise typer.Exit(exit_codes.USAGE) from None
