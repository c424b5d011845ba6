"""Histories: every spot gets one, moqui's own arithmetic gives the number we say, and monitor units are kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standin.small import beam, beam_file, layer

from mqi_communicator.dicom.problem import DicomProblem
from mqi_communicator.dose.moqui.histories import HistoriesRequest, quota_by_counts, quota_by_ratio, sent_weights
from mqi_communicator.dose.moqui.inputs import number

pytestmark = pytest.mark.pure

WISH = HistoriesRequest(100_000, 10_000_000, 50_000)
weights = st.lists(st.floats(0.001, 50.0), min_size=1, max_size=30)


def one(values, energy=137.0, meterset=42.0):
    spots = np.zeros((len(values), 2))
    total = float(sum(values))
    return beam(layers=(layer(energy, values, spots),), meterset=meterset, final_cumulative_weight=total)


def of_moqui(sent, energy, per_history):
    """Histories per spot, written out as the program's source has them: every step in single precision."""
    model, f = beam_file(), np.float32
    rows = [(f(e), f(r)) for e, r in zip(model.energies, model.ratios, strict=True)]
    upper = next(i for i, (e, _) in enumerate(rows) if e >= f(energy))
    (x0, y0), (x1, y1) = rows[upper - 1], rows[upper]
    ratio = y0 + (f(energy) - x0) * (y1 - y0) / (x1 - x0)
    return [int(f(w) * ratio / f(per_history)) for w in sent]


@given(weights, st.floats(70.5, 230.0), st.floats(0.5, 500.0))
def test_every_spot_is_computed_and_the_number_is_moquis(values, energy, meterset):
    asked = one(values, energy, meterset)
    quota = quota_by_ratio(asked, beam_file(), None, WISH)
    reported = of_moqui(sent_weights(asked, None)[0].tolist(), energy, float(number(quota.particles_per_history)))
    assert min(reported) >= 1
    assert sum(reported) == quota.histories


@given(weights)
def test_what_is_cut_off_is_given_back(values):
    """Histories x particles per history x factor are the beam's protons: MU x ratio."""
    asked = one(values, 120.0, 30.0)
    model = beam_file()
    quota = quota_by_ratio(asked, model, None, WISH)
    protons = 30.0 * float(np.interp(120.0, model.energies, model.ratios))
    assert quota.histories * quota.particles_per_history * quota.factor == pytest.approx(protons, rel=1e-5)
    assert 1.0 - 1e-6 <= quota.factor < 1.011


def test_the_wish_is_kept_where_no_spot_is_lost():
    quota = quota_by_ratio(one([1.0, 2.0]), beam_file(), None, WISH)
    assert quota.histories == pytest.approx(100_000, rel=1e-3)
    assert quota.batch == pytest.approx(100_000 / 10, rel=1e-2)
    assert quota_by_ratio(one([1.0, 2.0]), beam_file(), None, replace(WISH, per_batch=10)).batch == 10


def test_a_weak_spot_raises_the_number():
    quota = quota_by_ratio(one([1.0, 1e-6]), beam_file(), None, WISH)
    assert quota.histories == pytest.approx(1.001e6, rel=1e-3)


def test_many_spots_raise_the_number():
    quota = quota_by_ratio(one([1.0] * 3000), beam_file(), None, WISH)
    assert quota.histories == pytest.approx(300_000, rel=0.02)
    assert quota.factor < 1.01


@pytest.mark.parametrize(
    "ask", [lambda b: quota_by_ratio(b, beam_file(), None, WISH), lambda b: quota_by_counts(b, None, WISH)]
)
def test_a_spot_that_cannot_be_had_is_named(ask):
    lost = beam(layers=(layer(), layer(101.0, (1e-9, 1.0))))
    with pytest.raises(
        DicomProblem, match=r"beam 3, layer 2 \(101 MeV\).*weakest spot.*histories, more than"
    ) as caught:
        ask(lost)
    assert caught.value.code == "dose.histories"
    assert "max_histories_per_beam" in caught.value.advice


def test_spots_of_no_weight_count_for_nothing():
    with_zero = beam(layers=(layer(weights=(5.0, 0.0)),))
    assert quota_by_ratio(with_zero, beam_file(), None, WISH).histories == pytest.approx(100_000, rel=1e-3)


def test_weights_are_sent_in_mu_or_in_declared_protons():
    assert [w.tolist() for w in sent_weights(beam(), None)] == [[10.0, 30.0], [10.0, 0.0]]
    assert [w.tolist() for w in sent_weights(beam(), 1e8)] == [[1e9, 3e9], [1e9, 0.0]]


def test_declared_protons_scale_the_dose_alone():
    plain, declared = (quota_by_ratio(beam(), beam_file(), declared, WISH) for declared in (None, 1e8))
    assert declared.particles_per_history == pytest.approx(1e8 * plain.particles_per_history, rel=1e-5)
    assert declared.histories == pytest.approx(plain.histories, rel=1e-4)


@given(weights)
def test_counts_are_whole_and_at_least_one(values):
    quota = quota_by_counts(one(values), 1e8, WISH)
    mu = np.array(values) * 42.0 / sum(values)
    assert (np.rint(mu * quota.counts_per_mu) >= 1).all()
    assert quota.factor == pytest.approx(1e8 / quota.counts_per_mu)
    assert not quota.exact


def test_counts_of_the_machine_are_kept_or_refused():
    assert quota_by_counts(beam(), None, WISH, 4.67e7).counts_per_mu == 4.67e7
    with pytest.raises(DicomProblem, match=r"0\.001 to .* counts, expected 1 to"):
        quota_by_counts(beam(), None, WISH, 1e-4)
    with pytest.raises(DicomProblem, match="counts, expected 1 to 2147483647"):
        quota_by_counts(beam(), None, WISH, 1e9)


@pytest.mark.parametrize("value", [1.0, 5710.77, 0.00125, 1.23457e9, 3.2e-6])
def test_numbers_are_written_without_exponent_and_read_back_the_same(value):
    single = float(np.float32(value))
    assert "e" not in number(single)
    assert np.float32(float(number(single))) == np.float32(value)
