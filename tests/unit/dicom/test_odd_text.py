"""Whatever the texts of a DICOM object contain, what the readers return of them is visible characters."""

from __future__ import annotations

import io
import warnings

import pydicom
import pytest
from tests.odd_text import CODE, NAME, hidden, spoil_texts, strings
from tests.unit.dicom.test_apertures import block
from tests.unit.dicom.test_plan_reader import item
from tests.unit.dicom.test_range_shifters import listed, put, setting
from tests.unit.dicom.test_structures import override
from tests.written import FILES

from mqi_communicator.case.visible import visible
from mqi_communicator.dicom.contours import read_contours
from mqi_communicator.dicom.ct import check_ct
from mqi_communicator.dicom.header import read_header
from mqi_communicator.dicom.identity import read_identity
from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dicom.rtdose import dose_facts
from mqi_communicator.dicom.structures import read_structures


@pytest.fixture
def spoiled(tmp_path):
    """Write an object of the sample with odd texts, after a change."""

    def write(name, change=None):
        data = pydicom.dcmread(io.BytesIO(FILES[name]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom: the values are not valid
            if change:
                change(data)
            spoil_texts(data)
            data.save_as(tmp_path / name)
        return tmp_path / name

    return write


def clean(*read):
    return not [text for one in read for text in strings(one) if hidden(text)]


def test_a_plan_with_devices(spoiled):
    def change(plan):
        put(plan, [listed(0, "RS"), listed(1, "")], {0: [setting(0, "IN", 135.5, 34.25), setting(7, "OUT", 1, 1)]})
        beam = plan.IonBeamSequence[0]
        beam.NumberOfBlocks, beam.IonBlockSequence = 2, [block(), block(BlockType=CODE)]
        beam.NumberOfLateralSpreadingDevices = 1
        beam.LateralSpreadingDeviceSequence = [
            item(LateralSpreadingDeviceNumber=1, LateralSpreadingDeviceID="M", LateralSpreadingDeviceType=CODE)
        ]
        beam.IonControlPointSequence[0].GantryRotationDirection = CODE

    plan, problems = read_plan(spoiled("RP.dcm", change))
    assert clean(plan, problems, [str(one) for one in problems])
    beam = plan.beams[0]
    assert beam.machine.endswith(visible(NAME))
    assert beam.layers[0].shifters[0].id == visible(f"RS{NAME}")
    assert beam.layers[0].shifters[0].setting.startswith("IN")
    assert beam.apertures[0].material == visible(f"BRASS{NAME}")
    assert (plan.approval, plan.intent) == (visible(CODE), visible(CODE))
    assert problems


def test_the_identity_of_a_case_and_its_header(spoiled):
    plan = spoiled("RP.dcm")
    assert clean(read_identity(plan), read_header(plan))
    assert read_identity(plan).patient_id.startswith("MQI-SAMPLE")


def test_structures(spoiled):
    path = spoiled("RS.dcm", lambda data: override(data, REL_STOP_RATIO=1.1))
    read = read_structures(path)
    assert clean(read, [one.description for one in read.rois], read_contours(path), read_header(path))
    assert read.rois[0].name.endswith(visible(NAME))


def test_a_scanner(spoiled):
    slices, problems = check_ct([spoiled(name) for name in FILES if name.startswith("CT")])
    assert clean(slices, problems)
    assert all(part.endswith(visible(NAME)) for part in slices[0].scanner.split("|"))


@pytest.mark.parametrize("keyword", ["DoseUnits", "DoseType", "DoseSummationType"])
def test_a_dose_of_another_kind(spoiled, keyword):
    name = next(name for name in FILES if name.startswith("RD"))
    assert clean(dose_facts(spoiled(name)))
    path = spoiled(name, lambda data: setattr(data, keyword, CODE))
    with pytest.raises(DicomProblem) as caught:
        dose_facts(path)
    assert clean([caught.value.reason])
    header = read_header(path)
    assert clean(header)


def test_a_uid_with_odd_characters_is_refused_or_read_alike_everywhere(spoiled):
    def change(data):
        data.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3\x1b4"

    plan = spoiled("RP.dcm", change)
    read, _ = read_plan(plan)
    assert (read.structure_set_uid,) == read_header(plan).refers_to == ("1.2.3\\x1b4",)
