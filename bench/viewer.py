"""The viewer: what its volumes cost the report's worker, and how long Chromium takes to open and to scroll them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from tests.boards import dashboard
from tests.browser.driving import Browser, browser
from tests.viewed import COURSE, KEY, sample, viewed

from mqi_communicator.dicom.contours import Structure
from mqi_communicator.dicom.records import CTVolume, Dose, Grid
from mqi_communicator.report.gammas import gamma_map
from mqi_communicator.report.options import Criterion, ReportOptions
from mqi_communicator.report.viewer import ViewerFile, viewer_file
from mqi_communicator.report.volumes import Volumes, shown_box, view_volumes
from mqi_communicator.results.options import GammaOptions

CT = Grid((240, 512, 512), (-250.0, -250.0, -240.0), (0.976, 0.976, 2.0))
PLANNED = Grid((136, 140, 152), (-190.0, -175.0, -170.0), (2.5, 2.5, 2.5))
_TARGET = (80.0, 60.0, 90.0)  # mm: the half axes of the region of high dose
_STEPS = 10


@dataclass(frozen=True, slots=True)
class Opened:
    """One case in the viewer."""

    name: str
    made_s: float | None  # CPU of making the volumes
    size: int  # bytes
    open_s: float  # from the link to the first picture
    step_ms: float  # median, of one slice in all three planes
    renderer: str


def measure(base: Path) -> list[Opened]:
    """The demo's case, and one of 512 x 512 x 240."""
    shown = viewed(base, draft=sample("HFS", "standard"))
    found = []
    with dashboard(shown.config) as board, browser(board.address) as person:
        person.sign_in("vera")
        found.append(_open(person, "demo", shown.file, None))
        made, cpu_s = large()
        began = time.process_time()
        shown.show(made)
        cpu_s += time.process_time() - began
        found.append(_open(person, "512 x 512 x 240", shown.file, cpu_s))
    return found


def large() -> tuple[ViewerFile, float]:
    """The volumes of a clinical case, and the seconds of a processor that they took: CT and computed dose of
    512 x 512 x 240, planned dose on 2.5 mm."""
    volumes, cpu_s = timed_volumes(*scan_and_doses())
    labels = SimpleNamespace(patient_name="", patient_id="", birth_date="", target=1)
    plan = SimpleNamespace(fractions=30, beams=(SimpleNamespace(number=1, isocenter=(0.0, 0.0, 0.0)),))
    point = SimpleNamespace(name="the isocentre", point=(0.0, 0.0, 0.0))
    gamma = SimpleNamespace(criterion=Criterion(3, 2, local=False))
    analysis = SimpleNamespace(top_gy=60.0, gamma=(gamma,), volumes=None, points=(point,), shown=volumes)
    subject = SimpleNamespace(manifest=SimpleNamespace(case=KEY, judgement=1), labels=labels, plan=plan)
    structures = [_ellipsoid(number, 100.0 - 4 * number) for number in range(1, 21)]
    return viewer_file(cast("Any", subject), cast("Any", analysis), structures, COURSE, ReportOptions()), cpu_s


def scan_and_doses() -> tuple[Dose, Dose, CTVolume]:
    """Planned and computed dose, and CT."""
    planned, computed = (Dose(grid, _gy(grid), COURSE, None) for grid in (PLANNED, CT))
    z, y, x = np.ogrid[: CT.shape[0], : CT.shape[1], : CT.shape[2]]
    hu = ((x * 7 + y * 13 + z * 3) % 120 - 40).astype(np.float32)
    return planned, computed, CTVolume(CT, hu, "1.2", "1.2", (), "scanner")


def timed_volumes(planned: Dose, computed: Dose, ct: CTVolume) -> tuple[Volumes, float]:
    """The volumes, and the seconds of a processor that they took."""
    began = time.process_time()
    gamma = gamma_map(planned, computed, GammaOptions())
    made = view_volumes(planned, computed, gamma, ct, shown_box([planned, computed]))
    return made, time.process_time() - began


def _gy(grid: Grid) -> np.ndarray:
    z, y, x = (
        axis.astype(np.float32) / np.float32(half) for axis, half in zip(grid.axes(), _TARGET[::-1], strict=True)
    )
    away = z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2
    return np.asarray(60 / (1 + away**4), dtype=np.float32)


def _ellipsoid(number: int, radius: float) -> Structure:
    turns = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    contours = []
    for z in np.arange(-radius + 1, radius, 2.0):
        here = np.sqrt(radius**2 - z**2)
        contours.append((float(z), np.column_stack([here * np.cos(turns), here * np.sin(turns)])))
    return Structure(number, f"structure {number}", "PTV" if number == 1 else "ORGAN", None, tuple(contours))


def _open(person: Browser, name: str, file: Path, made_s: float | None) -> Opened:
    began = time.perf_counter()
    person.go(f"/case/{KEY}/viewer")
    person.until(lambda: person.find("#viewer").get_attribute("data-ready"), "loaded")
    person.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    open_s = time.perf_counter() - began
    step_ms = person.driver.execute_async_script(_SCROLL, _STEPS)
    return Opened(name, made_s, file.stat().st_size, open_s, float(step_ms), person.driver.execute_script(_RENDERER))


_SCROLL = """
const [count, done] = arguments, canvas = document.querySelector('#pane-axial canvas'), took = [];
const step = () => {
  if (took.length === count) { done(took.sort((a, b) => a - b)[count >> 1]); return; }
  const key = (name) => canvas.dispatchEvent(new KeyboardEvent('keydown', { key: name }));
  const began = performance.now();
  key('ArrowUp'); key('ArrowLeft');
  requestAnimationFrame(() => setTimeout(() => { took.push(performance.now() - began); step(); }));
};
step();
"""
_RENDERER = """
const gl = document.createElement('canvas').getContext('webgl');
const info = gl && gl.getExtension('WEBGL_debug_renderer_info');
return '2-D canvas; WebGL, which it does not use: ' + (info ? gl.getParameter(info.UNMASKED_RENDERER_WEBGL) : 'none');
"""
