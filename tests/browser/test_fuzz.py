"""The API against its OpenAPI description, fuzzed by schemathesis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


def test_no_request_breaks_what_the_description_promises(board, live, tmp_path):
    with board.signed_in("otto") as otto:
        description = otto.get("/api/v1/openapi.json").json()
        (tmp_path / "openapi.json").write_text(json.dumps(_for_fuzzing(description, sorted(live.values()))))
        cookies = "; ".join(f"{name}={value}" for name, value in otto.cookies.items())
        token = otto.headers["X-CSRF-Token"]
        argv = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", board.address, "--seed", "1"]
        argv += ["-H", f"Cookie: {cookies}", "-H", f"X-CSRF-Token: {token}", "--max-examples", "20", "--no-color"]
        argv += ["--request-timeout", "60"]
        fuzz = subprocess.run(
            argv, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, capture_output=True, text=True, check=False
        )
        assert fuzz.returncode == 0, fuzz.stdout
        assert otto.get("/api/v1/now").status_code == 200


def _for_fuzzing(description: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """With keys of cases that exist, and every request signed in: that strangers get nothing has tests of its own."""
    del description["security"], description["components"]["securitySchemes"]
    for path in description["paths"].values():
        for operation in path.values():
            operation["responses"].pop("401", None)
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "key":
                    parameter["schema"] = {"enum": [*keys, "nobody"]}
    return description
