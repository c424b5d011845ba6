"""Writes config.example.yaml and docs/configuration.md from the options' own descriptions.

python -m mqi_communicator.config.example > config.example.yaml
python -m mqi_communicator.config.example --reference > docs/configuration.md
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mqi_communicator.config import Config
from mqi_communicator.config.file import scalar

_WIDTH = 110
_MARKS = r"^[-?!&*|>%@`'\"{}\[\],#:]|: |:$| #|\s$|^\s"  # with these YAML wants quotes
_HEAD = """\
# The settings of MQI Communicator. Copy this file to config.yaml and fill in your own.
# A line that is commented out shows the value in effect without it. Anything unknown here is refused.
# Relative paths are relative to this file. No secret stands here: SSH keys are files of their own.
"""
_REFERENCE_HEAD = """\
Every setting of the one YAML file, made from the program's own descriptions by
`python -m mqi_communicator.config.example --reference`. Anything unknown in the file is refused, with its line."""

# Where a field has no default, or a better picture than its default: what the example shows.
_SHOWN: dict[str, object] = {
    "paths.watch": "/data/mqi/incoming",
    "paths.workspace": "/var/lib/mqi",
    "paths.results": "/data/mqi/results",
    "paths.remote": "/home/mqi/work",
    "ssh.name": "gpu1",
    "ssh.host": "gpu1.example.org",
    "ssh.user": "mqi",
    "ssh.identity_file": "~/.ssh/mqi_ed25519",
    "engine.home": "/opt/mcsquare",
    "machines.*.beam_model": "beam_models/GTR1.txt",
    "machines.*.sha256": "0" * 64,
    "machines.*.commissioned_by": "A. Physicist",
    "machines.*.commissioned_on": "2026-01-31",
    "scanners.*.density": "scanners/ct1/HU_Density_Conversion.txt",
    "scanners.*.density_sha256": "0" * 64,
    "scanners.*.material": "scanners/ct1/HU_Material_Conversion.txt",
    "scanners.*.material_sha256": "0" * 64,
    "scanners.*.commissioned_by": "A. Physicist",
    "scanners.*.commissioned_on": "2026-01-31",
    "dose_conventions.*.medium": "water",
    "dose_conventions.*.biology": "rbe",
    "dose_conventions.*.extent": "course",
}
_HOSTS = """\
hosts:
  - ssh:
      name: gpu1
      host: gpu1.example.org
    gpus: {}
    jobs: 4
  - ssh:
      name: cluster
      host: login1.cluster.example.org
      fallback: [login2.cluster.example.org]
    slurm:
      partition: gpu
      gres: gpu:1
    jobs: 40
    remote: /scratch/mqi/work"""
# The key that stands for "any name" in a section of names.
_NAMES = {
    "machines": "GTR1",
    "scanners": "SIEMENS|SOMATOM Definition AS|CT1",
    "dose_conventions": "RaySearch Laboratories",
}


def example() -> str:
    """The example file: every key of every component, required ones set, the others as comments with their default."""
    lines = _HEAD.splitlines()
    for name, field in Config.model_fields.items():
        lines += ["", *_comment(field.description or "", 0), *_section(name, field)]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The reference page: one table per section, in Markdown."""
    pages = [
        "# Configuration",
        "",
        _REFERENCE_HEAD,
    ]
    for name, field in Config.model_fields.items():
        pages += ["", f"## {name}", "", field.description or ""]
        model, named = _model(field.annotation)
        pages += _tables(model, _place(name, field.annotation, named=named)) if model else []
    return "\n".join(pages) + "\n"


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    model, named = _model(field.annotation)
    if model is None:
        return
    if _is_list(field.annotation):
        yield from (f"# {line}" for line in _HOSTS.splitlines())
        return
    off = "# " if _optional(field) and name != "ssh" else ""  # some exclude one another; the example shows ssh
    yield f"{off}{name}:"
    depth = 1
    if named:
        yield f"  {_NAMES[name]}:"
        depth = 2
    yield from (f"{off}{line}" for line in _body(model, f"{name}.*" if named else name, depth))


def _body(model: type[BaseModel], path: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        inner, named = _model(field.annotation)
        yield from _comment(field.description or "", depth)
        if inner is None or _is_list(field.annotation):
            yield f"{indent}{'' if key in _SHOWN else '# '}{name}: {_yaml(_value(key, field))}"
        elif named or _optional(field):
            yield f"{indent}# {name}: {'{}' if named else ''}".rstrip()
        else:
            yield f"{indent}{name}:"
            yield from _body(inner, key, depth + 1)


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    yield from ("", "| key | type | default | meaning |", "|---|---|---|---|")
    below: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        inner, named = _model(field.annotation)
        if inner is not None:
            below.append((inner, _place(f"{path}.{name}", field.annotation, named=named)))
        cells = (f"`{path}.{name}`", _type(field), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for inner, place in below:
        yield from _tables(inner, place)


def _model(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The group of settings in an annotation, and whether it stands below names of the site's own choice."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for inner in get_args(annotation):
        found, named = _model(inner)
        if found is not None:
            return found, named or get_origin(annotation) is dict
    return None, False


def _place(path: str, annotation: Any, *, named: bool) -> str:
    """Where the settings of a group stand: below names of the site's choice, in a list, or just there."""
    return f"{path}.<name>" if named else f"{path}[]" if _is_list(annotation) else path


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (list, tuple)


def _optional(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _value(key: str, field: FieldInfo) -> object:
    if key in _SHOWN:
        return _SHOWN[key]
    if field.is_required():
        raise LookupError(f"{key} has no default: give it an example in config.example")
    return _plain(field)


def _plain(field: FieldInfo) -> object:
    """A field's default as it would stand in the file."""
    return field.get_default(call_default_factory=True, validated_data={})


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if _model(field.annotation)[0] is not None and not _is_list(field.annotation):
        return "none" if _optional(field) else "as below"
    value = _plain(field)
    return "none" if value is None or value is PydanticUndefined else f"`{_yaml(value)}`"


def _type(field: FieldInfo) -> str:
    inner, named = _model(field.annotation)
    if inner is not None:
        return "groups by name" if named else "list of groups" if _is_list(field.annotation) else "group"
    return _type_words(field.annotation)


def _type_words(annotation: Any) -> str:
    words = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in words:
        return words[annotation]
    if isinstance(annotation, type):
        members = getattr(annotation, "__members__", None)
        return ", ".join(f"`{member.value}`" for member in members.values()) if members else annotation.__name__.lower()
    arguments = get_args(annotation)
    if arguments and not any(isinstance(inner, type) or get_args(inner) for inner in arguments):
        return ", ".join(f"`{choice}`" for choice in arguments)
    kinds = [_type_words(inner) for inner in arguments if isinstance(inner, type) or get_args(inner)]
    return ("list of " if get_origin(annotation) in (list, tuple) else "") + kinds[0]


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple | frozenset | set):
        return json.dumps([str(item) for item in value])
    text = str(value)
    plain = scalar(text, quoted=False) == text and not text.isdigit() and not re.search(_MARKS, text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str, depth: int) -> list[str]:
    indent = "  " * depth
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


if __name__ == "__main__":
    sys.stdout.write(reference() if "--reference" in sys.argv[1:] else example())
