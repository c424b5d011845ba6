"""Print the results of rounds, and write the table of docs/reliability.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.catalogue import Fault
from tests.faults.points import points_of
from tests.faults.round import DEFECTS, Outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- the last run: begin -->", "<!-- the last run: end -->"
MEANING = {
    "lost": "cases without a result that should have one",
    "doubled": "two runs of one beam alive at once, a gate with two owners, two jobs on a GPU, two results of a case",
    "superseded": "results delivered from a run that was superseded",
    "mixed": "doses of another case or beam, or with voxels that no engine wrote",
    "corrupt": "delivered files that differ from their manifest",
    "stuck": "cases that required action without need",
    "unnoticed": "faults that required action and did not report it",
    "other": "unplanned ends of the communicator, unexpected messages, files left on the host",
}


def summary(outcome: Outcome) -> str:
    """Summarise a round in one line."""
    counts = ", ".join(f"{len(getattr(outcome, name))} {name}" for name in DEFECTS)
    return (
        f"{outcome.done} of {outcome.cases} cases done, {outcome.cancelled} cancelled, "
        f"{sum(outcome.faults.values())} faults, {outcome.kills} kills ({len(outcome.points)} at points), {counts}; "
        f"all work done after {outcome.recovered_s:.0f} s, {outcome.took_s:.0f} s in all"
    )


def print_list(every: Mapping[str, Fault]) -> None:
    """Print every fault and its description."""
    for fault in every.values():
        print(f"{fault.name:32} {fault.what}")


def print_table(outcomes: Sequence[Outcome], every: Mapping[str, Fault]) -> None:
    """Print the sum of all rounds, with their faults."""
    recorded = {name: fault for name, fault in every.items() if any(name in outcome.faults for outcome in outcomes)}
    print("\n".join(_lines(outcomes, recorded)))


def read(file: Path) -> list[Outcome]:
    """Read rounds that --json has written."""
    rounds = [json.loads(line) for line in file.read_text().splitlines()]
    return [Outcome(**{name: value for name, value in one.items() if name != "clean"}) for one in rounds]


def write(outcomes: Sequence[Outcome], every: Mapping[str, Fault]) -> None:
    """Replace the table in docs/reliability.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    body = "\n".join(_lines(outcomes, every))
    PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{after}", encoding="utf-8")


def _lines(outcomes: Sequence[Outcome], every: Mapping[str, Fault]) -> list[str]:
    injected = sum((Counter(outcome.faults) for outcome in outcomes), Counter[str]())
    points = {point for outcome in outcomes for point in outcome.points}
    planned = {point for outcome in outcomes for point in points_of(outcome.backend)}
    seen = {point for outcome in outcomes for point in outcome.seen}
    counts = {name: sum(len(getattr(outcome, name)) for outcome in outcomes) for name in DEFECTS}
    quiet = sorted(outcome.recovered_s for outcome in outcomes)
    missed = ", ".join(sorted(planned - points)) or "none"
    missed = missed if 2 * len(points) > len(planned) else "most"
    seeds = sorted(outcome.seed for outcome in outcomes)
    days = ", ".join(sorted({outcome.day for outcome in outcomes}))
    versions = ", ".join(sorted({outcome.version for outcome in outcomes}))
    about = (
        f"{days}, version `{versions}`, {len(outcomes)} rounds, seeds {_ranges(seeds)}, "
        f"{sum(outcome.took_s for outcome in outcomes) / 60:.0f} minutes."
    )
    work = (
        f"{sum(outcome.cases for outcome in outcomes)} cases ({sum(outcome.done for outcome in outcomes)} done, "
        f"{sum(outcome.cancelled for outcome in outcomes)} cancelled by order), "
        f"{sum(outcome.runs for outcome in outcomes)} jobs, {sum(injected.values())} faults, "
        f"{sum(outcome.kills for outcome in outcomes)} kills of the communicator. "
        f"{counts['lost']} lost, {counts['doubled']} doubled, {counts['unnoticed']} unnoticed."
    )
    kills = (
        f"Kill points hit: {len(points & planned)} of {len(planned)}. Not hit in this run: {missed}. "
        f"Passed and not in the list: {', '.join(sorted(seen - planned)) or 'none'}."
    )
    most = quiet[-1] if quiet else 0.0
    return [
        *(about, "", work, "", kills, ""),
        f"All work done after the last fault: {_median(quiet):.0f} s (median), {most:.0f} s (maximum).",
        *("", "| count | | what it counts |", "|---|---:|---|"),
        *(f"| {name} | {counts[name]} | {MEANING[name]} |" for name in DEFECTS),
        *("", "| fault | times | what it is |", "|---|---:|---|"),
        *(f"| {fault.name} | {injected[fault.name]} | {fault.what} |" for fault in every.values()),
    ]


def _median(values: Sequence[float]) -> float:
    return values[len(values) // 2] if values else 0.0


def _ranges(seeds: Sequence[int]) -> str:
    """Format as in "1 to 5, 9"."""
    parts: list[list[int]] = []
    for seed in seeds:
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ", ".join(f"{part[0]} to {part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
