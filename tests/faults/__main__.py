"""./test.sh --faults: random faults against the whole program.

python -m tests.faults [--minutes N] [--seed S] [--rounds N] [--kill POINT] [--only FAULT] [--outage CASES]
[--write] [--list]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.faults import report
from tests.faults.catalogue import Fault, faults
from tests.faults.outage import wait_out
from tests.faults.parallel import side_by_side
from tests.faults.points import POINTS
from tests.faults.round import BAD, Outcome, play
from tests.faults.script import Script, script_of, script_only

APART = "FAULTS_APART"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was begun is undone
    asked = _asked()
    every = faults()
    if asked.list:
        report.print_list(every)
        return 0
    if asked.read:
        report.write(report.read(asked.read), every)
        return 0
    if asked.outage:
        return _outage(asked.outage, asked.minutes)
    if asked.at_once > 1:
        outcomes = side_by_side(asked.at_once, asked.seed, sys.argv[1:], asked.json)
        return _tell(asked, outcomes, every)
    if os.getuid() == 0 and APART not in os.environ and shutil.which("unshare"):
        # disks of our own, in a mount namespace that goes with us
        words = ("unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.faults", *sys.argv[1:])
        return subprocess.run(words, env={**os.environ, APART: "1"}, check=False).returncode
    mounted = APART in os.environ
    usable = {name: fault for name, fault in every.items() if mounted or not fault.mounted}
    outcomes = _rounds(asked, usable, mounted=mounted)
    if asked.stride > 1:  # the rounds are put together by who started this process
        return 0
    return _tell(asked, outcomes, every)


def _outage(cases: int, minutes: float) -> int:
    with tempfile.TemporaryDirectory(prefix="mqi-outage-", ignore_cleanup_errors=True) as folder:
        told = wait_out(Path(folder), cases, minutes)
    print(told.sentence(), *told.wrong, sep="\n")
    return 1 if told.wrong else 0


def _tell(asked: argparse.Namespace, outcomes: list[Outcome], every: dict[str, Fault]) -> int:
    report.print_table(outcomes, every)
    if asked.write:
        report.write(outcomes, every)
    return 0 if outcomes and all(outcome.clean for outcome in outcomes) else 1


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./test.sh --faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--rounds", type=int, default=0, help="so many rounds, however long they take")
    parser.add_argument("--at-once", type=int, default=1, help="so many rounds side by side")
    parser.add_argument("--stride", type=int, default=1, help="from the seed of one round to that of the next")
    parser.add_argument("--kill", action="append", default=[], help="kill at this point, in place of the seed's")
    parser.add_argument("--only", action="append", default=[], help="this fault, in place of the seed's")
    parser.add_argument("--short", action="store_true", help="a small round")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of rounds that were not clean")
    parser.add_argument("--json", type=Path, help="append a line of JSON for each round to this file, not to stdout")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--read", type=Path, help="write the table of these rounds (made with --json), and play none")
    parser.add_argument("--outage", type=int, default=0, metavar="CASES", help="an outage of --minutes, and no rounds")
    parser.add_argument("--list", action="store_true", help="name every fault")
    return parser.parse_args()


def _rounds(asked: argparse.Namespace, usable: dict[str, Fault], *, mounted: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end = time.monotonic() + 60 * asked.minutes
    while (len(outcomes) < asked.rounds) if asked.rounds else (time.monotonic() < end or not outcomes):
        script = _script(asked, asked.seed + asked.stride * len(outcomes), usable)
        folder = Path(tempfile.mkdtemp(prefix="mqi-faults-"))
        try:
            outcome = play(folder, script, usable, mounted=mounted, keep=asked.keep)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        outcomes.append(outcome)
        line = json.dumps(outcome.to_json(), sort_keys=True)
        if asked.json:
            with asked.json.open("a") as kept:
                kept.write(f"{line}\n")
        else:
            print(line, flush=True)
        bad = {name: getattr(outcome, name) for name in BAD if getattr(outcome, name)}
        print(f"seed {outcome.seed}: {report.told(outcome)}", *(f"\n    {k}: {v}" for k, v in bad.items()), flush=True)
        if bad:
            print(f"    again: ./test.sh --faults --seed {outcome.seed} -- --rounds 1", flush=True)
    return outcomes


def _script(asked: argparse.Namespace, seed: int, usable: dict[str, Fault]) -> Script:
    if asked.only or asked.kill:
        return script_only(seed, [usable[name] for name in asked.only], asked.kill)
    if asked.short:
        return script_of(seed, list(usable.values()), POINTS, steps=2, once=3, kills=2, cases=1)
    return script_of(seed, list(usable.values()), POINTS)


if __name__ == "__main__":
    sys.exit(main())
