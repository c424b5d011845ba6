#!/usr/bin/env python3
"""The software bill of materials: every library of poetry.lock with its version, as CycloneDX 1.6 in JSON.

.venv/bin/python .ci/sbom.py [--all] > sbom.cdx.json

Without --all the production libraries; with it, also those of the tests. The same lock file gives the same components.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "setup"))

from lockfile import ROOT, locked, plain


def bill(root: Path, *, everything: bool) -> Bom:
    """The bill of materials of this checkout."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = locked(root, everything=everything)
    parts = {plain(package["name"]): _component(package) for package in packages}
    us = Component(
        name=project["name"], version=project["version"], type=ComponentType.APPLICATION, bom_ref=project["name"]
    )
    bom = Bom(components=parts.values())
    bom.metadata.component = us
    direct = [plain(re.split(r"[ (<>=\[;]", line, maxsplit=1)[0]) for line in project["dependencies"]]
    _depends(bom, us, [parts[name] for name in direct])
    for package in packages:
        wanted = [parts[name] for name in map(plain, package.get("dependencies", {})) if name in parts]
        _depends(bom, parts[plain(package["name"])], wanted)
    return bom


def _component(package: dict[str, Any]) -> Component:
    purl = PackageURL("pypi", None, plain(package["name"]), package["version"])
    return Component(
        name=package["name"],
        version=package["version"],
        type=ComponentType("library"),
        description=package.get("description") or None,
        purl=purl,
        bom_ref=str(purl),
    )


def _depends(bom: Bom, part: Component, on: list[Component]) -> None:
    bom.dependencies.add(Dependency(part.bom_ref, [Dependency(one.bom_ref) for one in on]))


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - {"--all"}
    if unknown:
        sys.exit(__doc__)
    print(JsonV1Dot6(bill(ROOT, everything="--all" in sys.argv)).output_as_string(indent=2))  # noqa: T201
