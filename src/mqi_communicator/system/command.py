"""The commands that messages print, as this user types them: those of a checkout, or of an installed package."""

from __future__ import annotations

import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]  # the checkout, if this package is run from one


def typed(*words: str | Path) -> str:
    """`mqi` with these words, quoted for a shell: `./mqi …` in a checkout, `mqi …` if it is installed and on the PATH,
    else with its path."""
    return shlex.join([*_program(), *map(str, words)])


def typed_start(config: Path) -> str:
    """The command that starts the communicator with this configuration, quoted for a shell."""
    return shlex.join([_script("deploy.sh"), str(config)]) if _in_checkout() else typed("run", "--config", config)


def _program() -> list[str]:
    if _in_checkout():
        return [_script("mqi")]
    called = Path(sys.argv[0])
    program = called if called.name == "mqi" and called.is_file() else _scripts() / "mqi"
    if not program.is_file():
        return [sys.executable, "-m", "mqi_communicator"]
    found = shutil.which("mqi")
    return ["mqi" if found and program.samefile(found) else str(program.absolute())]


def _in_checkout() -> bool:
    return all((_ROOT / name).is_file() for name in ("mqi", "deploy.sh", "setup/prepare.sh"))


def _script(name: str) -> str:
    """A script of the checkout: by its name in its folder, else by its path."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder was removed
        here = None
    return f"./{name}" if here == _ROOT else str(_ROOT / name)


def _scripts() -> Path:
    return Path(sysconfig.get_path("scripts"))
