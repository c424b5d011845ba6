"""Characters that control a terminal, reorder text or are invisible are shown as escapes."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.odd_text import hidden, odd_texts

from mqi_communicator.case.model import Event, WorkItem
from mqi_communicator.case.views import cell
from mqi_communicator.case.visible import visible, visible_in, visible_lines, visible_text
from mqi_communicator.checks.finding import failed
from mqi_communicator.dicom.problem import printable
from mqi_communicator.notify.message import Notification, compose
from mqi_communicator.report.text import one_line
from mqi_communicator.results.signature import Decision, SignatureDocument
from mqi_communicator.results.verdict import CheckOutcome
from mqi_communicator.store.orders import Order
from mqi_communicator.telemetry import logs
from mqi_communicator.terminal import checks_table, coloured
from mqi_communicator.web.rendering import environment


@pytest.mark.pure
@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("plan \x1b[31mred", r"plan \x1b[31mred"),
        ("\u202efdp.exe", r"\u202efdp.exe"),
        ("two\nlines", r"two\nlines"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
        ("Müller 陽子 5 µm", "Müller 陽子 5 µm"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_only_what_is_not_printable_is_escaped(text, seen):
    assert visible(text) == seen


@pytest.mark.pure
@given(odd_texts())
def test_no_character_is_hidden_or_escaped_twice(text):
    assert not hidden(visible(text))
    assert visible(visible(text)) == visible(text)
    assert visible_lines(text).count("\n") == text.count("\n")
    assert visible_in({text: [(text,), 1, None]}) == {visible(text): [(visible(text),), 1, None]}
    assert visible_text(len(text)) == len(text)


@pytest.mark.pure
@given(odd_texts())
def test_records_of_the_store_are_clean(text):
    item = WorkItem("case", 0, "admit", reason=text, advice=text)
    event = Event(1.0, "case", 0, "step.failed", who=text, why=text, facts={"said": [text]})
    order = Order(1, 1.0, "case", "hold", text, text, None, text, detail=text)
    words = [item.reason, item.advice, event.who, event.why, order.who, order.why, order.answer, order.detail]
    assert not [word for word in [*words, *event.facts["said"]] if hidden(word)]


@given(odd_texts())
def test_what_is_shown_is_clean(text):
    screen, log = io.StringIO(), io.StringIO()
    check = {"name": text, "scope": text, "word": text, "value": None, "unit": "", "limit": text, "points": None}
    checks = [{name: visible_in(value) for name, value in check.items()} | {"uncertainty": None}]
    Console(file=screen, width=200).print(checks_table(checks), coloured(visible(text)))
    logs.setup("info", stream=log, console=True)
    logs.log_event(Event(1.0, "case", 0, "step.failed", why=text, facts={"said": text}))
    finding = failed(text, text)
    for output in (screen.getvalue(), log.getvalue(), finding.what, finding.advice, printable(text), one_line(text)):
        assert not hidden(output.rstrip("\n").replace("\n", " "))
    assert log.getvalue().count("\n") == 1


@given(odd_texts())
def test_what_is_sent_and_delivered_is_clean(text):
    message = compose([Notification("failed", "case", 1, text)])
    assert not hidden(message.subject)
    assert not hidden(message.text.replace("\n", " "))
    assert not hidden(json.loads(json.dumps(message.data))["items"][0]["why"])
    page = environment().from_string("<p title='{{ text }}'>{{ text }}</p>").render(text=text)
    assert not hidden(page.replace("\n", " "))
    words = text.encode(errors="replace").decode()  # the file is UTF-8
    signed = SignatureDocument(
        case="case", decision=Decision.ACCEPT, name=f"ab{words}", role=f"ab{words}", reason=words, signed="now",
        account="ada", verdict=CheckOutcome.PASS, overrides=False, manifest="0" * 64,
    )  # fmt: skip
    assert not hidden(signed.summary)


@pytest.mark.pure
@given(st.sampled_from("=+-@\t\r\uff1d\uff0b\uff0d\uff20"), odd_texts())
def test_no_cell_is_a_formula(first, text):
    out = io.StringIO()
    csv.writer(out).writerow([cell(first + text)])
    (read,) = next(csv.reader(io.StringIO(out.getvalue())))
    assert not hidden(read)
    assert read[0] in "'\\"
