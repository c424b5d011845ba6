"""The tree uses the terms of the field and of its libraries: no banned identifier, no banned phrase.

vocabulary.yaml holds the words, the reason and what to write instead. All findings are reported at once.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORDS = yaml.safe_load(Path(__file__).with_name("vocabulary.yaml").read_text())
NAMES = {name: f"{entry['say']} ({entry['why']})" for entry in WORDS["identifiers"] for name in entry["ban"]}
PHRASES = [
    (re.compile(rf"(?<!\w)(?:{phrase})(?!\w)".replace(" ", r"\s+"), re.IGNORECASE), f"{entry['say']} ({entry['why']})")
    for entry in WORDS["phrases"]
    for phrase in entry["ban"]
]
CODE = ("src", "tests", "bench", "setup")
TEXTS = (
    "README.md",
    "CHANGELOG.md",
    "changes/*.md",
    "docs/**/*.md",
    "*.sh",
    "setup/*.sh",
    "config.example.yaml",
    "deploy/**/*",
)
TEMPLATES = ("src/**/*.html", "src/**/*.j2", "src/**/*.js", "src/**/*.txt", "src/**/*.sh")
# Names and texts of older versions, which are read for ever.
EXEMPT = ("src/mqi_communicator/case/event_names.py", "tests/integration/test_store_of_4614cf4.py")
ANY_PHRASE = re.compile("|".join(pattern.pattern for pattern, _ in PHRASES), re.IGNORECASE)
FIELDS: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Name: ("id",), ast.Attribute: ("attr",), ast.FunctionDef: ("name",), ast.AsyncFunctionDef: ("name",),
    ast.ClassDef: ("name",), ast.arg: ("arg",), ast.keyword: ("arg",), ast.alias: ("name", "asname"),
    ast.ImportFrom: ("module",), ast.ExceptHandler: ("name",), ast.MatchAs: ("name",), ast.MatchStar: ("name",),
}  # fmt: skip
if hasattr(ast, "TypeVar"):  # Python 3.12
    FIELDS[ast.TypeVar] = ("name",)


def names_in(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of everything that a module names or refers to."""
    for node in ast.walk(tree):
        for field in FIELDS.get(type(node), ()):
            for part in str(getattr(node, field) or "").split("."):
                yield getattr(node, "lineno", 0), part


def banned_names(source: str) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of each banned identifier."""
    for line, name in names_in(ast.parse(source)):
        if (instead := NAMES.get(name.lstrip("_"))) is not None:
            yield line, f"{name}: write {instead}"


def banned_phrases(text: str, first: int = 1) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) of each banned phrase; `first` is the line at which the text begins."""
    for pattern, instead in PHRASES if ANY_PHRASE.search(text) else ():
        for found in pattern.finditer(text):
            yield first + text.count("\n", 0, found.start()), f'"{" ".join(found[0].split())}": write {instead}'


def banned_strings(source: str) -> Iterator[tuple[int, str]]:
    """The same of the strings of a module, docstrings among them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from banned_phrases(node.value, node.lineno)


@cache
def sources() -> tuple[Path, ...]:
    """Every module of the project, in a fixed order."""
    found = chain.from_iterable((ROOT / folder).rglob("*.py") for folder in CODE)
    return tuple(sorted(path for path in found if path != Path(__file__) and str(path.relative_to(ROOT)) not in EXEMPT))


def texts() -> list[Path]:
    """What is read as it is: pages, templates, scripts."""
    found = {path for pattern in (*TEXTS, *TEMPLATES) for path in ROOT.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.suffix not in (".png", ".gz", ".woff2"))


def report(findings: list[tuple[Path, int, str]]) -> str:
    """One finding a line, with its place."""
    return "\n".join(["", *(f"{path.relative_to(ROOT)}:{line}: {what}" for path, line, what in findings)])


def test_no_identifier_is_banned():
    findings = [(path, line, what) for path in sources() for line, what in banned_names(path.read_text())]
    for path in sources():
        findings += [
            (path, 1, f"module {part}: write {NAMES[part]}")
            for part in path.relative_to(ROOT).with_suffix("").parts
            if part in NAMES
        ]
    assert not findings, report(sorted(set(findings)))


def test_no_phrase_for_users_or_readers_is_banned():
    shipped = [path for path in sources() if path.relative_to(ROOT).parts[0] in ("src", "setup")]
    findings = [(path, line, what) for path in shipped for line, what in banned_strings(path.read_text())]
    findings += [(path, line, what) for path in texts() for line, what in banned_phrases(path.read_text("utf-8"))]
    assert not findings, report(sorted(set(findings)))


@pytest.mark.parametrize(
    "source",
    [
        "class Desk: ...",
        "class _Desk: ...",
        "def obey(): ...",
        "async def f(told): ...",
        "f(said=1)",
        "x.hear()",
        "import flow.roundup",
        "from flow.stations import y",
        "from y import z as lookout",
        "said = 1",
        "try: ...\nexcept E as told: ...",
    ],
)
def test_a_planted_identifier_is_found(source):
    ((line, what),) = set(banned_names(f"\n{source}"))
    assert line in (2, 3)
    assert "write" in what


@pytest.mark.parametrize(
    "source",
    [
        '"""It needs\n a person."""',
        'x = f"{n} is looked at again"',
        'y = ("nothing " "is mended")',
        'raise E("A mistake of ours")',
    ],
)
def test_a_planted_phrase_is_found(source):
    ((line, what),) = banned_strings(f"\n{source}")
    assert line == 2
    assert "write" in what


def test_other_words_are_not_found():
    assert not [*banned_strings('x = "recommended; amend; the households; told"')]
    assert not [*banned_names("retold = unsaid = Lines = placed")]


def test_each_word_has_what_to_write_instead_and_why():
    for entry in (*WORDS["identifiers"], *WORDS["phrases"]):
        assert entry["ban"], entry
        assert entry["say"], entry
        assert entry["why"], entry
