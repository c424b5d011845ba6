"""The documents tell the truth: commands exist, links lead somewhere, the house is the one that stands."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mqi_communicator.cli import exit_codes
from mqi_communicator.cli.main import app
from mqi_communicator.cli.reference import page as cli_page
from mqi_communicator.dose.abilities import markdown
from mqi_communicator.flow.steps.table import (
    ALL_STEPS,
    BEAM_STEPS,
    CASE_STEPS,
    DELIVERY_STEPS,
    FRACTION_STEPS,
    SETTINGS,
)
from mqi_communicator.flow.transitions.decide import decide
from mqi_communicator.results.reference import CHECKS
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store.schema import metadata

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").glob("*.md")) + sorted((ROOT / "changes").glob("*.md"))
SHELL = ("console", "sh", "bash", "shell", "text", "")


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """(language, text) of each fenced block."""
    yield from re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The commands of a page that are ours, as words."""
    found = []
    for language, text in blocks(page):
        if language not in SHELL:
            continue
        for line in text.splitlines():
            words = line.removeprefix("$ ")
            if re.match(r"(\S*/)?(mqi|(deploy|test|prepare|bundle)\.sh)(\s|$)|python3? (-m mqi|setup/|bench/)", words):
                found.append(shlex.split(words, comments=True))
    return found


MADE = ROOT / "docs/cli.md"  # from the very help that the others are held against
ALL = sorted({tuple(words) for page in PAGES if page != MADE for words in commands(page)})


@cache
def help_of(*argv: str) -> str:
    """The help of a program; that of `mqi` without a process of its own."""
    if argv[0] == "mqi":
        shown = CliRunner().invoke(app, [*argv[1:], "--help"])
        assert shown.exit_code == 0, f"{argv}: {shown.output}"
        return shown.output
    ended = subprocess.run([*argv, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, f"{argv}: {ended.stderr}"
    return re.sub(r"\x1b\[[0-9;]*m", "", ended.stdout)


def launcher(words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The program that a documented command names, as it is run here, and its arguments."""
    first, *rest = words
    if first.endswith("mqi"):
        depth = 2 if rest[0] in ("user", "token", "config") else 1  # these have commands of their own
        return ("mqi", *rest[:depth]), tuple(rest[depth:])
    if first.startswith("python"):
        if rest[0] == "-m":
            return (sys.executable, "-m", rest[1]), tuple(rest[2:])
        return (sys.executable, rest[0]), tuple(rest[1:])
    return (str(ROOT / first.removeprefix("./")),), tuple(rest)


def test_the_pages_do_name_commands():
    named = {words[1] for words in ALL if words[0].endswith("mqi") and len(words) > 1}
    assert {"status", "why", "show", "retry", "hold", "release", "cancel", "check", "once", "sample"} <= named
    assert ("./deploy.sh", "--demo") in ALL
    assert ("./test.sh",) in ALL


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_documented_command_and_its_options_exist(words):
    program, arguments = launcher(words)
    message = help_of(*program)
    for word in arguments:
        if word.startswith("-") and word != "--help":
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", message), (
                f"{word} is not in the help of {program}"
            )


def test_the_page_of_commands_is_what_the_program_says():
    assert MADE.read_text() == cli_page(), "run: python -m mqi_communicator.cli.reference > docs/cli.md"


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    found = set()
    for heading in re.findall(r"^#+ +(.+)$", page.read_text(), re.MULTILINE):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", plain).strip().lower().replace(" ", "-"))
    return found


LINKS = [
    (page, target)
    for page in PAGES
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    if not re.match(r"[a-z]+:", target)
]


@pytest.mark.parametrize(("page", "target"), LINKS, ids=[f"{page.name}-{target}" for page, target in LINKS])
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    there = (page.parent / path).resolve() if path else page
    assert there.exists(), f"{page.name} links to {target}"
    assert there.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(there), f"{there.name} has no heading for #{anchor}"


def test_the_exit_codes_are_those_of_the_program():
    named = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert named == set(exit_codes.MEANINGS)
    assert f"\n{exit_codes.table(short=True)}\n" in (ROOT / "README.md").read_text()
    literal = re.compile(r"typer\.Exit\(\d|sys\.exit\(\d")
    assert not [path for path in (ROOT / "src").rglob("*.py") if literal.search(path.read_text())]


def tree() -> set[str]:
    """The names in the tree of packages."""
    picture = next(text for _, text in blocks(ROOT / "docs/design.md") if text.startswith("src/mqi_communicator/"))
    return set(re.findall(r"^[├└]── (\S+)", picture, re.MULTILINE))


def test_the_tree_in_the_design_names_every_package():
    source = ROOT / "src/mqi_communicator"
    packages = {f"{path.name}/" for path in source.iterdir() if (path / "__init__.py").is_file()}
    files = {path.name for path in source.glob("*.py")} - {"__init__.py"}
    assert tree() == packages | files


def test_the_design_shows_the_layers_that_are_enforced():
    contract = (ROOT / ".importlinter").read_text().split("layers =\n", 1)[1].split("exhaustive", 1)[0]
    enforced = [set(re.findall(r"\w+", line)) for line in contract.splitlines()]
    text = (ROOT / "docs/design.md").read_text()
    line = re.search(r"^`(cli →.*?)`$", text, re.MULTILINE | re.DOTALL)
    assert line
    reported = [set(re.findall(r"\w+", level)) for level in line[1].split("→")]
    assert reported == [level for level in enforced if level and level != {"__main__"}]


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = page.read_text().split(f"\n## {heading}\n", 1)[1]
    table = re.search(r"^\|.*?(?=\n\n|\Z)", below, re.MULTILINE | re.DOTALL)
    assert table
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


DESIGN = ROOT / "docs/design.md"


def test_the_table_of_steps_is_the_way_of_a_case():
    reported = [(name, line) for name, line, *_ in rows(DESIGN, "How a case moves")]
    head = [step.name for step in CASE_STEPS[:3]]
    assert [name for name, line in reported if line == "case"] == [step.name for step in CASE_STEPS]
    assert [name for name, line in reported if line == "beam"] == [step.name for step in BEAM_STEPS]
    assert [name for name, _ in reported][:3] == head
    limits = {
        name: bound.strip(" `").removeprefix("resources.") for name, _, _, bound in rows(DESIGN, "How a case moves")
    }
    assert [name for name, line in reported if line == "delivery"] == [step.name for step in DELIVERY_STEPS]
    assert [*(name for name, line in reported if line == "fraction"), "tidy"] == [step.name for step in FRACTION_STEPS]
    for step in ALL_STEPS:
        if step.limit:
            assert limits[step.name] == SETTINGS[step.limit]


def test_the_moves_told_are_the_moves_decided():
    table = (ROOT / "docs/design.md").read_text().split("| outcome of a try |", 1)[1].split("\n\n", 1)[0]
    reported = set(re.findall(r"^\| (\w+) \|", table, re.MULTILINE))
    source = sys.modules[decide.__module__].__doc__ or ""
    moves = set(re.findall(r"^    ([A-Z]\w+) ", source, re.MULTILINE))
    assert reported == moves


def test_the_tables_of_the_store_are_told():
    assert {name for name, _ in rows(DESIGN, "The store")} == set(metadata.tables)


def test_the_words_of_a_verdict_are_told_in_order():
    section = DESIGN.read_text().split("\n## The verdict\n", 1)[1]
    line = re.search(r"from best to worst: (.*?)\. ", section, re.DOTALL)
    assert line
    assert re.findall(r"`(\w+)`", line[1]) == [outcome.value for outcome in CheckOutcome]


def test_the_table_of_what_engines_compute_is_the_one_that_refuses():
    assert markdown() in (ROOT / "docs/limits.md").read_text(), "run: python -m mqi_communicator.dose.abilities"


DELIVERED = ROOT / "src/mqi_communicator/results/delivered"


def checks_in(paths: Iterable[Path], made: tuple[str, ...]) -> set[str]:
    """The names of checks that modules make with one of these functions."""
    named = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in made:
                first = next(
                    (word.value for word in node.keywords if word.arg == "name"), node.args[0] if node.args else None
                )
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    named.add(first.value)
    return named


def test_every_check_of_a_delivery_is_told():
    named = checks_in(DELIVERED.glob("*.py"), ("Check", "graded", "not_judged"))
    assert named == {name for name, *_ in rows(ROOT / "docs/delivery.md", "What the numbers mean")}


def test_every_check_is_told():
    paths = (ROOT / "src/mqi_communicator").glob("[rd]*/**/*.py")  # results, dose
    named = checks_in((path for path in paths if path.parent != DELIVERED), ("Check", "_check", "_plain", "Caution"))
    reported = {name for name, *_ in rows(ROOT / "docs/validation.md", "Checks and default limits")}
    assert named - {"completeness", "basis"} == reported
    assert named == CHECKS.keys()


def test_every_dependency_is_told():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {line.split()[0] for line in project["dependencies"]}
    reported = " ".join(cells[0] for cells in rows(DESIGN, "Dependencies"))
    assert wanted <= set(re.findall(r"[\w-]+", reported))


def test_the_changelog_begins_with_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first
    assert first[1] == version


SECURITY = ROOT / "docs/security.md"
CLAIMS = rows(SECURITY, "What we defend against")


@pytest.mark.parametrize(("claim", "held_by"), CLAIMS, ids=[claim[:60] for claim, _ in CLAIMS])
def test_each_claim_about_security_names_a_test_that_exists(claim, held_by):
    named = re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", held_by)
    assert named, claim
    for file, test in named:
        source = ast.parse((ROOT / file).read_text())
        tests = {node.name for node in source.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        tests = {name for name in tests if name.startswith("test_")}
        assert test in tests if test else tests, f"{file}::{test}"
