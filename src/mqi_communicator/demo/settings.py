"""Writes the configuration of the demo: an ordinary configuration file."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import yaml

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.demo import truth_engine
from mqi_communicator.demo.phantom import COUCH
from mqi_communicator.demo.sample_case import MANUFACTURER
from mqi_communicator.demo.sample_shifters import DECLARED, IN_WORD, TRAVEL
from mqi_communicator.demo.slot import Slot
from mqi_communicator.demo.truth import MACHINE
from mqi_communicator.demo.vendors import VENDORS
from mqi_communicator.remote.options import SshOptions
from mqi_communicator.system.command import typed

HISTORIES = 400_000  # per beam: a statistical uncertainty (1 sigma) of 1.3 % per beam and 0.9 % for the plan
GOALS = {"Target": ["D95% >= 95 %", "D2% <= 107 %"], "Lung": ["V20Gy(RBE) <= 30 %", "Dmean <= 5 Gy(RBE)"]}
SCANNER = f"{MANUFACTURER}|SYNTHETIC CT|DEMO"  # Manufacturer|ManufacturerModelName|StationName of the sample CT


def write_config(slot: Slot, engine_home: Path, ssh: SshOptions, *, web: bool = False) -> None:
    """Write `slot.config`; with `web`, with a dashboard too. ActionRequired if the engine has not been fetched."""
    if not (engine_home / "MCsquare_linux").is_file():
        raise ActionRequired(
            f"the dose engine is missing in {engine_home}", f"fetch it: {typed('fetch-engine', engine_home)}"
        )
    settings = {
        "paths": {
            "watch": str(slot.watch),
            "deliveries": str(slot.deliveries),
            "workspace": str(slot.workspace),
            "results": str(slot.results),
            "remote": str(slot.make_remote()),
        },
        "ssh": ssh.model_dump(mode="json", exclude_defaults=True),
        **demo_sections(engine_home),
        "judgement": {"goals": {"structures": GOALS}},
        "intake": {"rescan_s": 2, "settle_s": 1},
        "resources": {"jobs": 1, "local_free_gib": 0.5, "remote_free_gib": 0.5},
        "direct": {"poll_s": 2},
        "monitoring": {"metrics_port": _free_port()},
        **({"web": {"port": _free_port()}} if web else {}),
    }
    slot.config.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True), encoding="utf-8")


def demo_sections(engine_home: Path, histories: int | None = None) -> dict[str, Any]:
    """Return the sections that the demo and the tests share: with them the engine fetched to `engine_home` computes the
    samples. `histories` per beam; None: the demo's number.

    Nobody has commissioned the example data; a dose is judged with it for the samples' own machine alone."""
    model = engine_home / truth_engine.BEAM_MODEL
    density, material = engine_home / truth_engine.DENSITY_CURVE, engine_home / truth_engine.MATERIAL_CURVE
    return {
        "engine": {
            "home": str(engine_home),
            "histories_per_beam": HISTORIES if histories is None else histories,
            "time_limit_s": 1800,
        },
        "machines": {
            MACHINE: {
                "beam_model": str(model),
                "sha256": _sha256(model),
                "range_shifters": {name: _range_shifter(*declared) for name, declared in DECLARED.items()},
            }
        },
        "scanners": {
            SCANNER: {
                "density": str(density),
                "density_sha256": _sha256(density),
                "material": str(material),
                "material_sha256": _sha256(material),
            }
        },
        "preparation": {
            "outside_body": {vendor.manufacturer: vendor.outside for vendor in VENDORS.values()},
            "expected_overrides": [COUCH.solid.name],
        },
        "dose_conventions": {
            manufacturer: {"medium": "medium", "biology": biology, "extent": "course"}
            for manufacturer, biology in _planning_systems().items()
        },
    }


def _planning_systems() -> dict[str, str]:
    """How the doses of each Manufacturer of the samples are weighted: `physical` or `rbe`."""
    return {MANUFACTURER: "physical", **{vendor.manufacturer: vendor.biology for vendor in VENDORS.values()}}


def _range_shifter(wet: float | None, distance: str) -> dict[str, Any]:
    """One of PMMA, as the range shifter of the example beam model."""
    return {
        "wet": wet,
        "material": 64,
        "density": 1.2,
        "distance": distance,
        "travel": list(TRAVEL),
        "settings": {IN_WORD: "IN"},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _free_port() -> int:
    """A TCP port of 127.0.0.1 that is free now; another program may take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
