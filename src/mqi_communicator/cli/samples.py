"""demo, sample, fetch-engine: process or write synthetic cases, with the engine that the demo computes with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.options import DEFAULT, ConfigFile

if TYPE_CHECKING:
    from mqi_communicator.demo.sample_site import SiteNames


def demo(
    *,
    stay: Annotated[
        bool, typer.Option("--stay", help="Keep the host and the communicator running to look around.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Folder of the demo's files.")] = Path(".demo"),
    engine_home: Annotated[
        Path | None,
        typer.Option(help="Folder of the engine, fetched if missing; default: mcsquare in the demo's folder."),
    ] = None,
) -> None:
    """Process the bundled sample end to end: a private sshd, rsync, Monte Carlo, a verdict."""
    from mqi_communicator.demo.fetch_engine import ensure_engine
    from mqi_communicator.demo.show import run_demo

    home = (engine_home or folder / "mcsquare").resolve()
    with exit_codes.report_faults():
        if not (home / "MCsquare_linux").exists():
            print("fetching the dose engine MCsquare", flush=True)  # noqa: T201
            ensure_engine(home)
        if not run_demo(folder.resolve(), home, stay=stay):
            raise typer.Exit(exit_codes.NOT_PASSED)


def fetch_engine(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the engine; must be new or empty.")],
    *,
    wheel: Annotated[Path | None, typer.Option(help="Local copy of its package, if there is no network.")] = None,
    only_wheel: Annotated[bool, typer.Option("--only-wheel", help="Only download that package into DIR.")] = False,
) -> None:
    """Fetch the dose engine MCsquare, verified by its digest; a complete folder is not changed."""
    from mqi_communicator.demo.fetch_engine import download, ensure_engine

    with exit_codes.report_faults():
        if only_wheel:
            print(f"downloaded {download(folder)}")  # noqa: T201
        elif ensure_engine(folder, wheel):
            print(f"the engine was fetched into {folder}")  # noqa: T201
        else:
            print(f"the engine is in {folder}; all digests match")  # noqa: T201


def sample(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder to write to; must be new or empty.")
    ] = None,
    kind: Annotated[str, typer.Option(help="Kind of the case, correct or faulty; --list shows all.")] = "pass",
    size: Annotated[
        str, typer.Option(help="tiny, standard or large; empty: standard, or tiny with --vendor.", show_default=False)
    ] = "",
    seed: Annotated[int, typer.Option(help="Another seed gives other UIDs with the same anatomy.")] = 1,
    vendor: Annotated[
        str, typer.Option(help="Write the case as this clinical system does; --list shows all. Not with every kind.")
    ] = "",
    machine: Annotated[
        str, typer.Option(help="Write it for this machine of the configuration, to rehearse it. Not with --vendor.")
    ] = "",
    scanner: Annotated[str, typer.Option(help="With --machine: scanner of the configuration; empty: the first.")] = "",
    planning_system: Annotated[
        str, typer.Option(help="With --machine: key of dose_conventions in the configuration; empty: the first.")
    ] = "",
    config: ConfigFile = DEFAULT,
    deliveries: Annotated[
        int, typer.Option(min=0, max=60, help="Also write treatment records and logs of this many fractions.")
    ] = 0,
    delivery: Annotated[
        str, typer.Option(metavar="KIND", help="What is wrong with the last fraction; --list shows all.")
    ] = "good",
    *,
    list_kinds: Annotated[
        bool, typer.Option("--list", help="List kinds, sizes, vendors and deliveries; write nothing.")
    ] = False,
) -> None:
    """Write a synthetic case; it tests the processing, not the physics."""
    from mqi_communicator.demo.delivered import DELIVERIES
    from mqi_communicator.demo.sample import KINDS, SIZES, VENDORS, write_sample
    from mqi_communicator.demo.sample_logs import LOG_KINDS
    from mqi_communicator.demo.sample_records import write_deliveries

    known = DELIVERIES | {name: what for name, (_, what) in LOG_KINDS.items()}
    if list_kinds:
        sizes = ((f"--size {size.name}", size.what) for size in SIZES.values())
        vendors = ((f"--vendor {name}", vendor.what) for name, vendor in VENDORS.items())
        delivered = ((f"--delivery {name}", what) for name, what in known.items())
        for name, what in (*KINDS.items(), *sizes, *vendors, *delivered):
            print(f"{name:24} {what}")  # noqa: T201
        return
    if folder is None or (folder.exists() and any(folder.iterdir())):
        exit_codes.print_error("mqi: give a folder that is new or empty")
        raise typer.Exit(exit_codes.USAGE)
    if vendor and machine:
        exit_codes.print_error("mqi: --machine and --vendor exclude each other")
        raise typer.Exit(exit_codes.USAGE)
    if delivery not in known:
        exit_codes.print_error(f"mqi: unknown kind of delivery {delivery!r}; choose from: {', '.join(known)}")
        raise typer.Exit(exit_codes.USAGE)
    with exit_codes.report_faults(config):
        site = _site(config, machine, scanner, planning_system) if machine else None
        try:
            write_sample(folder, kind=kind, size=size or _usual_size(vendor), seed=seed, vendor=vendor, site=site)
            if deliveries:
                write_deliveries(folder, deliveries, delivery, seed)
        except ValueError as error:
            exit_codes.print_error(f"mqi: {error}")
            raise typer.Exit(exit_codes.USAGE) from None


def _site(config: Path, machine: str, scanner: str, planning_system: str) -> SiteNames:
    """The names of the site; the configuration is loaded for them alone."""
    from mqi_communicator.config import load
    from mqi_communicator.demo.sample_site import names_of

    return names_of(load(config), machine, scanner, planning_system)


def _usual_size(vendor: str) -> str:
    return "tiny" if vendor else "standard"
