"""One log line per event, as JSON on stdout, with a stable `event` name to search for.

Names, ids and file names of patients must never be logged. Our own messages avoid them; those of libraries do not (a
DICOM reader quotes an invalid value). So the text of a library's message and of any exception is withheld: the line
names the library or the type of error, the level, and the location.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from mqi_communicator.case.model import CASE_ITEM, Event
from mqi_communicator.case.visible import visible

_FRAMES = 12  # innermost frames of a traceback that are logged
_REPEATED_S = 60.0  # the same message of a library is logged once in this time, since a client may cause it
_OWN = "mqi_communicator"
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}  # of syslog(3)


def setup(level: str = "info", *, stream: TextIO | None = None, console: bool = False) -> None:
    """Send all log lines, the standard library's included, to `stream` (default: stdout).

    `level` is debug, info, warning or error. `console` writes readable lines instead of JSON. May be called again.
    """
    target = LogStream(stream or sys.stdout)
    lowest = getattr(logging, level.upper())
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _bare_exception,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=target.isatty()) if console else _as_json()
    if target.is_journal(os.environ):
        renderer = with_priority(renderer)
    if console:  # JSON escapes anyway
        common.append(_visible)
    structlog.configure(
        processors=[*common, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", target)),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_withhold, *common],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    handler.addFilter(_Repeated())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(lowest, logging.WARNING))  # of libraries, warnings are enough
    logging.getLogger(_OWN).setLevel(lowest)
    logging.captureWarnings(capture=True)


class LogStream:
    """The stream of log lines. A line that cannot be written is lost and stops no work; but on a broken pipe the
    process stops as by SIGTERM: it must not run unobserved.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a line, or lose it."""
        with self._tolerate_errors():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        with self._tolerate_errors():
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return self._stream.isatty()

    def is_journal(self, environment: Mapping[str, str]) -> bool:
        """Whether the stream is systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
        try:
            file = os.fstat(self._stream.fileno())
        except (OSError, ValueError):  # no file, or closed
            return False
        return environment.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"

    @contextmanager
    def _tolerate_errors(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            with Path(os.devnull).open("wb") as null:  # what is still buffered must not fail again
                os.dup2(null.fileno(), self._stream.fileno())
            os.kill(os.getpid(), signal.SIGTERM)
        except OSError:
            pass


def log_event(event: Event) -> None:
    """Log one event: its names and numbers.

    Its reason is omitted if it may quote a file name or a DICOM value: its facts have a `code` then.
    """
    facts = {name: value for name, value in event.facts.items() if isinstance(value, str | int | float)}
    record = {
        "case": event.case,
        "beam": event.beam if event.beam != CASE_ITEM else None,
        "step": event.step,
        "before": event.before,
        "after": event.after,
        "who": event.who,
        "why": "" if facts.get("code") else event.why,
    }
    fields = {name: value for name, value in {**facts, **record}.items() if value not in (None, "")}
    fields.pop("event", None)
    log = structlog.get_logger()
    (log.warning if _is_warning(event) else log.info)(event.event, **fields)


def _is_warning(event: Event) -> bool:
    return event.event.endswith((".failed", ".action_required", ".refused"))


def _as_json() -> Processor:
    order = ("timestamp", "level", "event", "case", "beam", "step", "attempt")
    render = structlog.processors.JSONRenderer(default=str, ensure_ascii=True)

    def ordered(logger: WrappedLogger, name: str, line: EventDict) -> str | bytes:
        first = {key: line[key] for key in order if key in line}
        return render(logger, name, {**first, **line})

    return ordered


def with_priority(renderer: Processor) -> Processor:
    """Lines that begin with their priority, `<4>` for a warning, which the journal of systemd reads (sd-daemon(3))."""

    def render(logger: WrappedLogger, name: str, line: EventDict) -> str:
        number = _PRIORITIES.get(str(line.get("level")), 6)
        text = renderer(logger, name, line)
        return f"<{number}>{text.decode() if isinstance(text, bytes) else text}"

    return render


class _Repeated(logging.Filter):
    """Passes a library's message once a minute, known by its location and the type of its error."""

    def __init__(self) -> None:
        super().__init__()
        self._passed: dict[tuple[str, str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if _is_ours(record):
            return True
        error = record.exc_info[0] if isinstance(record.exc_info, tuple) else None
        key = (record.name, record.module, record.lineno, "" if error is None else error.__name__)
        now = time.monotonic()
        if now - self._passed.get(key, -math.inf) < _REPEATED_S:
            return False
        self._passed[key] = now
        return True


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.split(".")[0] == _OWN


def _withhold(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace a library's message by its origin."""
    record: logging.LogRecord = line["_record"]
    if _is_ours(record):
        return line
    kept: Mapping[str, Any] = {name: line[name] for name in ("_record", "_from_structlog", "exc_info") if name in line}
    return {**kept, "event": "library.message", "library": record.name, "where": f"{record.module}:{record.lineno}"}


def _visible(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Escape control characters: no value may control the terminal or start a new line."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in line.items()}


def _bare_exception(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace an exception by its type and location; its message may quote data of a patient."""
    info = line.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        line["error"] = _kind(error)
        line["trace"] = _trace(error.__traceback__)
    return line


def _kind(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name} {errno.errorcode.get(error.errno, error.errno)}"
    code = getattr(error, "code", None)
    return f"{name} {code}" if isinstance(code, str) else name


def _trace(where: TracebackType | None) -> str:
    frames = traceback.extract_tb(where)[-_FRAMES:]
    return " < ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in reversed(frames))
