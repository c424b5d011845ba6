"""Read a YAML file with the line of every key.

Plain values follow the core schema of YAML 1.2: `no` is text, `022` is text, `1e-3` is a number. Anchors, tags and a
second document in the file are errors; a file of settings does not need them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mqi_communicator.case.faults import Permanent

Keys = tuple[str | int, ...]
_ABSENT = "does not exist; give another file with --config FILE"
_MAX_BYTES = 1 << 20
_LONGEST = 20  # characters of a number; a longer one is a digest that happens to have only digits
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")


class ConfigProblem(Permanent):
    """The configuration is invalid; `reason` has one line per mistake."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: the line (from 1; 0: the whole file), the path of the key, and what is wrong."""

    line: int
    key: str
    what: str


@dataclass(frozen=True, slots=True)
class Document:
    """The content of the file, and the line of each key."""

    data: Any
    lines: dict[Keys, int]
    mistakes: list[Mistake] = field(default_factory=list)

    def line_of(self, keys: Keys) -> int:
        """Return the line of the key, or of its nearest parent that is in the file."""
        while keys and keys not in self.lines:
            keys = keys[:-1]
        return self.lines.get(keys, 1)


def problem(path: Path, mistakes: list[Mistake]) -> ConfigProblem:
    """Return all mistakes as one fault, in the order of the file."""
    lines = [f"{path}:{m.line or 1}: {m.key + ': ' if m.key else ''}{m.what}" for m in sorted(set(mistakes))]
    return ConfigProblem("\n".join(lines), "config.example.yaml shows every key; docs/configuration.md explains them")


def read(path: Path) -> Document:
    """Read the file; collects mistakes in the document. ConfigProblem if it is not a readable YAML mapping."""
    text = _text(path)
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        raise problem(path, [_syntax(text, error)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise problem(path, [Mistake(line, "", "contains a control character, which YAML does not allow")]) from error
    except RecursionError as error:
        raise problem(path, [Mistake(0, "", "is nested too deeply for a configuration")]) from error
    if node is None:
        raise problem(path, [Mistake(0, "", "is empty")])
    if not isinstance(node, yaml.MappingNode):
        raise problem(path, [Mistake(0, "", "is not a mapping; expected settings of the form `key: value`")])
    document = Document({}, {})
    document.data.update(_value(node, (), document))
    return document


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="anchors (&) and aliases (*) are not allowed", problem_mark=event.start_mark
            )
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            raise problem(path, [Mistake(0, "", "is not a file" if path.exists() else _ABSENT)])
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise problem(path, [Mistake(0, "", f"cannot be read: {error.strerror}")]) from error
    if len(raw) > _MAX_BYTES:
        raise problem(path, [Mistake(0, "", "is larger than 1 MiB, too large for a configuration")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise problem(path, [Mistake(line, "", "is not UTF-8 text: save the file as UTF-8")]) from error


def _syntax(text: str, error: yaml.MarkedYAMLError) -> Mistake:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 0
    here = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    if "\t" in here[: len(here) - len(here.lstrip())] or "'\\t'" in str(error.problem):
        return Mistake(line, "", "contains a tab; indent YAML with spaces")
    if error.context == "expected a single document in the stream":
        return Mistake(line, "", "starts a second document (---); a file holds one configuration")
    reason = str(error.problem or error.context)
    if reason.startswith("mapping values are not allowed"):
        reason = "a second `:` in the line, or wrong indentation; put text with `: ` in quotes"
    return Mistake(line, "", f"not valid YAML: {reason}")


def _value(node: yaml.Node, keys: Keys, document: Document) -> Any:
    if not node.tag.startswith("tag:yaml.org,2002:") or "python" in node.tag:
        document.mistakes.append(Mistake(_line(node), dotted(keys), f"tags ({node.tag}) are not allowed"))
        return None
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(node, keys, document))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            document.lines[(*keys, number)] = _line(item)
        return [_value(item, (*keys, number), document) for number, item in enumerate(node.value)]
    return scalar(node.value, quoted=node.style is not None) if isinstance(node, yaml.ScalarNode) else None


def _entries(node: yaml.MappingNode, keys: Keys, document: Document) -> Iterator[tuple[str, Any]]:
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            document.mistakes.append(Mistake(_line(key), dotted(keys), "the key must be one word, not a list or group"))
            continue
        path = (*keys, key.value)
        if path in document.lines:
            what = f"is a duplicate of line {document.lines[path]}"
            document.mistakes.append(Mistake(_line(key), dotted(path), what))
            continue
        document.lines[path] = _line(key)
        yield key.value, _value(value, path, document)


def scalar(text: str, *, quoted: bool) -> str | float | bool | None:
    """Convert one value of the file (YAML 1.2 core schema, decimal numbers only)."""
    if quoted:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.fullmatch(text):
        return int(text) if len(text) < _LONGEST else text
    if len(text) < _LONGEST and _FLOAT.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _line(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def dotted(keys: Keys) -> str:
    """Format the path of a key, such as machines.GTR1.sha256; list items count from 1."""
    return "".join(f"[{key + 1}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
