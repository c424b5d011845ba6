"""Which range shifters are in a beam, and where: what is not declared, or cannot be so, is refused by name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.shifters import PMMA, Models, setting, with_settings
from tests.standin.small import beam, layer, plan, volume

from mqi_communicator.dicom.records import ShifterSetting
from mqi_communicator.dose.prepare.draft import Draft
from mqi_communicator.dose.prepare.options import PreparationOptions
from mqi_communicator.dose.prepare.shifters import resolve_shifters

pytestmark = pytest.mark.pure

LAYERS = tuple(layer(energy) for energy in (180.0, 170.0, 160.0, 150.0))
SNOUT = replace(PMMA, distance="snout + 43")


def after(*settings, declared=None, models=None, **changes):
    """The draft after the stage, for one beam with these settings layer by layer."""
    given = with_settings(beam(**{"layers": LAYERS, **changes}), *settings)
    models = models or Models({"RS": PMMA} if declared is None else declared)
    return resolve_shifters(Draft(replace(plan(given), file="RP.dcm"), volume(), None), models, PreparationOptions())


def in_beam(draft):
    return [layer.shifters for layer in draft.plan.beams[0].layers]


def refusal(*settings, **given):
    (problem,) = after(*settings, **given).problems
    assert problem.code == "dose.range_shifter"
    assert problem.advice
    assert str(problem).startswith("RP.dcm, beam 3 (canary): ")
    return str(problem).removeprefix("RP.dcm, beam 3 (canary): ")


def test_one_that_is_in_keeps_the_numbers_of_the_plan():
    draft = after((setting(),))
    assert in_beam(draft) == [(ShifterSetting("RS", "IN", 200.0, 40.0),)] * 4
    assert draft.problems == ()


@pytest.mark.parametrize("word", ["OUT", "HOME"])
def test_one_that_is_out_is_none(word):
    draft = after((setting(word=word, distance=None, wet=None),))
    assert in_beam(draft) == [()] * 4
    assert (draft.problems, draft.cautions) == ((), ())


def test_one_that_is_out_everywhere_needs_no_declaration():
    assert after((setting("ANOTHER", "OUT"),), declared={}).problems == ()


def test_a_word_of_the_site_means_what_it_declares():
    assert in_beam(after((setting(word="POSITION1"),))) == [(setting(),)] * 4


@pytest.mark.parametrize("word", ["", "in", "POSITION2"])
def test_another_word_is_refused_with_the_words_that_are_known(word):
    tail = "expected one of IN, OUT, HOME, POSITION1 for range shifter RS"
    assert refusal((setting(word=word),)) == f"RangeShifterSetting (300A,0362) is {word or 'missing'}, {tail}"


def test_one_that_is_not_declared_is_refused_with_those_that_are():
    found = refusal((setting("RS_5CM"),), declared={"B": PMMA, "A": PMMA})
    assert found == "RangeShifterID (300A,0318) is RS_5CM, expected one that is declared for machine G1 (A, B)"
    assert refusal((setting(""),), declared={}).endswith(
        "is missing, expected one that is declared for machine G1 (none)"
    )


def test_in_for_some_layers_stays_so_and_is_reported():
    draft = after((setting(word="OUT"),), (setting(),), (setting(),), (setting(word="OUT"),))
    assert [bool(one) for one in in_beam(draft)] == [False, True, True, False]
    (caution,) = draft.cautions
    assert (caution.name, caution.scope, caution.review) == ("range_shifter", "beam 3", False)
    assert caution.note == (
        "range shifter RS is in the beam in layers 2 to 3 of 4: downstream edge 200 mm from the isocentre, "
        "water-equivalent thickness 40 mm (as in the plan)"
    )


def test_a_thickness_rounded_to_32_bit_differs_by_zero_without_a_sign():
    (caution,) = after((setting(wet=40.0 - 1e-6),)).cautions
    assert str(caution.value) == "0.0"


def test_two_positions_of_one_are_two_sentences():
    draft = after((setting(),), (setting(distance=250.0),), (setting(),))
    assert [one.note.split(":")[0] for one in draft.cautions] == [
        "range shifter RS is in the beam in 3 of 4 layers",
        "range shifter RS is in the beam in layer 2 of 4",
    ]


def test_a_missing_thickness_is_the_declared_one():
    draft = after((setting(wet=None),))
    assert in_beam(draft)[0] == (setting(),)
    assert draft.cautions[0].note.endswith("water-equivalent thickness 40 mm (declared, the plan has none)")


@pytest.mark.parametrize(("wet", "review"), [(40.5, False), (39.5, False), (40.6, True), (39.4, True), (74.1, True)])
def test_another_thickness_than_the_declared_one_calls_for_a_review(wet, review):
    draft = after((setting(wet=wet),))
    assert in_beam(draft)[0] == (setting(wet=wet),)
    (caution,) = draft.cautions
    assert caution.review is review
    assert ("40 mm are declared" in caution.note) is review
    assert caution.value == pytest.approx(wet - 40)


@pytest.mark.parametrize("wet", [0.0, -1.0, float("nan"), float("inf")])
def test_one_without_thickness_is_refused(wet):
    found = refusal((setting(wet=wet),))
    assert "RangeShifterWaterEquivalentThickness (300A,0366) is" in found
    assert "expected more than 0 mm for range shifter RS" in found


def test_a_distance_that_the_plan_lacks_is_refused():
    assert refusal((setting(distance=None),)) == (
        "IsocenterToRangeShifterDistance (300A,0364) is missing, expected the number that gives the position of range "
        "shifter RS"
    )


def test_the_distance_follows_the_snout_where_the_site_says_so():
    declared = {"RS": SNOUT}
    assert in_beam(after((setting(distance=-61.5),), declared=declared, snout_position=92.9))[0] == (
        setting(distance=pytest.approx(135.9)),
    )
    assert "SnoutPosition (300A,030D) is missing" in refusal((setting(),), declared=declared, snout_position=None)


@pytest.mark.parametrize("distance", [-61.5, 0.0, 49.9, 400.1, float("nan")])
def test_what_is_beyond_the_travel_is_refused(distance):
    found = refusal((setting(distance=distance),))
    assert found == (
        f"range shifter RS is {distance:g} mm from the isocentre (downstream edge, by "
        "IsocenterToRangeShifterDistance (300A,0364)), expected 50 to 400 mm, its travel"
    )


def test_the_same_fault_in_many_layers_is_one_reason_and_two_faults_are_two():
    draft = after((setting("A"), setting(word="HALF")), declared={"RS": PMMA})
    assert len(draft.problems) == 2


def test_a_machine_that_is_not_configured_leaves_the_plan_as_it_is():
    for models in (Models(known=False), Models(None)):
        draft = after((setting("A", "HALF"),), models=models)
        assert in_beam(draft) == [(setting("A", "HALF"),)] * 4
        assert (draft.problems, draft.cautions) == ((), ())


def test_a_beam_without_layers_or_shifters_passes():
    assert after((), layers=()).problems == ()
    assert after(()).cautions == ()
