"""The demo's configuration: the engine's example data is not declared as commissioned."""

from __future__ import annotations

import pytest

from mqi_communicator.demo.settings import HISTORIES, demo_sections
from mqi_communicator.demo.truth_engine import BEAM_MODEL, DENSITY_CURVE, MATERIAL_CURVE


@pytest.fixture
def engine_home(tmp_path):
    for name in (BEAM_MODEL, DENSITY_CURVE, MATERIAL_CURVE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.mark.parametrize("section", ["machines", "scanners"])
def test_nobody_is_said_to_have_commissioned_the_example_data(engine_home, section):
    (entry,) = demo_sections(engine_home)[section].values()
    assert entry
    assert not [key for key in entry if key.startswith("commissioned")]


@pytest.mark.parametrize(("given", "used"), [(None, HISTORIES), (20_000, 20_000), (0, 0)])
def test_only_a_missing_number_of_histories_is_replaced(engine_home, given, used):
    """0 is refused later, when the configuration is read."""
    assert demo_sections(engine_home, given)["engine"]["histories_per_beam"] == used
