"""The site of commit 4614cf4: a store, results and a log, made before events and tables were renamed."""

from __future__ import annotations

import contextlib
import sqlite3
import tarfile
from pathlib import Path

import yaml

_MADE = Path(__file__).parent / "fixtures/store_4614cf4/site.tar.xz"


def old_site(folder: Path) -> Path:
    """Unpack the folder in which the old version ran, as if it had run in `folder`, with a configuration of today."""
    with tarfile.open(_MADE) as packed:
        packed.extractall(folder, filter="data")
    for name in ("workspace", "watch"):
        (folder / name).mkdir()
    store = (folder / "store.sqlite3").rename(folder / "workspace/store.sqlite3")
    with contextlib.closing(sqlite3.connect(store)) as opened, opened:
        opened.execute("update cases set results = replace(results, '/tmp/oldsite', ?)", (str(folder),))
    settings = {
        "paths": {name: str(folder / name) for name in ("watch", "workspace", "results", "remote")},
        "local": {},
        "engine": {"home": "/opt/mcsquare"},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    return folder
