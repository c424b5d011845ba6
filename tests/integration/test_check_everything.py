"""`mqi check` reports all that is wrong at once: a person corrects it in one go."""

from __future__ import annotations

import json

from tests.standin.write_site import write_site

from mqi_communicator.checks import check_all, check_section
from mqi_communicator.config import load


async def test_each_wrong_statement_is_reported_in_one_run(tmp_path):
    config = write_site(tmp_path)
    settings = json.loads(config.read_text())
    (name, machine), *_ = settings["machines"].items()
    settings["machines"] = {
        name: {**machine, "sha256": "1" * 64},
        "GTR2": {**machine, "beam_model": str(tmp_path / "nothing")},
    }
    settings["paths"]["watch"] = str(tmp_path / "no share")
    settings["engine"]["program"] = str(tmp_path / "no program")
    config.write_text(json.dumps(settings))
    wrong = [finding.what async for finding in check_all(load(config)) if not finding.ok]
    for named in ("no share", f"machine '{name}'", "machine 'GTR2'", "no program"):
        assert any(named in what for what in wrong), f"{named}: {wrong}"


async def test_a_section_is_checked_alone(tmp_path):
    config = write_site(tmp_path)
    settings = json.loads(config.read_text())
    settings["paths"]["watch"] = str(tmp_path / "no share")
    config.write_text(json.dumps(settings))
    loaded = load(config)
    for section in ("ssh", "engine", "machines", "scanners"):
        findings = [finding async for finding in check_section(loaded, section)]
        assert findings, section
        assert [finding for finding in findings if not finding.ok] == []
    assert not all([finding.ok async for finding in check_section(loaded, "paths")])
