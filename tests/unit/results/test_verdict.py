"""How checks add up."""

from __future__ import annotations

from itertools import permutations

import pytest

from mqi_communicator.results.verdict import Check, Word, unjudged, worst

pytestmark = pytest.mark.pure


def check(word, name="gamma", scope="plan", note=""):
    return Check(name, scope, word, 1.0, "%", "limit", 1, None, note)


def test_the_worst_word_wins_in_any_order():
    ranked = [Word.PASS, Word.REVIEW, Word.UNDECIDED, Word.NOT_JUDGED, Word.FAIL]
    for some in permutations(ranked, 3):
        assert worst(tuple(check(w) for w in some)).word is max(some, key=ranked.index)


def test_silence_is_not_a_pass():
    assert worst(()).word is Word.NOT_JUDGED


def test_why_names_each_blamed_check_once_with_its_beams():
    deep = [check(Word.FAIL, "range_r80", f"beam {n}", "too deep") for n in (1, 3)]
    assert worst((*deep, check(Word.PASS))).why == "range_r80 (beam 1, beam 3): too deep"


def test_without_basis_no_word_stands_and_every_number_does():
    verdict = unjudged((check(Word.FAIL), check(Word.PASS)), ("not commissioned",))
    assert {c.word for c in verdict.checks} == {Word.NOT_JUDGED}
    assert [c.value for c in verdict.checks] == [None, 1.0, 1.0]
    assert verdict.why == "not judged: not commissioned"
