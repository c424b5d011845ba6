"""Write config.minimal.yaml: what each site must say itself, since it has no usable default.

python -m mqi_communicator.config.minimal > config.minimal.yaml
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import yaml

from mqi_communicator.config.example import example_of, name_of

_HEAD = """\
# What a site must say; all else has a default: `mqi config example` shows it. `mqi config init` asks and writes.
"""
# The keys of each section; below a name that the site chooses where the section has names.
KEYS: dict[str, tuple[str, ...]] = {
    "paths": ("watch", "workspace", "results", "remote"),
    "ssh": ("name", "host", "user", "identity_file", "known_hosts_file"),
    "engine": ("kind", "home"),
    "machines": ("beam_model", "sha256", "commissioned_by", "commissioned_on"),
    "scanners": (
        "density", "density_sha256", "material", "material_sha256", "commissioned_by", "commissioned_on"
    ),
    "dose_conventions": ("medium", "biology", "extent"),
}  # fmt: skip
# With moqui: the program in place of a folder, and its built-in conversion in place of files.
MOQUI_KEYS: dict[str, tuple[str, ...]] = {
    "engine": ("kind", "program"),
    "scanners": ("calibration", "commissioned_by", "commissioned_on"),
}
_COMMENTS = {
    "paths": "three folders of this machine, and the one on the compute host",
    "ssh": "the compute host",
    "engine": "MCsquare on the host; for moqui see docs/moqui.md",
    "machines": "by TreatmentMachineName; a model that nobody commissioned is computed with and never judged",
    "scanners": "by Manufacturer|ManufacturerModelName|StationName",
    "dose_conventions": "by Manufacturer of the planning system: what its planned doses are",
}
_CHOSEN = {"ssh.known_hosts_file": "~/.ssh/mqi_known_hosts", "engine.kind": "mcsquare"}  # the example has the defaults
NAMED = ("machines", "scanners", "dose_conventions")


def example() -> dict[str, Any]:
    """The settings of config.minimal.yaml: those of config.example.yaml."""
    made: dict[str, Any] = {}
    for section, keys in KEYS.items():
        path = f"{section}.*" if section in NAMED else section
        group = {key: _CHOSEN.get(f"{path}.{key}") or example_of(f"{path}.{key}") for key in keys}
        made[section] = {name_of(section): group} if section in NAMED else group
    return made


def minimal(settings: Mapping[str, Any]) -> str:
    """The file with these settings; each section has a comment in its first line."""
    return _HEAD + "".join(_section(name, content) for name, content in settings.items())


def _section(name: str, content: object) -> str:
    first, *others = yaml.safe_dump({name: content}, sort_keys=False, allow_unicode=True, width=1000).splitlines()
    return "\n".join([f"{first}  # {_COMMENTS[name]}" if name in _COMMENTS else first, *others]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(minimal(example()))
