"""A configuration of a communicator that has nothing to do: for tests of its start, its stop and its store."""

from __future__ import annotations

from pathlib import Path

import yaml


def write_idle_config(folder: Path) -> Path:
    """Write config.yaml and an empty watched folder into `folder`; return the path of the file."""
    settings = {
        "paths": {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"kind": "mcsquare", "home": str(folder)},
        "intake": {"rescan_s": 1},
        "monitoring": {"metrics_port": 0},
    }
    (folder / "watch").mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder / "config.yaml"
