"""The dashboard's own scripts, styles and pictures, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_IMMUTABLE = "public, max-age=31536000, immutable"


@cache
def version(folder: Path) -> str:
    """A digest over the names and contents of all files in the folder, so that files may name one another."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return f"v-{digest.hexdigest()[:16]}"


class VersionedFiles(StaticFiles):
    """Serves /VERSION/NAME, to be kept by browsers for a year, and /NAME or an older version, not to be kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._version = version(folder)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, whatever version is asked for. A browser may keep the current one only."""
        given, _, name = path.partition("/")
        response = await super().get_response(name if given.startswith("v-") else path, scope)
        if given == self._version and response.status_code in (200, 304):
            response.headers["Cache-Control"] = _IMMUTABLE
        return response
