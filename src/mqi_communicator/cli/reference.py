"""Writes docs/cli.md from the program's own help.

python -m mqi_communicator.cli.reference > docs/cli.md
"""

from __future__ import annotations

import sys

import typer
from typer.cli import get_docs_for_click

from mqi_communicator.cli.main import app

HEAD = """# Commands

Every command and option of `mqi`, made from its own help by `python -m mqi_communicator.cli.reference`. The README
shows them in use, with the exit codes.
"""


def page() -> str:
    """docs/cli.md."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="mqi"), name="mqi", title="Commands")
    body = text.split("\n", 1)[1]  # its title stands in the head
    return "\n".join(line.rstrip() for line in f"{HEAD}{body}".splitlines()).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(page())
