"""Does an engine's work as the script on a host does it, without gate and limit of the whole job."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import IO

from mqi_communicator.case.work import Work


def at_home(word: str) -> str:
    return str(Path(word).expanduser()) if word.startswith("~/") else word


def do(work: Work, folder: Path) -> tuple[int, str]:
    """The exit code and the log. The run folder must exist; a folder in it that the work makes must not."""
    log = folder / "log"
    with log.open("ab") as out:
        for name in work.folders:
            (folder / name).mkdir()
        for program in work.programs:
            out.write(f"mqi-program {program.name}\n".encode())
            out.flush()
            environment = {**os.environ, **{name: at_home(value) for name, value in program.env}}
            argv = [at_home(word) for word in program.argv]
            code = _run(argv, folder, out, environment, program.limit_s or work.limit_s)
            missing = [path for path in program.outputs if not _there(folder / path)]
            if code == 0 and missing:
                out.write(f"mqi-missing {missing[0]}\n".encode())
                code = 66
            if code != 0:
                out.flush()
                return code, log.read_text(errors="replace")
        for name in work.shown:
            out.write((folder / name).read_bytes())
    return 0, log.read_text(errors="replace")


def looked_at(log: str, size: int = 4096) -> str:
    """What a look at a host shows of a log, as the script there cuts it."""
    data = log.encode()
    if len(data) <= 2 * size:
        return log
    shown = data[:size] + b"\nmqi-cut %d\n" % (len(data) - 2 * size) + data[-size:]
    return shown.decode(errors="replace")


def _run(argv: list[str], folder: Path, out: IO[bytes], environment: dict[str, str], limit_s: float) -> int:
    """The exit code as a shell has it; 124 when the limit ended it, with whatever it had begun."""
    with subprocess.Popen(argv, cwd=folder, stdout=out, stderr=out, env=environment, start_new_session=True) as running:
        try:
            code = running.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            return 124
    return code if code >= 0 else 128 - code


def _there(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
