"""Log lines: JSON with stable names, and nothing of a patient."""

from __future__ import annotations

import io
import json
import logging
import os
import warnings
from datetime import UTC, datetime

import pytest
import structlog

from mqi_communicator.case.model import Event
from mqi_communicator.telemetry import logs
from mqi_communicator.telemetry.logs import log_event, setup

CANARY = "KANARIENVOGEL"


@pytest.fixture
def lines():
    stream = io.StringIO()
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    setup("info", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.captureWarnings(capture=False)
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def event(**changes):
    fields = {"at": 0.0, "case": "k2x", "beam": 2, "event": "step.retried", "step": "upload", "why": "no answer"}
    return Event(**{**fields, **changes})


def test_a_line_has_time_event_and_case(lines):
    log_event(event(facts={"attempt": 3}))
    (line,) = lines()
    assert list(line)[:7] == ["timestamp", "level", "event", "case", "beam", "step", "attempt"]
    assert (line["event"], line["case"], line["beam"], line["attempt"]) == ("step.retried", "k2x", 2, 3)
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == UTC.utcoffset(None)
    assert line["why"] == "no answer"


def test_events_of_the_case_itself_have_no_beam(lines):
    log_event(event(beam=0))
    assert "beam" not in lines()[0]


@pytest.mark.parametrize("code", ["dicom.truncated", "beam.scan_mode", "case.incomplete"])
def test_reasons_that_may_quote_a_file_are_left_out(lines, code):
    log_event(event(event="step.failed", why=f"{CANARY}.dcm ends early", facts={"code": code}))
    (line,) = lines()
    assert line["level"] == "warning"
    assert line["code"] == code
    assert CANARY not in json.dumps(line)


def test_messages_of_libraries_are_withheld(lines):
    logging.getLogger("pydicom").warning("Invalid value %s for PN", CANARY)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"odd name {CANARY}", stacklevel=1)
    output = lines()
    assert [line["event"] for line in output] == ["library.message"] * 2
    assert [line["library"] for line in output] == ["pydicom", "py.warnings"]
    assert CANARY not in json.dumps(output)


def test_a_message_that_a_library_repeats_is_logged_once_a_minute(lines, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    ours = logging.getLogger("mqi_communicator.store")
    for _ in range(3):
        for number in range(50):
            logging.getLogger("urllib3.connectionpool").warning("request number %d", number)
            ours.info("store.opened")
        logging.getLogger("asyncio").error("another")
        now += 31.0
    output = [line.get("library") for line in lines()]
    assert (output.count("urllib3.connectionpool"), output.count("asyncio"), output.count(None)) == (2, 2, 150)


def test_the_products_own_standard_logging_is_kept(lines):
    logging.getLogger("mqi_communicator.store").info("store.opened")
    assert lines()[0]["event"] == "store.opened"


@pytest.mark.parametrize("logger", [structlog.get_logger, lambda: logging.getLogger("mqi_communicator.x")])
def test_exceptions_are_logged_without_their_text(lines, logger):
    try:
        {"a": 1}[CANARY]
    except KeyError:
        logger().exception("step.crashed")
    (line,) = lines()
    assert (line["level"], line["error"]) == ("error", "KeyError")
    assert "test_exceptions_are_logged_without_their_text" in line["trace"]
    assert CANARY not in json.dumps(line)


def test_an_error_of_the_system_keeps_its_number(lines):
    structlog.get_logger().error("disk", exc_info=OSError(28, CANARY))
    assert lines()[0]["error"] == "OSError ENOSPC"


def test_a_message_cannot_forge_a_line(lines):
    log_event(event(why='broken\n{"event": "case.done"}'))
    assert len(lines()) == 1


def test_levels_are_kept(lines):
    structlog.get_logger().debug("not.shown")
    assert lines() == []


def test_console_lines_are_plain_text(lines):
    stream = io.StringIO()
    setup("debug", stream=stream, console=True)
    log_event(event())
    assert "step.retried" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_lines_in_the_journal_begin_with_their_priority(tmp_path, monkeypatch, lines):
    """As systemd sets JOURNAL_STREAM: device and inode of the stream (systemd.exec(5))."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        file = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{file.st_dev}:{file.st_ino}")
        for console in (False, True):
            setup("debug", stream=stream, console=console)
            log = structlog.get_logger()
            for level in ("debug", "info", "warning", "error"):
                getattr(log, level)("some.event", why="two\nlines")
            logging.getLogger("uvicorn").warning("not ours, %s", console)
        assert lines() == []
    assert [line[:3] for line in path.read_text().splitlines()] == ["<7>", "<6>", "<4>", "<3>", "<4>"] * 2


@pytest.mark.parametrize("stream", ["", "1:2"])
def test_other_streams_have_no_priority(tmp_path, monkeypatch, lines, stream):
    monkeypatch.setenv("JOURNAL_STREAM", stream)
    path = tmp_path / "log"
    with path.open("w") as file:
        setup("info", stream=file)
        structlog.get_logger().info("some.event")
    assert lines() == []
    assert path.read_text().startswith("{")
