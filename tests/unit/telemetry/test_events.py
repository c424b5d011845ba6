"""The catalogue of events matches the code: it has each name, level and field that src emits, and no other."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from mqi_communicator.app import LEVELS
from mqi_communicator.case.model import Event
from mqi_communicator.flow.reconcile import StartupSummary
from mqi_communicator.flow.signing import SIGN
from mqi_communicator.flow.steps.table import IN_ORDER
from mqi_communicator.store import chain, orders
from mqi_communicator.telemetry import events as catalogue
from mqi_communicator.telemetry.logs import _is_warning

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "src/mqi_communicator"
LISTENED = (
    "flow/transitions/decide.py",
    "flow/transitions/orders.py",
)
OPEN = {
    "startup.summary": {one.name for one in fields(StartupSummary)},
    "remote.call": {"why"},
}  # what a ** adds to a line


@cache
def trees() -> dict[str, ast.Module]:
    """Each module of the product, by its path."""
    return {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}


@cache
def constants() -> dict[str, str]:
    """The strings that modules give a name."""
    return {
        target.id: node.value.value
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@dataclass(frozen=True)
class Seen:
    """One place in the code that emits an event. `more`: a ** adds to its fields."""

    file: str
    name: str
    level: str
    fields: frozenset[str]
    more: bool = False


def names(node: ast.expr | None, tree: ast.Module) -> list[str]:
    """The names that an expression may be. Extend this function for a new form."""
    match node:
        case ast.Constant(value=str(name)):
            return [name]
        case ast.Name(id=constant) if constant in constants():
            return [constants()[constant]]
        case ast.JoinedStr(values=[ast.Constant(value="order."), ast.FormattedValue()]):
            return [f"order.{word}" for word in orders.NAMES if word != SIGN]  # recorded as case.signed
        case ast.Call(func=ast.Name(id=function)):
            (body,) = [one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == function]
            output = [one.value for one in ast.walk(body) if isinstance(one, ast.Return)]
            return [name for one in output for alternative in branches(one) for name in names(alternative, tree)]
    raise AssertionError(f"an event without a literal name: {ast.unparse(node) if node else node}")


def branches(node: ast.expr | None) -> list[ast.expr | None]:
    return [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]


def level_of(called: ast.expr) -> str:
    """The level of a call that writes a line of the log; "emit" where the composition root decides; "" of others."""
    match called:
        case ast.Attribute(attr="debug" | "info" | "warning" | "error" | "exception" | "critical" as level):
            return level
        case ast.Name(id="emit") | ast.Attribute(attr="emit" | "_emit"):
            return "emit"
    return ""


def logged(file: str, tree: ast.Module) -> Iterator[Seen]:
    """Events that are logged."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and (level := level_of(node.func)):
            words = frozenset(word.arg for word in node.keywords if word.arg)
            for name in names(node.args[0], tree):
                heard = LEVELS.get(name, "info") if level == "emit" else level
                yield Seen(file, name, heard, words, any(word.arg is None for word in node.keywords))
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            given = {key.value: value for key, value in pairs if isinstance(key, ast.Constant)}
            if isinstance(named := given.get("event"), ast.Constant):
                yield Seen(file, str(named.value), "", frozenset(map(str, given)) - {"event"}, more=True)


def recorded(file: str, tree: ast.Module) -> Iterator[Seen]:
    """Events that are recorded: `Event(at, case, beam, name, ...)`, but not one that is read back (`Event(**row)`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event":
            words = {word.arg: word.value for word in node.keywords}
            named = words.get("event") or (node.args[3] if len(node.args) > 3 else None)
            if None in words:
                continue
            for name in names(named, tree):
                serious = "warning" if _is_warning(Event(0.0, "", 0, name)) else "info"
                yield Seen(file, name, serious if file in LISTENED else "", frozenset())


@cache
def log() -> list[Seen]:
    return [seen for file, tree in trees().items() if not file.startswith("remote/") for seen in logged(file, tree)]


@cache
def record() -> list[Seen]:
    return [seen for file, tree in trees().items() for seen in recorded(file, tree)]


def levels(places: list[Seen]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for seen in places:
        found[seen.name] |= {seen.level} - {""}
    return found


def test_the_recorded_events_are_those_of_the_catalogue():
    assert levels(record()) == {one.name: set(one.levels) for one in catalogue.RECORD}


def test_the_logged_events_are_those_of_the_catalogue():
    declared = {one.name: set(one.levels) for one in catalogue.LOG}
    declared["library.message"] = set()  # its level is the library's own
    assert levels(log()) == declared


def test_each_logged_event_has_the_declared_fields():
    given: dict[str, set[str]] = defaultdict(set)
    for seen in log():
        given[seen.name] |= seen.fields
        if seen.more and seen.name != "library.message":
            given[seen.name] |= OPEN[seen.name]
    given["library.message"] |= {"error", "trace"}  # telemetry.logs adds them to whatever has an exception
    assert given == {one.name: set(one.fields) for one in catalogue.LOG}


def literal(node: ast.expr | None) -> set[str]:
    keys = node.keys if isinstance(node, ast.Dict) else []
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def test_the_facts_of_each_step_are_declared():
    way = [step.name for step in IN_ORDER]
    assert list(catalogue.STEPS) == way
    for step, declared in catalogue.STEPS.items():
        for node in ast.walk(trees()[f"flow/steps/{step}.py"]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Done" and node.args:
                assert literal(node.args[0]) <= set(declared), ast.unparse(node)


def test_every_field_is_explained_and_no_other():
    used = {field for one in (*catalogue.RECORD, *catalogue.LOG) for field in one.fields}
    used |= {field for facts in catalogue.STEPS.values() for field in facts}
    assert catalogue.FIELDS.keys() == used | set(catalogue.ENTRY) | {"timestamp", "level"}
    assert (*chain.CONTENT, "link") == catalogue.ENTRY


def test_the_page_about_events_is_not_stale():
    assert (ROOT / "docs/events.md").read_text() == catalogue.page(), (
        "run: python -m mqi_communicator.telemetry.events > docs/events.md"
    )
