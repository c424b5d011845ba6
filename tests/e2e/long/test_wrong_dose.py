"""A planted error ends in the verdict, and in the check, that the documentation promises: the other nine kinds."""

from __future__ import annotations

import pytest
from tests.e2e.wrong_doses import PROMISES, SHORT, computed, ends_as_promised

OTHERS = [kind for kind in PROMISES if kind not in SHORT]


@pytest.fixture(scope="module")
def evening(tmp_path_factory):
    with computed(tmp_path_factory.mktemp("wrong-dose"), OTHERS) as evening:
        yield evening


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.timeout(840)
def test_a_planted_error_ends_as_promised(evening, kind):
    ends_as_promised(evening.cases[kind], kind)
