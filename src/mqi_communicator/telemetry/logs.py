"""One log line for each thing that happened, as JSON on stdout, with a stable `event` name to search for.

Names, ids and file names of patients must never stand here. What the product itself logs is written with that in
mind; what libraries say is not (a DICOM reader quotes the value it dislikes). So the text of a library's message
and of any exception is withheld: the line says which library or which type of error, how severe, and where.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
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

_FRAMES = 12  # innermost frames of a traceback that a line keeps
_OWN = "mqi_communicator"


def setup(level: str = "info", *, stream: TextIO | None = None, console: bool = False) -> None:
    """Send all log lines, the standard library's included, to `stream` (default: stdout).

    `level` is debug, info, warning or error. `console` writes for the eye instead of JSON. May be called again.
    """
    target = Outlet(stream or sys.stdout)
    lowest = getattr(logging, level.upper())
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        _bare_exception,
    ]
    renderer: Processor = structlog.dev.ConsoleRenderer(colors=target.isatty()) if console else _as_json()
    if console:  # JSON escapes by itself
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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(lowest, logging.WARNING))  # libraries chat; their warnings are enough
    logging.getLogger(_OWN).setLevel(lowest)
    logging.captureWarnings(capture=True)


class Outlet:
    """Where lines are written. A line that cannot be written is lost and stops no work; but if nobody can read any
    more (a broken pipe), the process is asked to stop as by SIGTERM: it must not work unseen.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it, or nothing."""
        with self._losses():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """What was written goes out."""
        with self._losses():
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether an eye reads it."""
        return self._stream.isatty()

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            with Path(os.devnull).open("wb") as nowhere:  # what is still in its buffer must not break again
                os.dup2(nowhere.fileno(), self._stream.fileno())
            os.kill(os.getpid(), signal.SIGTERM)
        except OSError:
            pass


def log_event(event: Event) -> None:
    """Write the line of one event: its names and numbers.

    Its reason is left out where it may quote a file name or a DICOM value: facts carry a `code` then.
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
    said = {name: value for name, value in {**facts, **record}.items() if value not in (None, "")}
    said.pop("event", None)
    log = structlog.get_logger()
    (log.warning if _serious(event) else log.info)(event.event, **said)


def _serious(event: Event) -> bool:
    return event.event.endswith((".failed", ".action_required", ".refused"))


def _as_json() -> Processor:
    order = ("timestamp", "level", "event", "case", "beam", "step", "attempt")
    render = structlog.processors.JSONRenderer(default=str, ensure_ascii=True)

    def ordered(logger: WrappedLogger, name: str, line: EventDict) -> str | bytes:
        first = {key: line[key] for key in order if key in line}
        return render(logger, name, {**first, **line})

    return ordered


def _withhold(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace a library's message by where it came from."""
    record: logging.LogRecord = line["_record"]
    if record.name.split(".")[0] == _OWN:
        return line
    kept: Mapping[str, Any] = {name: line[name] for name in ("_record", "_from_structlog", "exc_info") if name in line}
    return {**kept, "event": "library.message", "library": record.name, "where": f"{record.module}:{record.lineno}"}


def _visible(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """No value drives the terminal or begins a line of its own."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in line.items()}


def _bare_exception(_logger: WrappedLogger, _name: str, line: EventDict) -> EventDict:
    """Replace an exception by its type and where it was raised; its message may quote data of a patient."""
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
