"""A function that is named here and imported where it runs: the daemon does not load what only workers need."""

from __future__ import annotations

from importlib import import_module
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Deferred(Generic[P, T]):
    """Stands for the function `name` of `module`: imports it when it is called, and can be sent to another process."""

    def __init__(self, module: str, name: str) -> None:
        self.__module__, self.__name__ = module, name

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Import the function and call it."""
        result: T = getattr(import_module(self.__module__), self.__name__)(*args, **kwargs)
        return result
