"""The plan as it was delivered has the recorded spots; energies and angles are the plan's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.delivered import plan_in, read, records, write

from mqi_communicator.demo.delivered import sessions_of
from mqi_communicator.demo.sample_logs import CALIBRATION, write_logs
from mqi_communicator.dicom.records import Grid, LayerKind
from mqi_communicator.dose.mcsquare.inputs import plan_file
from mqi_communicator.treatment.fractions import by_fraction
from mqi_communicator.treatment.join import join_all
from mqi_communicator.treatment.reconstruction import as_delivered, obstacles, spots_of

GRID = Grid((4, 3, 2), (-10.0, 20.0, -30.0), (1.0, 2.0, 3.0))


def joined(plan, found):
    beams, refused = join_all(plan, found)
    assert refused == ()
    (fraction,) = by_fraction(beams, plan.beams)
    return fraction


def recorded(folder, kind="good", vendor=""):
    """The plan, and one fraction as treatment records have it."""
    _, plan = plan_in(folder, vendor)
    found, problems = read(write(folder, records(plan, kind, vendor=vendor)), plan, {})
    assert problems == []
    return plan, joined(plan, found)


def logged(folder, vendor, kind="good"):
    """The same, as logs have it."""
    _, plan = plan_in(folder, vendor)
    (session,) = sessions_of(plan, 1, kind)
    write_logs(folder / "logs", session, plan)
    found, problems = read([folder / "logs"], plan, {"MQI-DEMO": CALIBRATION})
    assert problems == []
    return plan, joined(plan, found)


def moments(layers, per_weight=1.0):
    """MU, and MU times x and y, of each layer; lines count at their middles."""
    found = []
    for layer in layers:
        mu, places = layer.weights * per_weight, layer.spots
        if layer.kind is LayerKind.LINES:
            mu, places = mu[1:], (places[1:] + places[:-1]) / 2
        found.append((mu.sum(), *(mu @ places)))
    return np.asarray(found)


@pytest.mark.parametrize("vendor", ["", "raystation", "eclipse-varian", "hitachi", "opentps"])
def test_a_record_that_repeats_the_plan_gives_the_engine_the_input_of_the_plan(tmp_path, vendor):
    plan, fraction = recorded(tmp_path, "echo", vendor)
    made = as_delivered(plan, spots_of(fraction))
    for before, after in zip(plan.beams, made.beams, strict=True):
        one, other = plan_file(before, GRID).decode().split(), plan_file(after, GRID).decode().split()
        assert len(one) == len(other) > 100
        for a, b in zip(one, other, strict=True):
            assert a == b or float(a) == pytest.approx(float(b), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("vendor", ["", "sumitomo-line"])
def test_a_log_that_repeats_the_plan_has_its_mu_and_centres_of_gravity(tmp_path, vendor):
    plan, fraction = logged(tmp_path, vendor, "echo")
    made = as_delivered(plan, spots_of(fraction))
    pieces = 0
    for before, after in zip(plan.beams, made.beams, strict=True):
        wanted, found = moments(before.layers, before.mu_per_weight), moments(after.layers, after.mu_per_weight)
        assert found[:, 0] == pytest.approx(wanted[:, 0], rel=1e-6)
        for axis in (1, 2):
            assert found[:, axis] / found[:, 0] == pytest.approx(wanted[:, axis] / wanted[:, 0], abs=0.02)
        assert [layer.cut for layer in after.layers] == [bool(vendor)] * len(after.layers)
        assert all(layer.kind is LayerKind.SPOTS for layer in after.layers)
        assert (after.delivery.scan_mode, after.gantry_angle) == ("MODULATED", before.gantry_angle)
        pieces += sum(len(layer.spots) for layer in after.layers)
    merged = sum(len(layer.recorded) for beam in fraction.beams for layer in beam.layers)
    assert pieces < merged / 3, "pieces are merged to a third of the spot's sigma"


def test_pieces_of_a_line_are_shorter_than_a_third_of_the_spots_sigma(tmp_path):
    plan, fraction = logged(tmp_path, "sumitomo-line")
    for beam in as_delivered(plan, spots_of(fraction)).beams:
        for layer in beam.layers:
            sigma = min(layer.size) / 2.3548
            steps = np.hypot(*np.diff(layer.spots, axis=0).T)
            assert np.median(steps) < sigma / 3


def test_all_recorded_mu_count_test_pulses_and_resumed_parts_too(tmp_path):
    for kind in ("test-pulses", "resumed", "more-in-all"):
        (tmp_path / kind).mkdir()
        plan, fraction = recorded(tmp_path / kind, kind)
        made = as_delivered(plan, spots_of(fraction))
        for beam, one in zip(made.beams, fraction.beams, strict=True):
            wanted = sum(part.recorded.mu for part in one.parts)
            assert beam.meterset == pytest.approx(wanted, rel=1e-9)
            assert sum(layer.weights.sum() for layer in beam.layers) * beam.mu_per_weight == pytest.approx(wanted)
            assert [layer.energy for layer in beam.layers] == [layer.energy for layer in one.planned.layers]


def test_a_shifted_layer_is_shifted_in_the_plan_as_delivered(tmp_path):
    plan, fraction = recorded(tmp_path, "shifted-layer")
    made = as_delivered(plan, spots_of(fraction))
    before, after = (moments(one.beams[0].layers, one.beams[0].mu_per_weight) for one in (plan, made))
    away = np.hypot(*(after[:, 1:] / after[:, :1] - before[:, 1:] / before[:, :1]).T)
    assert away[1] == pytest.approx(1.0, abs=0.1)
    assert away[[0, *range(2, len(away))]].max() < 0.2


def test_a_fraction_that_is_not_complete_has_no_dose(tmp_path):
    plan, fraction = recorded(tmp_path)
    assert obstacles(plan, fraction) == ()
    (tmp_path / "open").mkdir()
    plan, fraction = recorded(tmp_path / "open", "unfinished")
    assert obstacles(plan, fraction) == ("nothing is recorded of beam 2", "beam 1 is not recorded to its end")
    dark = [replace(layer, recorded_mu=layer.recorded_mu * 0) for layer in fraction.beams[0].layers]
    without = replace(fraction, beams=(replace(fraction.beams[0], layers=tuple(dark)),))
    assert obstacles(plan, without)[-1] == "the record of beam 1 has no MU"
    again = replace(plan, beams=(*plan.beams, replace(plan.beams[0], number=7)))
    assert obstacles(again, recorded(tmp_path)[1]) == ("nothing is recorded of beam 7",)
