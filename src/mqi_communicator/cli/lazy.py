"""Commands whose modules are imported when they are called, so that each start loads only what it needs."""

from __future__ import annotations

import gc
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer.core import TyperGroup


class LazyCommand(TyperCommand):
    """A command with its name and one line of help, whose definition in a module of this package is imported on use.

    There it has the command's name, with _ for -, and is a function or, if it has subcommands, a Typer.
    """

    def __init__(self, name: str, module: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._module = module

    def load(self) -> TyperCommand | TyperGroup:
        """Import the command itself, with its options and full help."""
        name = str(self.name)
        gc.disable()  # an import makes many objects and hardly any garbage: a tenth of the time
        try:
            found = getattr(import_module(f"{__package__}.{self._module}"), name.replace("-", "_"))
        finally:
            gc.enable()
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(name)(found)
            found = alone
        made = typer.main.get_command(found)
        made.name = name
        return made  # type: ignore[return-value]

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Return the context of the imported command, which parses the arguments and is invoked."""
        return self.load().make_context(*args, **extra)
