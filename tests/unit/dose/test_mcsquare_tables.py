"""The engine's own tables: what is read of them, and what is refused."""

from __future__ import annotations

import pytest

from mqi_communicator.dose.commissioning import Commissioning
from mqi_communicator.dose.mcsquare.tables import parse_beam_model, parse_curve

pytestmark = pytest.mark.pure

TABLE = (
    b"--model--\r\nBeam parameters\r\n2 energies\r\n\r\nNominalEnergy MeanEnergy Spread ProtonsMU\r\n"
    b"100 100.5 0.6 1e8\r\n200 200.5 0.5 2e8\r\n250 250.5 0.5 9e8\r\n"
)
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
        (b"NominalEnergy", b"Energy", "no MCsquare beam data library"),
        (b"ProtonsMU", b"MU", "lacks the column ProtonsMU"),
        (b"200 200.5", b"90 200.5", "rise"),
        (b"200 200.5", b"200 x", "line 7"),
        (b"0.5 2e8", b"2e8", "line 7 has 3 numbers"),
        (b"2e8", b"0", "positive"),
    ],
)
def test_a_damaged_beam_model_is_named(old, new, words):
    with pytest.raises(ValueError, match=words):
        parse_beam_model(TABLE.replace(old, new), SIGNED)


@pytest.mark.parametrize("bad", [b"", b"0 1\n", b"0 1\n0 2\n", b"0 1\n5\n", b"0 1\nx 2\n"])
def test_a_damaged_curve_is_named(bad):
    with pytest.raises(ValueError, match=r"file|line"):
        parse_curve(b"-1000 0\n0 1\n", bad, SIGNED)
