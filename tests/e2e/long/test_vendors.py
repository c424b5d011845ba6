"""Exports of clinical systems reach the right verdict with the real engine, and those with an error do not pass."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from tests.e2e.conftest import Site
from tests.e2e.wrong_doses import HISTORIES

from mqi_communicator.demo.host import PrivateHost
from mqi_communicator.demo.sample import VENDORS

_ION_PLAN, _CT = "1.2.840.10008.5.1.4.1.1.481.8", "1.2.840.10008.5.1.4.1.1.2"
_STRUCTURES = "1.2.840.10008.5.1.4.1.1.481.3"


@dataclass(frozen=True)
class Case:
    """A vendor's sample, how it is changed, and how it ends: its verdict or "failed", and words of the reason."""

    vendor: str
    end: str
    says: str = ""
    change: Callable[[pydicom.Dataset], None] | None = None
    seed: int = 1

    def apply(self, folder: Path) -> None:
        """Change every object of a written sample."""
        if self.change is None:
            return
        for path in sorted(folder.iterdir()):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # OpenTPS writes a Modality that is no code string
                ds = pydicom.dcmread(path)
            self.change(ds)
            ds.save_as(path, enforce_file_format=True)


def thinner_shifter(ds: pydicom.Dataset) -> None:
    """The plan has another range shifter of the machine than the one that its dose was planned with."""
    if ds.SOPClassUID == _ION_PLAN:
        beam = ds.IonBeamSequence[0]
        beam.RangeShifterSequence[0].RangeShifterID = "RS_10"
        beam.IonControlPointSequence[0].RangeShifterSettingsSequence[0].RangeShifterWaterEquivalentThickness = 10.0


def other_shifter(ds: pydicom.Dataset) -> None:
    """The plan has a range shifter that the machine does not have."""
    if ds.SOPClassUID == _ION_PLAN:
        ds.IonBeamSequence[0].RangeShifterSequence[0].RangeShifterID = "RS_5CM"


def forgotten_density(ds: pydicom.Dataset) -> None:
    """The structure set was exported without the couch's density."""
    if ds.SOPClassUID == _STRUCTURES:
        for seen in ds.RTROIObservationsSequence:
            seen.pop("ROIPhysicalPropertiesSequence", None)


def mirrored(ds: pydicom.Dataset) -> None:
    """Plan and CT say that the patient lies prone, who lies supine."""
    if ds.SOPClassUID == _CT:
        ds.PatientPosition = "HFP"
    if ds.SOPClassUID == _ION_PLAN:
        for setup in ds.PatientSetupSequence:
            setup.PatientPosition = "HFP"


CASES = {
    **{vendor: Case(vendor, "review" if vendor == "opentps" else "pass") for vendor in VENDORS},
    "thinner shifter": Case("raystation", "fail", "range", thinner_shifter, 2),
    "other shifter": Case("raystation", "failed", "RS_5CM", other_shifter, 3),
    "forgotten density": Case("raystation", "fail", "range", forgotten_density, 4),
    "mirrored": Case("eclipse-varian", "fail", "", mirrored, 5),
}


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vendors")
    resources: dict[str, object] = {"jobs": 2, "workers": 2, "local_free_gib": 0.1, "remote_free_gib": 0.1}
    with PrivateHost(folder / "host") as host:
        site = Site(folder, host, resources=resources, engine={"histories_per_beam": HISTORIES})
        for name, case in CASES.items():
            site.drop(name, vendor=case.vendor, seed=case.seed, change=case.apply)
        answer = site.mqi("once", timeout=1500)
        found = {str(case["folder"]): case for case in site.status()}
    assert set(found) == set(CASES), answer.stderr
    return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.timeout(1600)
def test_each_ends_as_it_should(cases, name):
    found, meant = cases[name], CASES[name]
    if meant.end == "failed":
        assert found["status"] == "failed"
        assert meant.says in str(found["why"])
        return
    assert found["verdict"] == meant.end, found["why"]
    document = json.loads((Path(str(found["results"])) / "verdict.json").read_text())
    assert meant.says in document["why"]
