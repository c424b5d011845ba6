"""The engine's own tables: what is read of them, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.beamdata import TABLE, table

from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.optics import COLUMNS
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve

pytestmark = pytest.mark.pure

SIGNED = Commissioning("Physics", "2026-01-31")


def test_only_the_announced_rows_count():
    model = parse_beam_model(TABLE, SIGNED)
    assert model.nominal == (100.0, 200.0)  # the third row is beyond `2 energies`: the engine never reads it
    assert model.protons_per_mu(150) == 1.5e8
    assert model.mean_energy(125) == pytest.approx(125.5)
    with pytest.raises(ValueError, match="outside"):
        model.protons_per_mu(200.1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b"2 energies", b"4 energies", "3 rows"),
        (b"NominalEnergy", b"Energy", "not an MCsquare beam data library"),
        (b"ProtonsMU", b"MU", "line 11: column 4 is MU, expected ProtonsMU"),
        (b"MeanEnergy EnergySpread", b"EnergySpread MeanEnergy", "column 2 is EnergySpread, expected MeanEnergy"),
        (b" Weight2 SpotSize2x", b"", "column 12 is Divergence2x"),
        (b"200 200.5", b"90 200.5", "rise"),
        (b"200 200.5", b"200 x", "line 13"),
        (b"0.5 2e8", b"2e8", "line 13 has 17 numbers"),
        (b"2e8", b"0", "line 13: ProtonsMU is 0.*positive"),
        (b"--UPenn beam model (double gaussian)--", b"--model--", "line 1 is '--model--'"),
        (b"gaussian)--", b"gaussian)-- ", "line 1 is"),
        (b"SMX to", b"SNX to", "no line 'SMX to"),
        (b"1859.1", b"0", "line 7: SMY to Isocenter distance is '0'"),
        (b"410.0", b"Nozzle", "line 3: Nozzle exit to Isocenter distance is 'Nozzle'"),
    ],
)
def test_a_damaged_beam_model_is_named(old, new, words):
    with pytest.raises(ValueError, match=words):
        parse_beam_model(TABLE.replace(old, new), SIGNED)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((f"Correlation{n}{axis}", value) for n in (1, 2) for axis in "xy" for value in (0, 1e-6, -3e-6, 1, -1, 1.5)),
        *((f"{name}{n}{axis}", value) for name in ("SpotSize", "Divergence") for n in (1, 2) for axis in "xy"
          for value in (0, -3)),
        *((name, value) for value in ("nan", "inf")
          for name in ("Correlation1x", "SpotSize2y", "EnergySpread", "Weight1", "MeanEnergy", "ProtonsMU")),
        ("Weight1", -0.1),
        ("Weight1", 2),
        ("Weight2", 0.5),
        ("EnergySpread", -1),
    ],
)  # fmt: skip
def test_what_sends_no_protons_is_named_by_line_and_column(column, value):
    with pytest.raises(ValueError, match=f"line 13: .*{column}"):
        parse_beam_model(table(**{column: value}), SIGNED)


@pytest.mark.parametrize(
    "changes",
    [
        {"Correlation1x": 1e-5},
        {"Correlation1x": -0.9999},
        {"EnergySpread": 0},
        {"Weight1": 1, "Weight2": 0, "SpotSize2x": 0, "Divergence2x": 0, "Correlation2x": 0, "Correlation2y": 1},
        {"Weight1": 0, "Weight2": 1, "SpotSize1x": 0},
    ],
)
def test_what_sends_protons_is_accepted(changes):
    assert parse_beam_model(table(**changes), SIGNED).nominal == (100.0, 200.0)


def test_a_row_that_the_engine_never_reads_is_not_judged():
    assert parse_beam_model(table(250, Correlation1x=0), SIGNED).nominal == (100.0, 200.0)


def test_a_correlation_that_passes_through_zero_between_rows_is_known_by_its_energy():
    model = parse_beam_model(table(Correlation1x=0.12), SIGNED)  # from -0.04 at 100 MeV: zero at 125 MeV
    assert "Correlation1x" in model.unsendable(125.0)
    assert [model.unsendable(energy) for energy in (100.0, 124.9, 125.1, 200.0)] == [""] * 4


@pytest.mark.parametrize("bad", [b"", b"0 1\n", b"0 1\n0 2\n", b"0 1\n5\n", b"0 1\nx 2\n"])
def test_a_damaged_curve_is_named(bad):
    with pytest.raises(ValueError, match=r"file|line"):
        parse_curve(b"-1000 0\n0 1\n", bad, SIGNED)


@pytest.mark.parametrize(
    ("energy", "row", "narrower"),
    [
        (100.0, "0.95 3.985307 0.006356 0.072822 5.586431 0.006545 -0.26624 0.05 38 0.045 -0.1 22 0.036 -0.2", 4.918),
        (200.0, "0.05 38.9 0.045 -0.125 22.3 0.036 -0.22 0.95 5.586431 0.006545 -0.266240 9 0.006 0.2", 5.516),
        (200.0, "1 5.586431 0.006545 -0.266240 9 0.006 0.2 0 0 0 0 0 0 0", 5.516),
    ],
)  # fmt: skip
def test_the_size_of_a_spot_at_the_isocentre_is_that_of_its_narrowest_gaussian(energy, row, narrower):
    """Of the example library at 100 MeV, 410 mm from the nozzle; tests/integration measures it with the engine."""
    values = dict(zip(COLUMNS[4:], row.split(), strict=True))
    model = parse_beam_model(table(energy, **values), SIGNED)
    assert model.spot_sigma(energy) == pytest.approx(narrower, abs=0.001)


def test_the_size_of_a_spot_is_unknown_outside_the_table_and_without_optics():
    model = parse_beam_model(TABLE, SIGNED)
    assert model.spot_sigma(150.0) > 0
    assert math.isnan(model.spot_sigma(99.9))
    assert math.isnan(model.spot_sigma(math.nan))
    assert math.isnan(replace(model, table={}).spot_sigma(150.0))
    assert math.isnan(replace(model, text=model.text.replace(b"Nozzle exit", b"Nozzle")).spot_sigma(150.0))


def test_distances_are_on_the_line_after_their_name():
    model = parse_beam_model(
        TABLE.replace(b"SMX to Isocenter distance", b"SMX to Isocenter distance (mm, 2024)"), SIGNED
    )
    assert model.sad == (2234.8, 1859.1)
