"""`mqi delivery` judges samples of records and logs as a user would, and `mqi sample` writes them."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from mqi_communicator.cli.main import app
from mqi_communicator.demo.sample_logs import CALIBRATION


def mqi(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A line-scanning plan with two fractions, of which the last has a layer 1 mm off."""
    folder = tmp_path_factory.mktemp("sample") / "case"
    made = mqi("sample", folder, "--vendor", "sumitomo-line", "--deliveries", 2, "--delivery", "shifted-layer")
    assert made.exit_code == 0, made.output
    (plan,) = [path for path in folder.iterdir() if path.name.startswith(("RP", "RN"))]
    return folder, plan


@pytest.fixture
def config(tmp_path):
    """A configuration with the calibration of the sample's machine."""
    for name in ("watch", "workspace", "results"):
        (tmp_path / name).mkdir()
    logs = CALIBRATION.model_dump(mode="json", exclude_defaults=True)
    settings = {
        "paths": {"watch": "watch", "workspace": "workspace", "results": "results", "remote": "/mqi"},
        "local": {},
        "engine": {"kind": "mcsquare", "home": "/engine"},
        "machines": {"MQI-DEMO": {"beam_model": "bdl.txt", "sha256": "0" * 64, "logs": logs}},
        "judgement": {"delivery": {"layer_position_review_mm": 0.6}},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path / "config.yaml"


def test_records_in_a_folder_are_judged_by_fraction(sample, tmp_path):
    folder, plan = sample
    found = mqi("delivery", folder / "deliveries", "--plan", plan, "--output", tmp_path / "verdict.json")
    assert found.exit_code == 1
    assert "fraction 1 (1 record)\n  pass: all" in found.output
    cause = "the spots of layer 2 (125 MeV) are 1 mm off on average (beam 1)"
    assert found.output.endswith(f"review: fraction 2: {cause}\n")
    document = json.loads((tmp_path / "verdict.json").read_text())
    assert (document["schema"], document["word"]) == ("mqi-delivery/1", "review")
    assert [one["word"] for one in document["fractions"]] == ["pass", "review"]
    passed = mqi("delivery", folder / "deliveries" / "RT.01.1.dcm", "--plan", plan, "--json")
    assert (passed.exit_code, json.loads(passed.output)["word"]) == (0, "pass")


def test_logs_need_the_calibration_of_the_site(sample, config):
    folder, plan = sample
    found = mqi("delivery", folder / "logs", "--plan", plan)
    assert found.exit_code == 1
    assert "machine MQI-DEMO has no calibration of its logs (machines.MQI-DEMO.logs)" in found.output
    found = mqi("delivery", folder / "logs", "--plan", plan, "--config", config)
    assert "date 20200102 (2 records)\n  pass: all" in found.output
    assert "fail: date 20200103: the spots of layer 2 (125 MeV) are 1 mm off on average (beam 1)" in found.output


def test_a_calibration_that_nobody_commissioned_decides_nothing(sample, config, tmp_path):
    folder, plan = sample
    settings = yaml.safe_load(config.read_text())
    del settings["machines"]["MQI-DEMO"]["logs"]["commissioned_on"]
    config.write_text(yaml.safe_dump(settings))
    written = tmp_path / "verdict.json"
    found = mqi("delivery", folder / "logs", "--plan", plan, "--config", config, "--output", written)
    assert found.exit_code == 1
    why = "the calibration of the logs of machine MQI-DEMO has no commissioned_by and commissioned_on"
    assert f"date 20200102 (2 records)\n  not_judged: {why}" in found.output
    document = json.loads(written.read_text())
    assert document["word"] == "not_judged"
    checks = [check for one in document["fractions"] for check in one["checks"]]
    assert {check["word"] for check in checks} == {"not_judged"}
    assert why in next(check["note"] for check in checks if check["name"] == "basis")


def test_what_cannot_be_judged_is_a_usage_error_or_a_reason(sample, tmp_path):
    folder, plan = sample
    (tmp_path / "empty").mkdir()
    nothing = mqi("delivery", tmp_path / "empty", "--plan", plan)
    assert (nothing.exit_code, "no treatment record" in nothing.output) == (2, True)
    missing = mqi("delivery", tmp_path / "none", "--plan", plan)
    assert (missing.exit_code, "does not exist" in missing.output) == (1, True)
    wrong = mqi("delivery", folder / "deliveries", "--plan", folder / "deliveries" / "RT.01.1.dcm")
    assert (wrong.exit_code, "expected an RT Ion Plan" in wrong.output) == (1, True)
    unknown = mqi("sample", tmp_path / "other", "--deliveries", 1, "--delivery", "nonsense")
    assert (unknown.exit_code, "choose from: good" in unknown.output) == (2, True)
