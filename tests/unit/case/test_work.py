"""What a job may consist of."""

from __future__ import annotations

import pytest

from mqi_communicator.case.work import Need, Program, Work

pytestmark = pytest.mark.pure


@pytest.mark.parametrize("words", [(), ("",), ("a\tb",), ("a\nb",), ("a\0",), ("sh", ""), ("a\x1b",), ("sh", "\r")])
def test_arguments_that_cannot_be_passed_are_refused(words):
    with pytest.raises(ValueError, match="argument of a program"):
        Program("engine", words)


@pytest.mark.parametrize("path", ["", "/etc/passwd", "~/x", "a/../../b", "..", "a\tb", "-x"])
def test_a_product_is_below_the_run_folder(path):
    with pytest.raises(ValueError, match="below the run folder"):
        Work((), (path,), 1.0)
    with pytest.raises(ValueError, match="below the run folder"):
        Program("engine", ("true",), outputs=(path,))


@pytest.mark.parametrize("path", ["log", "/etc/passwd", "../../input/../x", "../../../input/x", "../../input//x"])
def test_a_shown_file_is_part_of_the_input(path):
    with pytest.raises(ValueError, match=r"of the input|below the run folder"):
        Work((), (), 1.0, shown=(path,))


@pytest.mark.parametrize("program", ["-S", "--", "A=b"])
def test_a_program_is_neither_an_option_nor_an_assignment(program):
    with pytest.raises(ValueError, match="must not begin with a dash"):
        Program("engine", (program, "x"))


def test_names_and_digests_are_plain():
    with pytest.raises(ValueError, match="is not a program name"):
        Program("Engine 1", ("true",))
    with pytest.raises(ValueError, match="invalid name"):
        Program("engine", ("true",), env=(("A B", "x"),))
    with pytest.raises(ValueError, match="not a requirement of a host"):
        Need("sha256", "/bin/true", "", "xyz")
