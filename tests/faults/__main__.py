"""./test.sh --faults: random faults against the whole program.

python -m tests.faults [--minutes N] [--seed S] [--rounds N] [--kill POINT] [--only FAULT] [--outage CASES]
[--hosts N] [--backend slurm] [--write] [--list]
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
from tests.faults.parallel import play_in_parallel
from tests.faults.points import points_of
from tests.faults.round import DEFECTS, Outcome, play
from tests.faults.script import Script, script_of, script_only

MOUNT_NAMESPACE = "FAULTS_APART"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # undo what was started
    args = _parse_args()
    every = faults()
    if args.list:
        report.print_list(every)
        return 0
    if args.read:
        report.write(report.read(args.read), every)
        return 0
    if args.outage:
        return _outage(args.outage, args.minutes)
    if args.at_once > 1:
        outcomes = play_in_parallel(args.at_once, args.seed, sys.argv[1:], args.json)
        return _report(args, outcomes, every)
    if os.getuid() == 0 and MOUNT_NAMESPACE not in os.environ and shutil.which("unshare"):
        # private disks, in a mount namespace that ends with this process
        argv = ("unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.faults", *sys.argv[1:])
        return subprocess.run(argv, env={**os.environ, MOUNT_NAMESPACE: "1"}, check=False).returncode
    mounted = MOUNT_NAMESPACE in os.environ
    usable = {
        name: fault
        for name, fault in every.items()
        if (mounted or not fault.mounted) and fault.backend in ("", args.backend)
    }
    outcomes = _rounds(args, usable, mounted=mounted)
    if args.stride > 1:  # the parent process combines the rounds
        return 0
    return _report(args, outcomes, every)


def _outage(cases: int, minutes: float) -> int:
    with tempfile.TemporaryDirectory(prefix="mqi-outage-", ignore_cleanup_errors=True) as folder:
        result = wait_out(Path(folder), cases, minutes)
    print(result.sentence(), *result.wrong, sep="\n")
    return 1 if result.wrong else 0


def _report(args: argparse.Namespace, outcomes: list[Outcome], every: dict[str, Fault]) -> int:
    report.print_table(outcomes, every)
    if args.write:
        report.write(outcomes, every)
    return 0 if outcomes and all(outcome.clean for outcome in outcomes) else 1


def _parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./test.sh --faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--rounds", type=int, default=0, help="number of rounds, however long they take")
    parser.add_argument("--at-once", type=int, default=1, help="number of parallel rounds")
    parser.add_argument("--stride", type=int, default=1, help="difference between the seeds of consecutive rounds")
    parser.add_argument("--kill", action="append", default=[], help="kill at this point instead of those of the seed")
    parser.add_argument("--only", action="append", default=[], help="inject this fault instead of those of the seed")
    parser.add_argument("--hosts", type=int, default=1, help="number of hosts; a fault befalls one of them")
    parser.add_argument("--backend", choices=("direct", "slurm"), default="direct", help="how jobs run on the hosts")
    parser.add_argument("--short", action="store_true", help="a small round")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of rounds with defects")
    parser.add_argument("--json", type=Path, help="append a line of JSON for each round to this file, not to stdout")
    parser.add_argument("--write", action="store_true", help="write the table into docs/reliability.md")
    parser.add_argument("--read", type=Path, help="write the table of these rounds (from --json), and play none")
    parser.add_argument(
        "--outage", type=int, default=0, metavar="CASES", help="play an outage of --minutes, and no rounds"
    )
    parser.add_argument("--list", action="store_true", help="list every fault")
    return parser.parse_args()


def _rounds(args: argparse.Namespace, usable: dict[str, Fault], *, mounted: bool) -> list[Outcome]:
    outcomes: list[Outcome] = []
    end = time.monotonic() + 60 * args.minutes
    while (len(outcomes) < args.rounds) if args.rounds else (time.monotonic() < end or not outcomes):
        script = _script(args, args.seed + args.stride * len(outcomes), usable)
        folder = Path(tempfile.mkdtemp(prefix="mqi-faults-"))
        try:
            outcome = play(
                folder, script, usable, mounted=mounted, keep=args.keep, hosts=args.hosts, backend=args.backend
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        outcomes.append(outcome)
        line = json.dumps(outcome.to_json(), sort_keys=True)
        if args.json:
            with args.json.open("a") as kept:
                kept.write(f"{line}\n")
        else:
            print(line, flush=True)
        bad = {name: getattr(outcome, name) for name in DEFECTS if getattr(outcome, name)}
        print(
            f"seed {outcome.seed}: {report.summary(outcome)}", *(f"\n    {k}: {v}" for k, v in bad.items()), flush=True
        )
        if bad:
            print(f"    again: ./test.sh --faults --seed {outcome.seed} -- --rounds 1", flush=True)
    return outcomes


def _script(args: argparse.Namespace, seed: int, usable: dict[str, Fault]) -> Script:
    if args.only or args.kill:
        return script_only(seed, [usable[name] for name in args.only], args.kill)
    points = points_of(args.backend)
    if args.short:
        return script_of(seed, list(usable.values()), points, steps=2, once=3, kills=2, cases=1)
    return script_of(seed, list(usable.values()), points)


if __name__ == "__main__":
    sys.exit(main())
