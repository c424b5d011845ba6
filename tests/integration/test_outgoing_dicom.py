"""What is sent to moqui is DICOM to an independent checker, says what the case says, and nothing of whose it is."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID
from tests.seldom import seldom
from tests.standin import site

from mqi_communicator.demo.sample import CANARY
from mqi_communicator.dicom.ct import read_ct
from mqi_communicator.dicom.plan import sound_plan
from mqi_communicator.dicom.records import CTVolume, IonPlan
from mqi_communicator.dose.engine import PreparedCase

pytestmark = pytest.mark.real


def _read(case: Path) -> tuple[IonPlan, CTVolume]:
    """Plan and CT of a case, whatever its files are called."""
    files: dict[str, list[Path]] = {}
    for path in sorted(path for path in case.rglob("*") if path.is_file()):
        files.setdefault(str(pydicom.dcmread(path, stop_before_pixels=True).Modality), []).append(path)
    return sound_plan(files["RTPLAN"][0]), read_ct(files["CT"])


def _sent(folder: Path, kind: str, flavour: str) -> tuple[Path, dict[str, bytes]]:
    """A case as it lies here, and everything that its host gets."""
    case = folder / "case"
    site.write_sample(case, kind=kind, flavour=flavour)
    output = site.sections(Path("/opt/tps_env"), folder / "beam_file.txt", flavour, gpus_per_beam=1)
    made = site.engine(output)
    plan, ct = _read(case)
    return case, dict(made.case(PreparedCase(plan, ct)).files())


@pytest.mark.parametrize("flavour", seldom(["upstream", "fork", "clinic"], often=["clinic"]))
def test_nothing_of_the_patient_or_of_the_originals_leaves(tmp_path, flavour):
    case, files = _sent(tmp_path, "canary", flavour)
    originals = [pydicom.dcmread(path) for path in sorted(case.rglob("*")) if path.is_file()]
    uids = {str(one.value) for ds in originals for one in ds.iterall() if one.VR == "UI"}
    own = {uid for uid in uids if UID(uid).name == uid}  # no word of the standard, such as a SOP class
    dates = {str(one.value) for ds in originals for one in ds.iterall() if one.VR in ("DA", "TM") and one.value}
    assert len(own) > len(originals)
    assert dates
    for name, data in files.items():
        text = data.decode("latin-1")
        found = [word for word in (*CANARY, *own) if word in text or word in name]
        assert not found, (name, found)
    for name, data in files.items():
        if name.endswith(".dcm"):
            reported = {str(one.value) for one in pydicom.dcmread(io.BytesIO(data)).iterall() if one.VR in ("DA", "TM")}
            assert not reported & dates, name


def test_what_is_sent_is_what_the_case_says(tmp_path):
    case, files = _sent(tmp_path, "setup-beam", "upstream")
    there = tmp_path / "there"
    there.mkdir()
    for name, data in files.items():
        if name.startswith("common/dicom/"):
            (there / Path(name).name).write_bytes(data)
    plan, ct = _read(case)
    sent_ct = read_ct(sorted(there.glob("CT*")))
    assert sent_ct.grid.spacing == ct.grid.spacing
    first = [round((sent_ct.grid.origin[k] - ct.grid.origin[k]) / ct.grid.spacing[k]) for k in range(3)]
    moved = [ct.grid.origin[k] + first[k] * ct.grid.spacing[k] for k in range(3)]
    assert sent_ct.grid.origin == pytest.approx(moved, abs=1e-6)
    where = tuple(slice(low, low + count) for low, count in zip(first[::-1], sent_ct.grid.shape, strict=True))
    assert np.array_equal(sent_ct.hu, ct.hu[where])
    rest = ct.hu.copy()
    rest[where] = -1000
    assert (rest == -1000).all(), "only air is left out"
    sent = pydicom.dcmread(there / "RP.dcm")
    assert [int(item.BeamNumber) for item in sent.IonBeamSequence] == [1, 2, 3]
    for beam in plan.beams:
        item = sent.IonBeamSequence[beam.number - 1]
        first = item.IonControlPointSequence[0]
        assert item.BeamName == f"beam_{beam.number}"
        assert float(first.GantryAngle) == pytest.approx(beam.gantry_angle)
        assert float(first.PatientSupportAngle) == pytest.approx(beam.couch_angle)
        assert [float(value) for value in first.IsocenterPosition] == pytest.approx(beam.isocenter)
        for index, layer in enumerate(beam.layers):
            point = item.IonControlPointSequence[2 * index]
            used = layer.weights > 0
            assert float(point.NominalBeamEnergy) == pytest.approx(layer.energy)
            assert np.reshape(point.ScanSpotPositionMap, (-1, 2)) == pytest.approx(layer.spots[used])
            weights = np.atleast_1d(point.ScanSpotMetersetWeights)
            assert weights == pytest.approx(layer.weights[used] * beam.mu_per_weight, rel=1e-6)


SENT = [("pass", "upstream"), ("setup-beam", "upstream"), ("pass", "clinic")]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("sent", seldom(SENT, often=[("setup-beam", "upstream")]), ids="-".join)
def test_conformant(tmp_path, sent):
    kind, flavour = sent
    _case, files = _sent(tmp_path, kind, flavour)
    checked = [name for name in files if name.endswith(".dcm")]
    assert len(checked) > 2
    for name in (checked[0], checked[-1], "common/dicom/RP.dcm"):
        path = tmp_path / Path(name).name
        path.write_bytes(files[name])
        output = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        assert not [line for line in (output.stdout + output.stderr).splitlines() if "Error" in line], name


@pytest.mark.long
def test_preparing_twice_sends_the_same_bytes_and_another_case_shares_no_uid(tmp_path):
    first, again, other = (
        _sent(tmp_path / name, kind, "upstream")[1]
        for name, kind in (("a", "pass"), ("b", "pass"), ("c", "shift-error"))
        if (tmp_path / name).mkdir() is None
    )
    assert first == again

    def uids(files: dict[str, bytes]) -> set[str]:
        sets = (pydicom.dcmread(io.BytesIO(data)) for name, data in files.items() if name.endswith(".dcm"))
        return {str(e.value) for ds in sets for e in ds.iterall() if e.VR == "UI" and UID(str(e.value)).name == e.value}

    assert uids(first)
    plans = [{n: d for n, d in files.items() if n.endswith("RP.dcm")} for files in (first, other)]
    assert uids(plans[0]) != uids(plans[1])
