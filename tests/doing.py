"""Does an engine's work as the script on a host does it, without gate and limits."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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
            environment = {**os.environ, **{name: at_home(value) for name, value in program.env}}
            argv = [at_home(word) for word in program.argv]
            done = subprocess.run(argv, cwd=folder, stdout=out, stderr=out, env=environment, check=False)
            if done.returncode != 0:
                return done.returncode, log.read_text(errors="replace")
        for name in work.shown:
            out.write((folder / name).read_bytes())
    return 0, log.read_text(errors="replace")
