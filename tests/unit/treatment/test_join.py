"""A delivery is joined to its plan, or refused with every contradiction by name."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivered import plan_in, read, records, write

from mqi_communicator.dicom.treatment_record import read_treatment_record
from mqi_communicator.treatment.fractions import by_fraction, without_copies
from mqi_communicator.treatment.join import join
from mqi_communicator.treatment.joined import Pairing


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_in(tmp_path_factory.mktemp("plan"))[1]


@pytest.fixture(scope="module")
def deliveries(plan, tmp_path_factory):
    """A function that reads the records of one kind."""

    def made(kind="good", fraction=1):
        folder = tmp_path_factory.mktemp(kind)
        found = [read_treatment_record(path) for path in write(folder, records(plan, kind, fraction))]
        assert not any(problems for _, problems in found)
        return [delivery for delivery, _ in found]

    return made


def changed(delivery, beam, **changes):
    beams = list(delivery.beams)
    beams[beam] = replace(beams[beam], **changes)
    return replace(delivery, beams=tuple(beams))


def each_layer(delivery, beam, change):
    return changed(delivery, beam, layers=tuple(change(layer) for layer in delivery.beams[beam].layers))


def reasons(plan, delivery):
    beams, problems = join(plan, delivery)
    assert not problems or len(beams) < len(delivery.beams)
    return {problem.code for problem in problems}


@pytest.mark.parametrize("kind", ["good", "test-pulses", "other-order", "echo", "more-in-all", "shifted-layer"])
def test_every_spot_has_its_planned_partner(plan, deliveries, kind):
    for delivery in deliveries(kind):
        beams, problems = join(plan, delivery)
        assert not problems
        for beam in beams:
            for layer in beam.layers:
                paired = layer.partner >= 0
                assert (~paired).sum() == (kind == "test-pulses")
                assert layer.partner[paired].tolist() == list(range(len(layer.mu)))
                assert layer.pairing is Pairing.INDICES
                assert np.abs(layer.offsets[paired]).max() < 1.5


def test_another_plan_is_refused(plan, deliveries):
    (delivery,) = deliveries("other-plan")
    assert reasons(plan, delivery) == {"join.plan"}


def test_layers_of_another_beam_are_refused(plan, deliveries):
    (delivery,) = deliveries("swapped-beams")
    assert reasons(plan, delivery) & {"join.energy", "join.layers", "join.spots", "join.indices"}


def test_a_beam_that_the_plan_has_not_is_refused(plan, deliveries):
    (delivery,) = deliveries()
    assert reasons(plan, changed(delivery, 0, number=7)) == {"join.beam"}


def test_an_energy_that_the_plan_has_not_is_refused(plan, deliveries):
    (delivery,) = deliveries()
    off = each_layer(delivery, 0, lambda layer: replace(layer, energy=layer.energy + 0.2))
    assert reasons(plan, off) == {"join.energy"}


def test_a_missing_layer_is_refused(plan, deliveries):
    (delivery,) = deliveries()
    layers = delivery.beams[0].layers
    assert reasons(plan, changed(delivery, 0, layers=(*layers[:2], *layers[3:]))) == {"join.layers"}
    assert reasons(plan, changed(delivery, 0, layers=layers[1:])) == {"join.layers"}
    assert reasons(plan, changed(delivery, 0, layers=layers[:-1])) == {"join.layers"}
    assert reasons(plan, changed(delivery, 0, layers=layers[:-1], termination="OPERATOR")) == set()
    assert reasons(plan, changed(delivery, 0, layers=layers[1:], kind="CONTINUATION")) == set()


def test_other_positions_are_refused(plan, deliveries):
    (delivery,) = deliveries()
    turned = each_layer(delivery, 0, lambda layer: replace(layer, positions=-layer.positions))
    assert reasons(plan, turned) == {"join.spots"}
    away = each_layer(delivery, 0, lambda layer: replace(layer, positions=layer.positions + 8.0))
    assert reasons(plan, away) == {"join.spots"}


def test_an_offset_is_judged_and_not_refused(plan, deliveries):
    (delivery,) = deliveries()
    assert reasons(plan, each_layer(delivery, 0, lambda one: replace(one, positions=one.positions + 3.0))) == set()


def test_too_many_mu_are_judged_and_not_refused(plan, deliveries):
    (delivery,) = deliveries()
    assert reasons(plan, each_layer(delivery, 0, lambda layer: replace(layer, mu=2 * layer.mu))) == set()


def test_indices_beyond_the_layer_are_refused(plan, deliveries):
    (delivery,) = deliveries()
    beyond = each_layer(delivery, 0, lambda layer: replace(layer, indices=layer.indices + 2))
    assert reasons(plan, beyond) == {"join.indices"}


def one_spot(layers):
    return tuple(replace(one, spots=one.spots[:1], weights=one.weights[:1]) for one in layers)


def test_layers_of_one_spot_are_paired_by_their_index(plan, deliveries):
    """The index is 0 in every layer; counted from 1 it would be a test pulse."""
    (delivery,) = deliveries()
    single = replace(plan, beams=tuple(replace(beam, layers=one_spot(beam.layers)) for beam in plan.beams))
    for number in range(len(delivery.beams)):
        delivery = each_layer(
            delivery,
            number,
            lambda one: replace(one, positions=one.positions[:1], mu=one.mu[:1], indices=one.indices[:1]),
        )
    beams, problems = join(single, delivery)
    assert not problems
    assert {tuple(layer.partner) for beam in beams for layer in beam.layers} == {(0,)}


def test_indices_that_name_no_spot_are_refused(plan, deliveries):
    (delivery,) = deliveries()
    assert reasons(plan, each_layer(delivery, 0, lambda one: replace(one, indices=0 * one.indices - 1))) == {
        "join.indices"
    }


def test_all_contradictions_are_named_at_once(plan, deliveries):
    (delivery,) = deliveries()
    wrong = changed(each_layer(delivery, 0, lambda one: replace(one, positions=-one.positions)), 1, number=9)
    assert reasons(plan, wrong) == {"join.spots", "join.beam"}


def test_without_indices_the_order_counts_only_if_the_record_has_it(plan, deliveries):
    (delivery,) = deliveries()
    for in_order, pairing in ((True, Pairing.ORDER), (False, Pairing.NEAREST)):
        bare = each_layer(delivery, 0, lambda one, yes=in_order: replace(one, indices=None, in_order=yes))
        beams, problems = join(plan, bare)
        assert not problems
        for layer in beams[0].layers:
            assert layer.pairing is pairing
            assert layer.partner.tolist() == list(range(len(layer.mu)))


def test_without_indices_another_map_is_refused(plan, deliveries):
    (delivery,) = deliveries()
    bare = each_layer(delivery, 0, lambda one: replace(one, indices=None, positions=0.5 * one.positions))
    assert reasons(plan, bare) == {"join.spots"}


def test_a_copy_counts_once_and_another_content_of_a_uid_not_at_all(deliveries):
    (delivery,) = deliveries()
    kept, problems = without_copies([delivery, replace(delivery, source="copy")])
    assert ([one.digest for one in kept], problems) == ([delivery.digest], [])
    kept, problems = without_copies([delivery, replace(delivery, digest="0" * 64, source="other")])
    assert not kept
    assert [problem.code for one in problems for problem in one.problems] == ["join.copies"]


def test_parts_of_a_fraction_belong_together(plan, deliveries):
    parts = deliveries("resumed")
    (fraction,) = by_fraction([beam for one in parts for beam in join(plan, one)[0]], plan.beams)
    first, second = fraction.beams
    assert (first.interruptions, first.finished, second.interruptions) == (1, True, 0)
    assert len(first.layers) == len(plan.beams[0].layers)
    assert sum(float(layer.recorded_mu.sum()) for layer in first.layers) == pytest.approx(80.0, rel=1e-6)


@pytest.fixture(scope="module")
def arrived(plan, deliveries):
    """The records of three fractions, one of them resumed, and what they are in the order of time."""
    found = [*deliveries("resumed", 1), *deliveries("other-order", 2), *deliveries("good", 3)]
    return found, _numbers(plan, found)


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(plan, arrived, random):
    found, expected = arrived
    shuffled = [*found, random.choice(found)]
    random.shuffle(shuffled)
    assert _numbers(plan, shuffled) == expected


def _numbers(plan, arrived):
    kept, problems = without_copies(arrived)
    assert not problems
    joined = [beam for one in kept for beam in join(plan, one)[0]]
    return [
        (
            one.label,
            one.sources,
            [(beam.planned.number, [_spots(layer) for layer in beam.layers]) for beam in one.beams],
        )
        for one in by_fraction(joined, plan.beams)
    ]


def _spots(layer):
    return layer.index, layer.recorded.tolist(), layer.partner.tolist()


def test_other_files_in_a_folder_are_left_out(tmp_path, plan):
    plan_in(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    write(below, records(plan))
    found, problems = read([tmp_path], plan, {})
    assert (len(found), problems) == (1, [])


def test_a_folder_that_cannot_be_read_is_reported(tmp_path, plan, monkeypatch):
    """It may have a record of the same fraction."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, records(plan))
    listed = os.scandir

    def scandir(path):
        if Path(path).name == "b":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may read every folder
    found, problems = read([tmp_path], plan, {})
    assert len(found) == 1
    assert [(one.code, one.file, one.found) for one in problems] == [
        ("record.unreadable", "b", "it cannot be read: Permission denied")
    ]


def test_a_named_file_must_be_a_record(tmp_path):
    path, plan = plan_in(tmp_path)
    found, problems = read([path, tmp_path / "missing.dcm"], plan, {})
    assert not found
    assert [problem.code for problem in problems] == ["record.other", "record.unreadable"]
