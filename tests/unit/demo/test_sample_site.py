"""A sample written for a site has the names that the site configured, and planned doses of the type it declares."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from typer.testing import CliRunner

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.cli.main import app
from mqi_communicator.config import load
from mqi_communicator.demo.sample import sample_files
from mqi_communicator.demo.sample_site import names_of

EXAMPLE = Path(__file__).resolve().parents[3] / "config.minimal.yaml"


def objects(**wanted):
    files = sample_files(size="tiny", **wanted)
    return {name: pydicom.dcmread(BytesIO(data)) for name, data in files.items() if not name.startswith(("MR", "REG"))}


def test_names_and_doses_are_those_of_the_site():
    names = names_of(load(EXAMPLE), "GTR1")
    ours, theirs = objects(), objects(site=names)
    assert ours.keys() == theirs.keys()
    for name, ds in theirs.items():
        assert ds.SOPInstanceUID != ours[name].SOPInstanceUID, name
        if ds.Modality == "CT":
            assert (ds.Manufacturer, ds.ManufacturerModelName, ds.StationName) == (
                "SIEMENS", "SOMATOM Definition AS", "CT1",
            )  # fmt: skip
        else:
            assert ds.Manufacturer == "RaySearch Laboratories", name
    assert {beam.TreatmentMachineName for beam in theirs["RP.dcm"].IonBeamSequence} == {"GTR1"}
    for name in (name for name in theirs if name.startswith("RD")):
        assert theirs[name].DoseType == "EFFECTIVE"  # the example declares RBE-weighted doses of the course
        assert float(theirs[name].DoseGridScaling) == pytest.approx(1.1 * float(ours[name].DoseGridScaling))


def test_a_dose_per_fraction_is_one_fifth():
    config = load(EXAMPLE)
    system, convention = next(iter(config.dose_conventions.items()))
    other = convention.model_copy(update={"biology": "physical", "extent": "fraction"})
    names = names_of(config.model_copy(update={"dose_conventions": {system: other}}), "GTR1")
    assert (names.rbe_factor, names.fractions) == (1.0, 1)


@pytest.mark.parametrize(("wanted", "named"), [(("GTR9",), "'GTR9'"), (("GTR1", "X|Y|Z"), "X|Y|Z")])
def test_a_name_that_is_not_configured_is_refused_with_those_that_are(wanted, named):
    with pytest.raises(ActionRequired) as refused:
        names_of(load(EXAMPLE), *wanted)
    assert named in refused.value.reason
    assert "configured: " in refused.value.advice


def test_the_command_reads_the_configuration(tmp_path):
    words = ["sample", str(tmp_path / "case"), "--size", "tiny", "--machine", "GTR1", "--config", str(EXAMPLE)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    plan = pydicom.dcmread(tmp_path / "case/RP.dcm")
    assert plan.IonBeamSequence[0].TreatmentMachineName == "GTR1"
    assert CliRunner().invoke(app, [*words[:1], str(tmp_path / "b"), *words[2:], "--vendor", "iba"]).exit_code == 2
