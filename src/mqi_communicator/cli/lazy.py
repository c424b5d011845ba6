"""Commands whose modules are imported when they are called: a start loads what its own command needs, and no more."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer.core import TyperGroup


class LazyCommand(TyperCommand):
    """A command known by its name and one line of help; it is defined in a module of this package.

    There it has the command's name, with _ for -, and is a function or, where it has commands of its own, a Typer.
    """

    def __init__(self, name: str, module: str, short_help: str) -> None:
        super().__init__(name, short_help=short_help)
        self._module = module

    def load(self) -> TyperCommand | TyperGroup:
        """The command itself, with its options and its whole help."""
        name = str(self.name)
        found = getattr(import_module(f"{__package__}.{self._module}"), name.replace("-", "_"))
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(name)(found)
            found = alone
        made = typer.main.get_command(found)
        made.name = name
        return made  # type: ignore[return-value]

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """The context of the command itself: it reads the arguments, and is what is invoked."""
        return self.load().make_context(*args, **extra)
