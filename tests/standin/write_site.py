"""A whole communicator on this machine, with the stand-in as its engine, two GPUs that are only named, and one case.

python -m tests.standin.write_site FOLDER [FLAVOUR [KIND]]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.standin import site

_QUICK = {
    "intake": {"rescan_s": 1, "settle_s": 0.3, "still_s": 1, "no_dose_still_s": 1},
    "resources": {"jobs": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1},
    "direct": {"poll_s": 0.3},
    "retry": {"first_s": 0.3, "cap_s": 2},
    "monitoring": {"metrics_port": 0},
}


def write_site(
    folder: Path, flavour: str = "upstream", kind: str = "pass", behaves: Mapping[str, Any] | None = None, **engine: Any
) -> Path:
    """Write program, case and configuration, and say where the configuration is."""
    places = {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")}
    program = site.install(folder / "host", flavour=flavour, needs_gpu=True, **(behaves or {}))
    config_sections = site.sections(program, folder / "beam_file.txt", flavour, **engine)
    gpus = {"listed": [{"id": number, "memory_mib": 16_000} for number in (0, 1)]}
    for name in ("watch", "workspace", "results"):
        (folder / name).mkdir(exist_ok=True)
    site.write_sample(folder / "watch" / "case", kind=kind, flavour=flavour)
    config = folder / "config.yaml"
    config.write_text(json.dumps(config_sections | _QUICK | {"paths": places, "local": {}, "gpus": gpus}, indent=2))
    return config


if __name__ == "__main__":
    place, flavour, kind = sys.argv[1:] + ["upstream", "pass"][len(sys.argv) - 2 :]
    sys.stdout.write(f"{write_site(Path(place).resolve(), flavour, kind)}\n")
