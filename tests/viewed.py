"""A dashboard's store with one judged case, whose volumes the viewer shows. The volumes are made of a sample's files.

A structure and a dense block are on the patient's left alone, 40 mm from the target.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pydicom
from scipy.interpolate import RegularGridInterpolator

from mqi_communicator.demo.phantom import TARGET_CENTRE
from mqi_communicator.demo.sample import draft_case
from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_kinds import uids_of
from mqi_communicator.demo.sample_positions import lying
from mqi_communicator.dicom.contours import read_contours, read_labels
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.positions import POSITIONS
from mqi_communicator.dicom.records import Biology, Dose, DoseType, Extent, Medium
from mqi_communicator.dicom.rtdose import read_rtdose
from mqi_communicator.dicom.rtdose_writer import Origin, write_rtdose
from mqi_communicator.flow.spool.layout import Spool
from mqi_communicator.flow.tasks.viewer import viewer_digest, write_viewer
from mqi_communicator.report.analysis import PointRow
from mqi_communicator.report.gammas import gamma_map
from mqi_communicator.report.options import Criterion, ReportOptions
from mqi_communicator.report.viewer import ViewerFile, viewer_file
from mqi_communicator.report.volumes import Volumes, shown_box, view_volumes
from mqi_communicator.results.grids import on_grid
from mqi_communicator.results.options import GammaOptions
from mqi_communicator.results.planes import largest_difference
from mqi_communicator.store.database import open_database
from mqi_communicator.store.schema import cases, events, work_items
from tests.boards import ROLES, add_user, configure

KEY = "viewercase22"
LEFT = "On the left"
HU = 1200  # of the block
COURSE = DoseType(Medium.MEDIUM, Biology.PHYSICAL, Extent.COURSE)


def left_of_target(position: str) -> tuple[float, float, float]:
    """The centre of the structure on the patient's left."""
    x, y, z = POSITIONS[position].inverse.point(TARGET_CENTRE)
    return x + 40, y, z


def sample(position: str, size: str) -> Draft:
    """A sample in a position."""
    draft = draft_case(size, uids_of("pass", size, 1))
    lying(position)(draft)
    return draft


def with_left(position: str) -> Draft:
    """The tiny sample in a position, with a structure and a block on the patient's left."""
    draft = sample(position, "tiny")
    x, y, z = left_of_target(position)
    for ds in draft.objects("CT."):
        pixels = np.frombuffer(ds.PixelData, dtype=np.int16).reshape(ds.Rows, ds.Columns).copy()
        across, down = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
        row, column = np.indices(pixels.shape)
        step_down, step_across = map(float, ds.PixelSpacing)
        at = np.array(ds.ImagePositionPatient, dtype=float) + (
            row[..., None] * step_down * down + column[..., None] * step_across * across
        )
        inside = np.all(np.abs(at - (x, y, z)) <= (10, 10, 12), axis=-1)
        pixels[inside] = (HU - float(ds.RescaleIntercept)) / float(ds.RescaleSlope)
        ds.PixelData = pixels.tobytes()
    _rename_lung(draft, x, y, z)
    return draft


def _rename_lung(draft: Draft, x: float, y: float, z: float) -> None:
    """The lung's structure becomes a box around the block, on the slices through it."""
    structures = draft.object("RS.dcm")
    (number,) = (roi.ROINumber for roi in structures.StructureSetROISequence if roi.ROIName == "Lung")
    for roi in structures.StructureSetROISequence:
        roi.ROIName = LEFT if roi.ROINumber == number else roi.ROIName
    drawn = next(one for one in structures.ROIContourSequence if one.ReferencedROINumber == number)
    drawn.ContourSequence = [one for one in drawn.ContourSequence if abs(float(one.ContourData[2]) - z) <= 12]
    for contour in drawn.ContourSequence:
        level, box = float(contour.ContourData[2]), ((-10, -10), (10, -10), (10, 10), (-10, 10))
        contour.ContourData = [v for dx, dy in box for v in (x + dx, y + dy, level)]
        contour.NumberOfContourPoints = 4


@dataclass(frozen=True)
class Drawn:
    """Volumes as the report makes them, and the RTDOSE files that they are made of."""

    volumes: Volumes
    file: ViewerFile
    planned: Path
    computed: Path


def drawn(
    folder: Path, position: str = "HFS", *, moved: float = 4.0, case: str = KEY, draft: Draft | None = None
) -> Drawn:
    """The computed dose is the planned one, `moved` to the left (mm), on the CT's grid."""
    folder.mkdir(parents=True)
    draft = draft or with_left(position)
    for name, made in draft.files.items():
        if name[:2] in ("CT", "RP") or name in ("RS.dcm", "RD.plan.dcm"):
            (folder / name).write_bytes(made if isinstance(made, bytes) else encode(made))
    ct = read_ct(sorted(folder.glob("CT.*")))
    planned = read_rtdose(folder / "RD.plan.dcm", COURSE)
    gy = np.nan_to_num(on_grid(planned, ct.grid, (-moved, 0.0, 0.0))).astype(np.float32)
    write_rtdose(
        folder / "computed.dcm",
        Dose(ct.grid, gy, COURSE, None),
        Origin(case, case, "known", "test"),
        plan=folder / "RP.dcm",
        frame_of_reference_uid=ct.frame_of_reference_uid,
    )
    computed = read_rtdose(folder / "computed.dcm", COURSE)
    gamma = gamma_map(planned, computed, GammaOptions())
    volumes = view_volumes(planned, computed, gamma, ct, shown_box([planned, computed]))
    plan, labels = sound_plan(folder / "RP.dcm"), read_labels(folder / "RP.dcm")
    peak = largest_difference(planned, computed)
    assert peak is not None
    points = (
        PointRow("the isocentre", plan.beams[0].isocenter, None, None),
        PointRow("the largest dose difference", peak[0], None, None),
    )
    top = float(planned.gy.max())
    criterion = SimpleNamespace(criterion=Criterion(3, 2, local=False))
    analysis = SimpleNamespace(top_gy=top, gamma=(criterion,), volumes=None, points=points, shown=volumes)
    subject = SimpleNamespace(manifest=SimpleNamespace(case=case, judgement=1), labels=labels, plan=plan)
    structures = read_contours(folder / "RS.dcm")
    made = viewer_file(cast("Any", subject), cast("Any", analysis), structures, COURSE, ReportOptions())
    return Drawn(volumes, made, folder / "RD.plan.dcm", folder / "computed.dcm")


def rtdose(path: Path) -> RegularGridInterpolator:
    """The dose of an RTDOSE by pydicom alone, at points (x, y, z); NaN outside."""
    ds = pydicom.dcmread(path)
    across, down = np.array(ds.ImageOrientationPatient, dtype=float).reshape(2, 3)
    frames, rows, columns = ds.pixel_array.shape
    first = np.array(ds.ImagePositionPatient, dtype=float)
    assert float(ds.GridFrameOffsetVector[0]) == 0
    step = float(ds.GridFrameOffsetVector[1]) * np.cross(across, down)
    steps = (step, down * float(ds.PixelSpacing[0]), across * float(ds.PixelSpacing[1]))
    axes, order, flips = [], [], []
    for vector, count in zip(steps, (frames, rows, columns), strict=True):
        axis = int(np.argmax(np.abs(vector)))
        mm = first[axis] + vector[axis] * np.arange(count)
        axes.append(mm)
        order.append(axis)
        flips.append(vector[axis] < 0)
    gy = ds.pixel_array * float(ds.DoseGridScaling)
    for place, flip in enumerate(flips):
        if flip:
            gy, axes[place] = np.flip(gy, place), axes[place][::-1]
    places = [order.index(axis) for axis in (0, 1, 2)]
    return RegularGridInterpolator(
        [axes[place] for place in places], np.transpose(gy, places), bounds_error=False, fill_value=np.nan
    )


@dataclass(frozen=True)
class Viewed:
    """A configuration with a store of one case, and its spool."""

    config: Path
    spool: Spool
    drawn: Drawn

    @property
    def digest(self) -> str:
        return viewer_digest(self.spool)

    @property
    def file(self) -> Path:
        """The volumes."""
        return self.spool.viewer / f"{self.digest}.bin"

    def show(self, made: ViewerFile) -> None:
        """The case was judged again, with other volumes."""
        write_viewer(self.spool, made)
        self.record({"viewer": self.digest})

    def record(self, facts: dict[str, object]) -> None:
        """The event of another report."""
        database = open_database(self.config.parent / "workspace/store.sqlite3")
        database.write_now(lambda connection: _done(connection, "report", time.time(), facts))
        database.close()


def viewed(base: Path, position: str = "HFS", draft: Draft | None = None) -> Viewed:
    """A store with one ended case, and its volumes in the spool."""
    config, made = configure(base), drawn(base / "made", position, draft=draft)
    spool = Spool(base / "workspace/spool" / KEY)
    write_viewer(spool, made.file)
    _plant(base, viewer_digest(spool))
    for name in ROLES:
        add_user(config, name)
    return Viewed(config, spool, made)


def _plant(base: Path, digest: str) -> None:
    at = time.time() - 600
    database = open_database(base / "workspace/store.sqlite3")
    case = {
        "key": KEY, "source": os.fsencode(base / "watch/sample"), "seen": at, "fingerprint": "f", "changed": at,
        "lineage": "l", "content": "c", "revision": 1, "same_as": "", "superseded_by": "", "word": "review",
        "why": "judged for a test", "results": str(base / "results" / KEY), "host": "gpu1", "priority": "routine",
        "rank": at, "demand": "",
    }  # fmt: skip
    item = {
        "case": KEY, "beam": 0, "step": "tidy", "status": "done", "tries": 0, "run": 1, "base_run": 1, "due": at,
        "since": at, "reason": "", "advice": "", "wanted": "", "needs_person": False,
    }  # fmt: skip

    def write(connection: Any) -> None:
        connection.execute(cases.insert(), [case])
        connection.execute(work_items.insert(), [item])
        for place, step in enumerate(("admit", "compare", "report", "deliver", "tidy")):
            _done(connection, step, at + place, {"viewer": digest} if step == "report" else {})

    database.write_now(write)
    database.close()


def _done(connection: Any, step: str, at: float, facts: dict[str, object]) -> None:
    row = {
        "at": at, "case": KEY, "beam": 0, "event": "step.done", "step": step, "before": "ready", "after": "ready",
        "who": "mqi", "why": "", "facts": json.dumps(facts),
    }  # fmt: skip
    connection.execute(events.insert(), [row])
