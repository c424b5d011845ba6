"""Both engines are sent the CT with the densities of structures."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from tests.standin.small import SCANNER, beam, beam_file, layer, machine, moqui, plan
from tests.unit.dose.test_mcsquare_engine import engine as mcsquare

from mqi_communicator.dicom.records import CTVolume, Grid
from mqi_communicator.dicom.structures import Roi, StructureSet
from mqi_communicator.dose.engine import DoseEngine
from mqi_communicator.dose.mcsquare.basis import Curve
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.preparation import prepare
from mqi_communicator.dose.stopping import bethe_ratio

CURVE = Curve(b"-1000 0.001\n0 1.0\n1000 2.0\n", b"-1050 39 # Air\n-500 17 # Water\n")
GRID = Grid((12, 40, 60), (-59.0, -39.0, -22.0), (2.0, 2.0, 4.0))
PMMA = (("REL_ELEC_DENSITY", 1.14), ("MEAN_EXCI_ENERGY", 74.0))  # ratio 1.142


def box(number, kind, properties, x, y):
    corners = np.array([[x[0], y[0]], [x[1], y[0]], [x[1], y[1]], [x[0], y[1]]], dtype=float)
    return Roi(number, "canary", kind, properties, tuple((z, corners) for z in GRID.axes()[0].tolist()))


def case():
    """A block of water with a blanket on it, a couch below it that is drawn and not scanned, and a beam from above."""
    hu = np.full(GRID.shape, -1000, dtype=np.float32)
    _, y, x = GRID.axes()
    hu[:, ((y > -20) & (y < 20))[:, None] & (abs(x) < 50)] = 0
    hu[:, (y > -30) & (y < -20)] = -500
    one = beam(gantry_angle=0.0, couch_angle=0.0, isocenter=(0.0, 0.0, 0.0), layers=(layer(), layer(100.0)))
    one = replace(one, final_cumulative_weight=8.0)
    external = box(1, "EXTERNAL", (), (-50, 50), (-20, 20))
    couch = box(2, "SUPPORT", PMMA, (-57, 57), (24, 32))
    return plan(one), CTVolume(GRID, hu, "FRAME", "1.2.5", ("1.2.6",), SCANNER), (external, couch)


def prepared(engine: DoseEngine):
    a_plan, ct, rois = case()
    options = PreparationOptions(outside_body={a_plan.manufacturer: "air"})
    made = prepare(a_plan, ct, StructureSet("1.2.4", ("FRAME",), (), (), rois, "RS.dcm"), engine, options)
    assert made.problems == ()
    return engine.case(made.case).files()


def check(values, first_row=0):
    """`values` [z, y, x] in DICOM order, from this row of the CT on."""
    y = GRID.axes()[1]
    middle = values[6, :, values.shape[2] // 2]
    rows = dict(zip(y[first_row : first_row + len(middle)].tolist(), middle.tolist(), strict=True))
    assert rows[1.0] == 0
    assert rows[-25.0] == -1000, "the blanket is outside the body"
    return rows[27.0]


def test_mcsquare_is_sent_the_changed_ct():
    files = prepared(mcsquare(curves={SCANNER: CURVE}))
    raw = np.frombuffer(files["common/CT.raw"], dtype="<f4").reshape(GRID.shape)[:, ::-1, ::-1]
    assert check(raw) == pytest.approx(1000 * (bethe_ratio(1.14, 74.0) - 1), abs=1)


def test_moqui_is_sent_the_changed_ct():
    files = prepared(moqui({"G1": machine(model=beam_file())}))
    slices = [pydicom.dcmread(io.BytesIO(files[name])) for name in sorted(files) if "/CT." in name]
    first = round((float(slices[0].ImagePositionPatient[1]) - GRID.origin[1]) / GRID.spacing[1])
    values = np.stack([np.frombuffer(one.PixelData, dtype="<i2").reshape(one.Rows, one.Columns) for one in slices])
    assert check(values, first) == pytest.approx(263, abs=10)
