"""Write config.example.yaml and docs/configuration.md from the descriptions of the options.

python -m mqi_communicator.config.example > config.example.yaml
python -m mqi_communicator.config.example --reference > docs/configuration.md
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mqi_communicator.config import Config
from mqi_communicator.config.file import scalar

_WIDTH = 110
_MARKS = r"^[-?!&*|>%@`'\"{}\[\],#:]|: |:$| #|\s$|^\s"  # text that YAML must have in quotes
_HEAD = """\
# The settings of MQI Communicator. Copy this file to config.yaml and adapt it.
# A line that is commented out shows the default. Unknown keys are errors.
# Relative paths are relative to this file. The file holds no secrets: SSH keys are files of their own.
"""
_REFERENCE_HEAD = """\
Look up the meaning, type and default of each setting of the YAML file. The page is generated from the program by
`python -m mqi_communicator.config.example --reference`. An unknown key is an error, reported with its line."""

# Values shown in the example where a field has no default, or its default is not instructive.
_SHOWN: dict[str, object] = {
    "paths.watch": "/data/mqi/incoming",
    "paths.workspace": "/var/lib/mqi",
    "paths.results": "/data/mqi/results",
    "paths.remote": "/home/mqi/work",
    "ssh.name": "gpu1",
    "ssh.host": "gpu1.example.org",
    "ssh.user": "mqi",
    "ssh.identity_file": "~/.ssh/mqi_ed25519",
    "web.proxy.socket": "/run/mqi/web/proxy.sock",
    "engine.home": "/opt/mcsquare",
    "engine.program": "/opt/moqui/tps_env",
    "machines.*.beam_model": "beam_models/GTR1.txt",
    "machines.*.sha256": "0" * 64,
    "machines.*.gantry": 2,
    "machines.*.energies": (70.0, 230.0),
    "machines.*.commissioned_by": "A. Physicist",
    "machines.*.commissioned_on": "2026-01-31",
    "scanners.*.density": "scanners/ct1/HU_Density_Conversion.txt",
    "scanners.*.density_sha256": "0" * 64,
    "scanners.*.material": "scanners/ct1/HU_Material_Conversion.txt",
    "scanners.*.material_sha256": "0" * 64,
    "scanners.*.commissioned_by": "A. Physicist",
    "scanners.*.commissioned_on": "2026-01-31",
    "extension.max_histories_per_beam": 20_000_000,
    "notify.webhook.url_file": "/etc/mqi/webhook-url",
    "notify.mail.host": "mail.example.org",
    "notify.mail.sender": "mqi@example.org",
    "notify.mail.recipients": ("physics@example.org",),
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
_CONSTANCY = """\
constancy:
  - name: GTR1 phantom
    folder: /data/mqi/constancy/gtr1
    every_days: 30"""
_FLAVOUR = """\
flavours:
  ours:
    based_on: fork
    end_mark: ^All beams done$"""
_BEFORE = """\
before:
  - name: interpreter
    argv: [/opt/site/interpret, --beam, "{beam}", --out, spots]
    failure_patterns: [^Traceback]"""
_AFTER = """\
after:
  - name: converter
    argv: [/opt/site/to_raw, Outputs-1, Outputs-2]
    outputs: ["Outputs-1/beam_{beam}_0_Dose.raw", "Outputs-2/beam_{beam}_0_Dose.raw"]"""
_DEVICES = """\
devices:
  range_shifters:
    commissioned_by: A. Physicist
    commissioned_on: 2026-01-31
    measured: "10 x 10 cm2, 150 MeV, behind RS_3CM at 80 and 250 mm: depth dose and profiles at 30 and 80 mm"
  apertures:
    commissioned_by: A. Physicist
    commissioned_on: 2026-01-31
    measured: "6 x 8 cm2 L-shaped brass aperture on either side of its tray: profiles at 30 and 80 mm\""""
_LOGS = """\
logs:
  offset: [24580, 32772]
  gain_mm: [0.00726, 0.0071411]
  planned_gain_mm: [0.005445, 0.0071411]
  counts_per_mu: 4.67e+7
  range_factors: {2: 1, 3: 2.978723, 4: 8.936170, 5: 26.808511}
  commissioned_by: A. Physicist
  commissioned_on: 2026-01-31"""
_SHIFTERS = """\
range_shifters:
  RS_3CM:
    wet: 34.3
    material: 64
    density: 1.2
    distance: plan
    travel: [50, 400]
    settings: {POSITION1: IN}
    commissioned_by: A. Physicist
    commissioned_on: 2026-01-31"""
_GOALS = """\
structures:  # names as in the report of AAPM TG-263
  "PTV*": ["D95% >= 95 %", "D2% <= 107 %"]
  "CTV*": ["D98% >= 95 %"]
  SpinalCord: ["D0.03cc <= 45 Gy(RBE)"]
  Brainstem: ["D0.03cc <= 54 Gy(RBE)", "D0.03cc <= 1.9 Gy(RBE) per fraction"]
  Lungs: ["V20Gy(RBE) <= 30 %", "Dmean <= 20 Gy(RBE)"]
  Liver: ["V15Gy(RBE) <= 700 cc"]"""
# Examples of groups in lists or below names, where a default would say little.
_EXAMPLES = {
    "hosts": _HOSTS,
    "judgement.goals.structures": _GOALS,
    "constancy": _CONSTANCY,
    "machines.*.moqui.devices": _DEVICES,
    "machines.*.range_shifters": _SHIFTERS,
    "machines.*.logs": _LOGS,
    "engine.flavours": _FLAVOUR,
    "engine.before": _BEFORE,
    "engine.after": _AFTER,
}
# The key that the example shows in a section whose keys are names.
_NAMES = {
    "machines": "GTR1",
    "scanners": "SIEMENS|SOMATOM Definition AS|CT1",
    "dose_conventions": "RaySearch Laboratories",
}


def example() -> str:
    """Return the example file: every key, required ones set, the others commented out with their defaults."""
    lines = _HEAD.splitlines()
    for name, field in Config.model_fields.items():
        lines += ["", *_comment(field.description or "", 0), *_section(name, field)]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """Return the reference page: one Markdown table per section."""
    pages = [
        "# Configuration",
        "",
        _REFERENCE_HEAD,
    ]
    for name, field in Config.model_fields.items():
        pages += ["", f"## {name}", "", field.description or ""]
        groups, named = _groups(field.annotation)
        for group in groups:
            pages += ["", _summary(group)] if len(groups) > 1 else []
            pages += _tables(group, _path_of(name, field.annotation, named=named))
    return "\n".join(pages) + "\n"


def example_of(key: str) -> object:
    """The value that the example shows for a key without a default, such as machines.*.sha256. KeyError for others."""
    return _SHOWN[key]


def question(key: str) -> str:
    """What a key means, such as machines.*.sha256, as a person is asked for it. LookupError for an unknown key."""
    groups: list[type[BaseModel]] = [Config]
    *path, last = [part for part in key.split(".") if part != "*"]
    for part in path:
        groups = next(_groups(group.model_fields[part].annotation)[0] for group in groups if part in group.model_fields)
    return next(group.model_fields[last].description or "" for group in groups if last in group.model_fields)


def name_of(section: str) -> str:
    """The name that the example shows in a section whose keys are names."""
    return _NAMES[section]


def _section(name: str, field: FieldInfo) -> Iterator[str]:
    if name in _EXAMPLES:
        yield from _commented(_EXAMPLES[name].splitlines())
        return
    (first, *others), _named = _groups(field.annotation)
    shown = _section_lines(name, field, first)
    yield from _commented(shown) if _optional(field) and name != "ssh" else shown  # some are mutually exclusive
    for other in others:
        promise = _summary(other)
        yield from ("", *_comment(f"Or instead: {promise[0].lower()}{promise[1:]}", 0))
        yield from _commented(_section_lines(name, field, other))


def _section_lines(name: str, field: FieldInfo, group: type[BaseModel]) -> Iterator[str]:
    """Yield a section with its heading: the group itself, or the group below a name chosen by the site."""
    named = _groups(field.annotation)[1]
    yield f"{name}:"
    if named:
        yield f"  {_NAMES[name]}:"
    yield from _body(group, f"{name}.*" if named else name, 2 if named else 1)


def _commented(lines: Iterable[str], indent: str = "") -> Iterator[str]:
    """Return the lines commented out, with the # at this indentation."""
    return (f"{indent}# {line.removeprefix(indent)}".rstrip() for line in lines)


def _body(model: type[BaseModel], path: str, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in model.model_fields.items():
        key = f"{path}.{name}"
        groups, named = _groups(field.annotation)
        yield from _comment(field.description or "", depth)
        if key in _EXAMPLES:
            yield from _commented(textwrap.indent(_EXAMPLES[key], indent).splitlines(), indent)
        elif not groups or named or _is_list(field.annotation):
            off = "" if key in _SHOWN or field.is_required() else "# "
            yield f"{indent}{off}{name}: {_yaml(_value(key, field))}"
        else:
            lines = [f"{indent}{name}:", *_body(groups[0], key, depth + 1)]
            yield from _commented(lines, indent) if _optional(field) else lines


def _tables(model: type[BaseModel], path: str) -> Iterator[str]:
    yield from ("", "| key | type | default | meaning |", "|---|---|---|---|")
    below: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        groups, named = _groups(field.annotation)
        below += [(group, _path_of(f"{path}.{name}", field.annotation, named=named)) for group in groups]
        cells = (f"`{path}.{name}`", _type(field), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    for inner, inner_path in below:
        yield from _tables(inner, inner_path)


def _groups(annotation: Any) -> tuple[list[type[BaseModel]], bool]:
    """Return the groups of settings allowed here, and whether they are below names chosen by the site."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation], False
    found: list[type[BaseModel]] = []
    named = get_origin(annotation) is dict
    for inner in get_args(annotation):
        more, inner_named = _groups(inner)
        found, named = found + more, named or inner_named
    return found, named


def _summary(group: type[BaseModel]) -> str:
    """Return the first line of a group's docstring."""
    return (group.__doc__ or "").splitlines()[0]


def _path_of(path: str, annotation: Any, *, named: bool) -> str:
    """Return the path of a group's settings: below names chosen by the site, in a list, or the path itself."""
    return f"{path}.<name>" if named else f"{path}[]" if _is_list(annotation) else path


def _is_list(annotation: Any) -> bool:
    return any(get_origin(one) in (list, tuple) for one in (annotation, *get_args(annotation)))


def _optional(field: FieldInfo) -> bool:
    return type(None) in get_args(field.annotation)


def _value(key: str, field: FieldInfo) -> object:
    if key in _SHOWN:
        return _SHOWN[key]
    if get_origin(field.annotation) is Literal:
        return get_args(field.annotation)[0] if field.is_required() else _plain(field)
    if field.is_required():
        raise LookupError(f"{key} has no default: add an example to config.example")
    return _plain(field)


def _plain(field: FieldInfo) -> object:
    """Return a field's default as it would be written in the file."""
    return field.get_default(call_default_factory=True, validated_data={})


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    groups, named = _groups(field.annotation)
    if groups and not named and not _is_list(field.annotation):
        return "none" if _optional(field) else "as below"
    value = _plain(field)
    return "none" if value is None or value is PydanticUndefined else f"`{_yaml(value)}`"


def _type(field: FieldInfo) -> str:
    groups, named = _groups(field.annotation)
    if groups:
        return "groups by name" if named else "list of groups" if _is_list(field.annotation) else "group"
    return _type_text(field.annotation)


def _type_text(annotation: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if annotation in names:
        return names[annotation]
    if isinstance(annotation, type):
        members = getattr(annotation, "__members__", None)
        return ", ".join(f"`{member.value}`" for member in members.values()) if members else annotation.__name__.lower()
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return f"{_type_text(arguments[1])} by key"
    if arguments and not any(isinstance(inner, type) or get_args(inner) for inner in arguments):
        return ", ".join(f"`{_yaml(choice)}`" for choice in arguments)
    kinds = [_type_text(inner) for inner in arguments if isinstance(inner, type) or get_args(inner)]
    return ("list of " if get_origin(annotation) in (list, tuple) else "") + kinds[0]


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple | frozenset | set):
        return json.dumps([item if isinstance(item, int | float) else str(item) for item in value])
    if isinstance(value, dict):
        return json.dumps(value)
    text = str(value)
    plain = scalar(text, quoted=False) == text and not text.isdigit() and not re.search(_MARKS, text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _comment(text: str, depth: int) -> list[str]:
    indent = "  " * depth
    return textwrap.wrap(text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


if __name__ == "__main__":
    sys.stdout.write(reference() if "--reference" in sys.argv[1:] else example())
