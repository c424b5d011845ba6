"""config: ask for the settings of a site and write its configuration, each answer proved; print an example."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mqi_communicator.case.visible import visible
from mqi_communicator.checks import Finding, check_all, check_section
from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.check import print_finding
from mqi_communicator.cli.options import DEFAULT, ConfigFile
from mqi_communicator.config import ConfigProblem, load
from mqi_communicator.config.example import example as whole_example
from mqi_communicator.config.example import question
from mqi_communicator.config.minimal import KEYS, MOQUI_KEYS, NAMED, example, minimal
from mqi_communicator.system.command import typed, typed_start

config = typer.Typer(
    help="Write the configuration of a site, or print an example.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
ASKED = ("paths", "ssh", "engine", "machines", "scanners", "dose_conventions")
_DIGESTS = {"sha256": "beam_model", "density_sha256": "density", "material_sha256": "material"}
_NAMES = {
    "machines": "TreatmentMachineName of a treatment machine",
    "scanners": "CT scanner, as Manufacturer|ManufacturerModelName|StationName",
    "dose_conventions": "Manufacturer of a planning system, as in its RTDOSE files",
}
_MOQUI_SHOWN = {"program": "/opt/moqui/tps_env", "calibration": "default"}
_OPTIONAL = ("port", "commissioned_by", "commissioned_on")
# In place of the sections that have not been answered yet.
_PLACEHOLDERS: dict[str, Any] = {"local": {}, "engine": {"kind": "mcsquare", "home": "/opt/mcsquare"}}


@config.command()
def init(config: ConfigFile = DEFAULT) -> None:
    """Ask for what a site must say, prove each answer as `mqi check` does, and write the configuration."""
    with exit_codes.report_faults(config):
        if config.exists():
            exit_codes.print_error(f"mqi: {config} exists", "     name another file with --config FILE, or edit it")
            raise typer.Exit(exit_codes.NOT_PASSED)
        print("Each answer is proved. Enter alone keeps the value in brackets. Ctrl-C writes nothing.")  # noqa: T201
        settings: dict[str, Any] = {}
        try:
            for section in ASKED:
                _ask_section(section, settings, config)
        except typer.Abort:
            raise typer.Exit(exit_codes.INTERRUPTED) from None
        with config.open("x", encoding="utf-8") as file:
            file.write(minimal({**settings, **_rest(settings)}))
        print(f"\n{config} is written; now everything is checked, as by `mqi check`")  # noqa: T201
        good = asyncio.run(_show(check_all(made := load(config))))
        print("\n" + "\n".join(_next_steps(config, next(iter(made.machines)), good=good)))  # noqa: T201
        if not good:
            raise typer.Exit(exit_codes.NOT_PASSED)


@config.command(name="example")
def print_example(
    *, small: Annotated[bool, typer.Option("--minimal", help="Only what a site must say.")] = False
) -> None:
    """Print a configuration file with every setting and its default."""
    print(minimal(example()) if small else whole_example(), end="")  # noqa: T201


def _next_steps(config: Path, machine: str, *, good: bool) -> list[str]:
    """What to do after the questions, as commands to type."""
    again = [] if good else [f"correct what is marked NO, and check again:  {typed('check', '--config', config)}"]
    sample = typed("sample", "rehearsal", "--machine", machine, "--config", config)
    return [*again, f"start the communicator:  {typed_start(config)}", f"rehearse a machine with a sample:  {sample}"]


def _ask_section(section: str, settings: dict[str, Any], config: Path) -> None:
    """Ask until the answers hold, or are kept all the same; a section with names until there is no further one."""
    shown = example()[section]
    print(f"\n{section}")  # noqa: T201
    while True:
        if section in NAMED:
            name = typer.prompt(_NAMES[section], default=next(iter(shown)))
            answers = _ask(section, shown.get(name, next(iter(shown.values()))), settings, config)
            shown, proposed = {name: answers}, {**settings.get(section, {}), name: answers}
        else:
            shown = proposed = _ask(section, shown, settings, config)
        if not _proved({**settings, section: proposed}, section, config) and typer.confirm(
            "Answer again?", default=True
        ):
            continue
        settings[section] = proposed
        if section not in NAMED or not typer.confirm(f"Another one in {section}?", default=False):
            return
        shown = example()[section]


def _ask(section: str, shown: Mapping[str, Any], settings: Mapping[str, Any], config: Path) -> dict[str, Any]:
    """Ask for each key that is not a digest; digests are those of the files."""
    answers: dict[str, Any] = {}
    path = f"{section}.*" if section in NAMED else section
    keys = KEYS[section]
    if section == "engine":
        answers["kind"] = _prompt("engine.kind", shown["kind"])
        keys = (MOQUI_KEYS if answers["kind"] == "moqui" else KEYS)["engine"][1:]
    elif _is_moqui(settings):
        keys = MOQUI_KEYS.get(section, keys)
    if section == "ssh":
        keys = (*keys, "port")
    for key in keys:
        if key in _DIGESTS:
            answers[key] = _digest(config.parent / Path(answers[_DIGESTS[key]]).expanduser())
        elif key != "commissioned_on" or answers.get("commissioned_by"):
            answers[key] = _prompt(f"{path}.{key}", shown.get(key, _MOQUI_SHOWN.get(key, "")))
    if (port := answers.get("port", "")).isdecimal():
        answers["port"] = int(port)
    return {key: answer for key, answer in answers.items() if answer or key not in _OPTIONAL}


def _prompt(path: str, shown: object) -> str:
    """Ask for one value; commissioning has no proposal, since nobody may sign by pressing Enter."""
    key = path.rsplit(".", 1)[-1]
    default = "" if key.startswith("commissioned") else str(shown)
    print(f"  {question(path)}")  # noqa: T201
    answer: str = typer.prompt(f"  {key}", default=default, show_default=bool(default))
    return answer.strip()


def _is_moqui(settings: Mapping[str, Any]) -> bool:
    return bool(settings.get("engine", {}).get("kind") == "moqui")


def _rest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The section that nobody is asked for: the host's GPUs, for an engine that needs them."""
    return {"gpus": {}} if _is_moqui(settings) else {}


def _digest(file: Path) -> str:
    """The sha256 of a file; zeros if it cannot be read, which the proof then says."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return "0" * 64


def _proved(settings: Mapping[str, Any], section: str, config: Path) -> bool:
    """Show what a check finds about one section, with placeholders for those that have no answers yet."""
    draft = config.with_name(f".{config.name}.draft")
    missing = {
        key: value
        for key, value in _PLACEHOLDERS.items()
        if key not in settings and not (key == "local" and "ssh" in settings)
    }
    try:
        draft.write_text(minimal({**settings, **missing}), encoding="utf-8")
        loaded = load(draft)
    except ConfigProblem as problem:
        for line in problem.reason.splitlines():
            print(f"NO  {visible(line.removeprefix(f'{draft}:'))}")  # noqa: T201
        return False
    finally:
        draft.unlink(missing_ok=True)
    return asyncio.run(_show(check_section(loaded, section)))


async def _show(findings: AsyncIterator[Finding]) -> bool:
    """Print each finding as it comes; return whether all are ok."""
    good = True
    async for finding in findings:
        print_finding(finding)
        good = good and finding.ok
    return good
