"""Sanitizing and masking of labels, and the notation of gamma criteria."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mqi_communicator.case.identity import Mask
from mqi_communicator.report.options import Criterion, ReportOptions
from mqi_communicator.report.text import drawable, one_line

pytestmark = pytest.mark.pure


def test_control_and_bidi_characters_are_escaped_and_long_text_is_truncated():
    assert one_line("PTV\n\t60 \u202egnorw\x07") == r"PTV 60 \u202egnorw\x07"
    assert one_line("x" * 200) == "x" * 63 + "…"


def test_characters_without_a_glyph_are_named():
    assert drawable("PTV 陽", {ord(c) for c in "PTV "}) == "PTV [U+967D]"


def test_parts_of_a_patients_name_are_masked_in_any_case():
    mask = Mask("Grimaldi^Ottavia", "ID-990077", "19500102")
    assert mask("prostate GRIMALDI id-990077, 19500102 left") == "prostate ••• •••, ••• left"
    assert Mask("", "")("PTV") == "PTV"
    assert Mask("Li^Yu")("Limits Yu") == "Limits Yu"  # words of two letters are in every word


def test_criteria_are_read_as_physicists_write_them():
    options = ReportOptions(gamma=("2%/2mm", "3 %/1.5 mm local", "2 %/2 mm"))
    assert options.criteria == (Criterion(2.0, 2.0, local=False), Criterion(3.0, 1.5, local=True))
    assert [c.label for c in options.criteria] == ["2 %/2 mm, global", "3 %/1.5 mm, local"]


@pytest.mark.parametrize("text", ["3/3", "0 %/2 mm", "3 %/99 mm", "2 mm/3 %", "3 %/3 mm globally"])
def test_anything_else_is_refused_by_name(text):
    with pytest.raises(ValidationError, match="gamma"):
        ReportOptions(gamma=(text,))
