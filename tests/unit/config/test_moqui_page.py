"""docs/moqui.md: each configuration it shows is accepted, and each reason it explains is one that the program gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mqi_communicator.config import load
from mqi_communicator.dose.moqui.options import MoquiOptions

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/moqui.md").read_text()
SHOWN = dict(re.findall(r"^```yaml\n# (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
REST = "paths: {watch: /in, workspace: /w, results: /r, remote: /remote}\nlocal: {}\n"


@pytest.mark.parametrize("name", SHOWN)
def test_a_configuration_of_the_page_is_accepted(tmp_path, name):
    path = tmp_path / "config.yaml"
    path.write_text(SHOWN[name] + REST)
    engine = load(path).engine
    assert isinstance(engine, MoquiOptions)
    assert engine.flavour == {"steps": "clinic", "devices": "upstream"}.get(name, name)


def test_there_is_one_for_each_flavour_and_for_what_a_site_adds():
    assert set(SHOWN) == {"upstream", "fork", "clinic", "steps", "ours", "devices"}


def test_each_reason_of_the_table_is_one_that_is_given():
    table = PAGE.split("| message | meaning | result |", 1)[1].split("\n\n", 1)[0]
    reasons = [words for line in table.splitlines()[2:] for words in re.findall(r"`([^`]+)`", line.split("|")[1])]
    assert len(reasons) > 20
    sources = [
        *(ROOT / "src/mqi_communicator/dose/moqui").glob("*.py"),
        ROOT / "src/mqi_communicator/dicom/foreign_dose.py",
    ]
    printed = re.sub(r'"\s*f?"|\\', "", " ".join(path.read_text() for path in sources))  # joined string literals
    stand_in = " ".join(path.read_text() for path in (ROOT / "tests/standin").glob("*.py"))
    for words in reasons:
        pieces = re.split(r" ?(?:\bN\b|\bM\b|\bis\b|\.\.\.|\bstdbuf\b) ?|: $", words)
        for piece in filter(None, (piece.strip(" :,") for piece in pieces)):
            assert piece in printed or piece in stand_in, piece
