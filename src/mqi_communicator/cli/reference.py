"""Write docs/cli.md from the program's own help.

python -m mqi_communicator.cli.reference > docs/cli.md
"""

from __future__ import annotations

import sys

import typer
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.lazy import LazyCommand
from mqi_communicator.cli.main import app

HEAD = """# Commands

Look up any command, option or [exit code](#exit-codes) of `mqi` here. The page is generated from the program's help
by `python -m mqi_communicator.cli.reference`; the README shows the commands in use.
"""
EXITS = f"""
## Exit codes

{exit_codes.table()}
`deploy.sh` adds no others: after the set-up it becomes `mqi run` (with `--demo`: `mqi demo`) and exits as that does.
Before that it exits with 1 if the set-up failed, and with 2 for a usage error or a missing configuration file.
"""


def whole() -> TyperGroup:
    """`mqi` with every command imported."""
    group = typer.main.get_group(app)
    for name, command in group.commands.items():
        if isinstance(command, LazyCommand):
            group.commands[name] = command.load()
    return group


def page() -> str:
    """docs/cli.md."""
    command = whole()
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="mqi"), name="mqi", title="Commands")
    body = text.split("\n", 1)[1]  # without its title, which is in HEAD
    return "\n".join(line.rstrip() for line in f"{HEAD}{body.rstrip()}\n{EXITS}".splitlines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
