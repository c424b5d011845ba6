"""axe-core in a page: what it finds against WCAG 2.2, levels A and AA."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.browser.driving import Browser

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 240  # a page with hundreds of points in its charts takes long on a busy machine
_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then((found) => done(
  found.violations.map((one) => one.id + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 150) + " "
    + (node.any[0] || node.all[0] || node.none[0] || {message: ""}).message).join(" | "))));
"""


@cache
def _script() -> str:
    """axe-core as set-up fetched it, else fetched now."""
    kept = ROOT / ".setup/axe/axe.min.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="mqi-axe-") as folder:
        subprocess.run([sys.executable, str(ROOT / "tests/browser/fetch_axe.py"), folder], check=True)
        return (Path(folder) / "axe.min.js").read_text(encoding="utf-8")


def violations(person: Browser) -> list[str]:
    """The rules that the present page violates, with the elements."""
    person.driver.set_script_timeout(_PATIENCE_S)
    person.driver.execute_script(_script())  # by the debugger: the page's policy does not apply to it
    found: list[str] = person.driver.execute_async_script(_RUN)
    return found
