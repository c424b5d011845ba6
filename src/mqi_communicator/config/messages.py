"""Messages for mistakes in a configuration: line, key, what is wrong, and what was probably meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from mqi_communicator.config.file import Document, Keys, Mistake, dotted, problem

Model = TypeVar("Model", bound=BaseModel)
_SECRET = re.compile(r"pass(word|phrase)|secret|token|private_?key$", re.IGNORECASE)


def validate(path: Path, document: Document, model: type[Model]) -> Model:
    """Validate the settings as `model`. ConfigProblem with all mistakes of the document and of its values."""
    try:
        # pydantic's strict mode for JSON fits: text is no number, true is not 1, but a path is text.
        made = model.model_validate_json(json.dumps(_filled(document.data, [model])), strict=True)
    except ValidationError as error:
        found = [_mistake(detail, model, document) for detail in error.errors()]
        raise problem(path, document.mistakes + found) from error
    if document.mistakes:
        raise problem(path, document.mistakes)
    return made


def _filled(data: Any, groups: list[Any]) -> Any:
    """Return the data with `{}` for groups that have no line below them (or only comments)."""
    if data is None and any(_is_model(leaf) or get_origin(leaf) is dict for leaf in _leaves(groups)):
        return {}
    if not isinstance(data, dict):
        return data
    return {
        key: _filled(value, [step for group in groups for step in _below(group, key)]) for key, value in data.items()
    }


def _mistake(detail: ErrorDetails, model: type[BaseModel], document: Document) -> Mistake:
    keys, message = _in_file(detail, document), _message(detail, model)
    named = re.match(r"([a-z_]+): (.*)", message, re.DOTALL)  # a validator of the group that names one of its keys
    if detail["type"] == "value_error" and named and (*keys, named[1]) in document.lines:
        keys, message = (*keys, named[1]), named[2]
    return Mistake(document.line_of(keys), dotted(keys), message)


def _in_file(detail: ErrorDetails, document: Document) -> Keys:
    """Return the error's location as keys of the file, without the tags that pydantic adds for unions."""
    keys: Keys = ()
    for part in detail["loc"]:
        if (*keys, part) in document.lines:
            keys = (*keys, part)
    if detail["type"] == "missing":
        keys = (*keys, detail["loc"][-1])
    if detail["type"] == "union_tag_invalid":
        keys = (*keys, "kind")
    return keys


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        *above, name = detail["loc"]
        if now := _MOVED.get(".".join(map(str, detail["loc"]))):
            return f"is now {now}"
        return _unknown(str(name), known_keys(model, tuple(above)))
    if kind == "union_tag_invalid":
        return f"must be one of {context['expected_tags'].replace(', ', ' or ')}, not {_quoted(context['tag'])}"
    if kind == "missing":
        return "is missing"
    if detail["input"] is None:
        return "has no value; set one or remove the line"
    wanted = _WANTED.get(kind)
    if kind in ("literal_error", "enum"):
        wanted = f"must be one of {context['expected']}"
    if kind == "value_error":
        return str(context["error"])
    if wanted is None:
        wanted = detail["msg"].replace("Input should be", "must be").replace("String should", "must")
    return wanted if isinstance(detail["input"], dict | list) else f"{wanted}, not {_quoted(detail['input'])}"


def _quoted(value: Any) -> str:
    """Return a value as written in the file, truncated."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."  # noqa: PLR2004


_GROUP = "must be a group of `key: value` lines, indented below it"
_WANTED = {
    "string_type": "must be text (put it in quotes)",
    "path_type": "must be a path (put it in quotes)",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "date_type": "must be a date of the form 2026-01-31",
    "date_from_datetime_parsing": "must be a date of the form 2026-01-31",
    "date_parsing": "must be a date of the form 2026-01-31",
    "model_type": _GROUP,
    "dict_type": _GROUP,
    "model_attributes_type": _GROUP,
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}


_RENAMED = {"desk": "workers", "desk_memory_gib": "worker_memory_gib", "desk_limit_s": "worker_limit_s"}
_MOVED = {"web.sign_passes": "signing.passes"}


def _unknown(name: str, known: list[str]) -> str:
    if _SECRET.search(name):
        return "unknown key; secrets are not allowed in this file (SSH keys are files of their own)"
    if (now := _RENAMED.get(name)) in known:
        return f"was renamed to {now}"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else f"valid keys: {', '.join(known)}"
    return f"unknown key; {hint}"


def known_keys(model: type[BaseModel], keys: Keys) -> list[str]:
    """Return the field names allowed below `keys` of a model; empty if any name is allowed.

    Where a group is one of several, `keys` may contain the tag of the chosen one, as pydantic inserts it.
    """
    options: list[Any] = [model]
    for key in keys:
        options = [step for option in options for step in _below(option, key)]
    return sorted({name for leaf in _leaves(options) if _is_model(leaf) for name in leaf.model_fields})


def _below(annotation: Any, key: str | int) -> Iterator[Any]:
    """Yield the annotations below `key`; a dictionary or list accepts any key, a union is resolved by its tag."""
    arguments = get_args(annotation)
    if _is_model(annotation):
        if key in annotation.model_fields:
            yield annotation.model_fields[str(key)].annotation
    elif get_origin(annotation) is dict:
        yield arguments[1]
    elif _is_container(annotation):
        yield arguments[0]
    elif chosen := [inner for inner in arguments if _tag(inner) == key]:
        yield from chosen
    else:
        for inner in arguments:
            yield from _below(inner, key)


def _tag(annotation: Any) -> str | None:
    """Return the tag of a member of a union."""
    if get_origin(annotation) is not Annotated:
        return None
    return next((mark.tag for mark in annotation.__metadata__ if isinstance(mark, Tag)), None)


def _leaves(annotations: list[Any]) -> Iterator[Any]:
    """Yield the models and containers in annotations, with unions resolved."""
    for annotation in annotations:
        if _is_model(annotation) or _is_container(annotation):
            yield annotation
        else:
            yield from _leaves(list(get_args(annotation)))


def _is_container(annotation: Any) -> bool:
    return get_origin(annotation) in (dict, list, tuple)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
