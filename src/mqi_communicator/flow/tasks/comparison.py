"""The checks of a comparison under way, kept in the spool, so that a restart resumes it where it was.

They count only for the same comparison: equal digests of all doses and the plan, equal limits, and the same code.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mqi_communicator import results
from mqi_communicator.case.model import Kind
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.stored_dose import StoredDose
from mqi_communicator.intake.manifest import load_manifest
from mqi_communicator.results.options import DoseConvention, JudgementOptions
from mqi_communicator.results.remembered import Compute
from mqi_communicator.results.verdict import Check, CheckOutcome
from mqi_communicator.system.durable import make_folder, replace_file


class KeptChecks:
    """See `results.remembered.Remembered`. Checks of another comparison are removed."""

    def __init__(self, spool: Spool, key: str) -> None:
        self._folder = spool.comparison / key
        for other in spool.comparison.glob("*"):
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def has(self, scope: str, name: str) -> bool:
        """Whether they were made before."""
        return self._read(scope, name) is not None

    def get(self, scope: str, name: str, compute: Compute) -> Sequence[Check]:
        """Those that were made before, else computed now and kept."""
        if (found := self._read(scope, name)) is not None:
            return found
        made = tuple(compute())
        make_folder(self._folder)
        text = json.dumps([asdict(check) for check in made])
        replace_file(self._path(scope, name), f"{_digest(text)}\n{text}")
        return made

    def _read(self, scope: str, name: str) -> tuple[Check, ...] | None:
        try:
            digest, _, text = self._path(scope, name).read_text(encoding="utf-8").partition("\n")
            if digest != _digest(text):
                return None
            return tuple(Check(**{**one, "outcome": CheckOutcome(one["outcome"])}) for one in json.loads(text))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _path(self, scope: str, name: str) -> Path:
        return self._folder / f"{scope.replace(' ', '-')}.{name}.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def comparison_key(
    spool: Spool,
    computed: Sequence[StoredDose],
    judgement: JudgementOptions,
    conventions: Mapping[str, DoseConvention],
) -> str:
    """A digest of everything that the checks of doses depend on."""
    admitted = load_manifest(spool.manifest)
    about: dict[str, Any] = {
        "computed": {one.token: (one.sha256, asdict(one.dose.grid), one.dose.uncertainty) for one in computed},
        "admitted": sorted(file.sha256 for kind in (Kind.PLAN, Kind.DOSE) for file in admitted.of(kind)),
        "limits": judgement.model_dump(mode="json"),
        "conventions": {name: one.model_dump(mode="json") for name, one in conventions.items()},
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def _code() -> str:
    """A digest of the code that compares doses, and of the libraries that it computes with."""
    found = hashlib.sha256(" ".join(version(name) for name in ("numpy", "scipy", "numba")).encode())
    for folder in results.__path__:
        for path in sorted(Path(folder).glob("*.py")):
            found.update(path.read_bytes())
    return found.hexdigest()
