"""Measure the cost of the product as ratios to the same work by hand, alternating in one run."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import clinical, delivery, fleet, idle, overhead, peers, transfer, web
from bench.page import Row, as_markdown, as_text, write_page

from mqi_communicator.demo.host import PrivateHost

MB = 1_000_000
PEER_JOB_S = 5.0


def main() -> None:  # noqa: C901 - one line for each benchmark
    args = _arguments()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="mqi-bench-") as name, PrivateHost(Path(name, "host")) as host:
        base = Path(name)
        if "transfer" in args.only:
            rows += _transfer(base, host, args.rounds + 2)
        if "overhead" in args.only:
            rows += _overhead(base, host, args.rounds)
        if "idle" in args.only:
            rows += _idle(base, host, args.seconds)
        for kind, night in (("host", fleet.on_host), ("slurm", fleet.on_slurm)):
            if f"fleet-{kind}" in args.only:
                rows += _fleet(kind, night(base / f"fleet-{kind}", args.cases, args.beam_seconds), args.cases)
        if "peers" in args.only:
            rows += _peers(base, host)
        if "clinical" in args.only:
            rows += _clinical(base, host)
        if "web" in args.only:
            rows += _web(base, args.stored)
        if "delivery" in args.only:
            rows += _delivery(base)
    for what, measure in (("gamma", _gamma), ("viewer", _viewer)):
        if what in args.only:
            rows += measure()
    print(as_text(rows))
    if args.write:
        write_page(as_markdown(rows, _conditions(args)))


def _arguments() -> argparse.Namespace:
    every = (
        "transfer",
        "overhead",
        "idle",
        "fleet-host",
        "fleet-slurm",
        "peers",
        "clinical",
        "web",
        "gamma",
        "viewer",
        "delivery",
    )
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=every, default=every)
    parser.add_argument("--rounds", type=int, default=3, help="how often the case is taken each way")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the idle daemon is watched")
    parser.add_argument("--cases", type=int, default=40, help="how many cases of three beams a fleet has")
    parser.add_argument("--beam-seconds", type=float, default=15.0, help="how long one beam of a fleet computes")
    parser.add_argument("--stored", type=int, default=100_000, help="how many the dashboard's store has")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/performance.md")
    return parser.parse_args()


def _conditions(args: argparse.Namespace) -> str:
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f} at the end, {args.rounds} rounds each way, interleaved."


def _overhead(base: Path, host: PrivateHost, rounds: int) -> list[Row]:
    work = overhead.prepare(base / "prepared", host)
    rides, bare = [], []
    for number in range(rounds):
        bare.append(overhead.script(base / f"bare-{number}", host, work))
        rides.append(overhead.product(base / f"case-{number}", host))
        print(f"round {number + 1}: by hand {bare[-1]:.1f} s, product {rides[-1].delivered:.1f} s", flush=True)
        print("         " + ", ".join(f"{step} {at:.2f}" for step, at in rides[-1].ends.items()), flush=True)
    without = [ride.delivered - sum(ride.excluded.values()) for ride in rides]
    ratios = [mine / theirs for mine, theirs in zip(without, bare, strict=True)]
    return [
        Row("one case by a bare script", _pair(bare, "s")),
        Row("one case by the product, comparison and report apart", _pair(without, "s")),
        Row("its comparison with the planned dose", _pair([ride.excluded["compare"] for ride in rides], "s")),
        Row("its report", _pair([ride.excluded["report"] for ride in rides], "s")),
        Row("**overhead**: product over script", _pair(ratios, ""), "<= 1.15", median(ratios) <= 1.15),
    ]


def _transfer(base: Path, host: PrivateHost, rounds: int) -> list[Row]:
    size = transfer.random_folder(base / "bulk", files=100, size=3 * MB)
    mine, theirs = [], []
    for _ in range(rounds):
        theirs.append(transfer.script(base / "bulk", base / "by-hand", host))
        mine.append(transfer.product(base / "bulk", base / "by-product", host))
    ratios = [slow / fast for slow, fast in zip(theirs, mine, strict=True)]
    return [
        Row("300 MB by rsync and sha256sum", _pair([size / MB / s for s in theirs], "MB/s", best=max)),
        Row("300 MB by the product", _pair([size / MB / s for s in mine], "MB/s", best=max)),
        Row("**transfer**: product over script", _pair(ratios, "", best=max), ">= 0.9", median(ratios) >= 0.9),
    ]


def _idle(base: Path, host: PrivateHost, seconds: float) -> list[Row]:
    seen = idle.idle(base / "idle", host, folders=200, seconds=seconds)
    cpu, rss = f"{100 * seen.cpu:.2f} % of a core", f"{seen.rss_mib:.0f} MiB"
    return [
        Row(f"**idle** with 200 finished cases ({seen.files} files): processor", cpu, "< 1 %", seen.cpu < 0.01),
        Row("**idle**: memory of the daemon", rss, "< 150 MB", seen.rss_mib * 1.048576 < 150),
    ]


def _fleet(kind: str, night: fleet.FleetResult, cases: int) -> list[Row]:
    where = {"host": "a host with 4 GPUs", "slurm": "Slurm, 2 nodes with 2 GPUs"}[kind]
    whole = night.audit.clean and len(night.audit.done) == cases and night.beams == fleet.beams_of(cases)
    per_tick = f"{night.per_tick:.2f} ({night.queries} in {night.took:.0f} s)"
    return [
        Row(f"{cases} cases of 3 beams on {where}", night.audit.summary(), "all, once", whole),
        Row("their time on the GPUs, and least possible", f"{night.makespan:.0f} / {night.bound:.0f} s"),
        Row("**GPUs busy**: least possible over taken", f"{night.busy:.3f}", ">= 0.95", night.busy >= 0.95),
        Row("pause of a GPU between two jobs, median", f"{night.gap:.1f} s", "<= 2 s", night.gap <= 2),
        Row(f"status queries per tick of {night.tick:.0f} s", per_tick, "<= 1", night.per_tick <= 1),
    ]


def _peers(base: Path, host: PrivateHost) -> list[Row]:
    rows = []
    for count in (1, 10):
        mine = peers.product(base / f"peers-{count}", host, count, PEER_JOB_S)
        bare = peers.script(base / f"peers-bare-{count}", host, count, PEER_JOB_S)
        name = f"{count} case{'s' if count > 1 else ''} of two jobs of {PEER_JOB_S:g} s"
        each, end = mine.cpu / count, mine.end - mine.judging
        rows += [
            Row(f"{name}: product, bare script, bound", f"{mine.wall:.1f}, {bare.wall:.1f}, {mine.bound:.1f} s"),
            Row(f"**{name}**: processor of a case", f"{each:.2f} s", "<= 0.8 s", each <= 0.8),
            Row("the same by the bare script", f"{bare.cpu / count:.2f} s"),
            Row("from the folder to the first job", f"{mine.start:.1f} s", f"<= {peers.SETTLE_S + 1:g} s",
                mine.start <= peers.SETTLE_S + 1),
            Row("from the last job's end to the delivery, comparison apart", f"{end:.1f} s", "<= 0.5 s", end <= 0.5),
        ]  # fmt: skip
        if count > 1:
            rows += [
                Row("from the first job's start to the last one's end, over the bound", f"{mine.over_bound:.2f}",
                    "<= 1.06", mine.over_bound <= 1.06),
                Row("pause of a slot between two jobs, median", f"{mine.pause:.2f} s", "<= 0.2 s", mine.pause <= 0.2),
            ]  # fmt: skip
    return rows


def _web(base: Path, cases: int) -> list[Row]:
    costs, rss = web.pages(base / "web", cases=cases)
    rows = [
        Row(
            f"dashboard, {cases} cases: {cost.page}",
            f"{cost.median_ms:.0f} ms, {cost.cpu_ms:.0f} ms of a processor",
            "< 100 ms",
            min(cost.median_ms, cost.cpu_ms) < 100,
        )
        for cost in costs
    ]
    return [*rows, Row("dashboard on its own: memory", f"{rss:.0f} MiB")]


def _clinical(base: Path, host: PrivateHost) -> list[Row]:
    rows = []
    for grid, coarse, cpu_s, gib in (("on 2.5 mm", True, 10.0, 2.5), ("on the CT's grid", False, 40.0, 4.0)):
        for what, factor in (("agreeing", 1.0), ("computed 6 % too high", 1.06)):
            cost = clinical.measure(base / f"clinical-{coarse}-{factor}", host, coarse=coarse, factor=factor)
            steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in cost.steps.items())
            print(f"{grid}, {what}: {cost.verdict}; {steps}; whole case {cost.whole_cpu_s:.1f} s", flush=True)
            name = f"clinical case, planned doses {grid}, {what}"
            rows += [
                Row(f"**{name}**: processor", f"{cost.cpu_s:.1f} s", f"<= {cpu_s:g} s", cost.cpu_s <= cpu_s),
                Row(f"**{name}**: memory", f"{cost.peak_gib:.2f} GiB", f"<= {gib:g} GiB", cost.peak_gib <= gib),
            ]
    return rows


def _delivery(base: Path) -> list[Row]:
    cost = delivery.measure(base / "delivery")
    name = f"{delivery.LAYERS} layers of {delivery.ROWS} rows ({cost.megabytes:.0f} MB)"
    return [
        Row(
            f"**logs**: {name} read, joined and judged: processor", f"{cost.mine_s:.1f} s", "<= 10 s", cost.mine_s <= 10
        ),
        Row("the same bytes read, hashed and summed by numpy", f"{cost.least_s:.1f} s"),
    ]


def _gamma() -> list[Row]:
    from bench import gamma  # noqa: PLC0415 - pymedphys takes a second, and is not everywhere

    agreeing, higher = gamma.measure(1.0), gamma.measure(1.3)
    rows = []
    for what, found, least in (("agreeing", agreeing, 50), ("computed 30 % too high", higher, 200)):
        times = f"{found.theirs_s:.2f} s, {1000 * found.mine_s:.2f} ms"
        rows += [
            Row(f"gamma of {found.points} points, {what}: CPU of pymedphys, of the product", times),
            Row(
                f"**gamma**, {what}: pymedphys over product", f"{found.ratio:.0f}", f">= {least}", found.ratio >= least
            ),
        ]
    fast, slow = gamma.large(1.0), gamma.large(1.3)
    slower = slow.mine_s / fast.mine_s
    what = f"**gamma** of {fast.points} points: 30 % too high over agreeing"
    figures = f"{slower:.2f} ({1000 * slow.mine_s:.1f} / {1000 * fast.mine_s:.1f} ms)"
    return [*rows, Row(what, figures, "<= 3", slower <= 3)]


def _viewer() -> list[Row]:
    from bench import viewer  # noqa: PLC0415 - needs Chromium

    with tempfile.TemporaryDirectory(prefix="mqi-bench-viewer-") as name:
        found = viewer.measure(Path(name, "site"))
    rows = []
    for one in found:
        figures = f"{one.open_s:.1f} s; {one.step_ms:.0f} ms ({one.renderer})"
        rows.append(Row(f"viewer, {one.name}, {one.size / MB:.1f} MB: opened; one slice in three planes", figures))
        if one.made_s is not None:
            rows.append(Row("its volumes: processor time of the report's worker", f"{one.made_s:.1f} s"))
    return rows


def _pair(values: Sequence[float], unit: str, best=min) -> str:  # type: ignore[no-untyped-def]  # noqa: ANN001 - min or max
    return f"{best(values):.3g} / {median(values):.3g} {unit}".strip()


if __name__ == "__main__":
    main()
