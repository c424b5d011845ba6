"""The tables of docs/validation.md: `python -m tests.unit.results.dose_page` updates them (takes minutes)."""

from __future__ import annotations

from pathlib import Path

from tests.unit.results.wrongs import ERRORS, verdict

from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

PAGE = Path(__file__).parents[3] / "docs/validation.md"
TITLES = {
    "large": "An 8 cm target, two fields, 1.5 % of noise in each",
    "small": "A 3 cm target, four fields, 2 % of noise in each",
}
HEADS = (
    "what is wrong",
    "verdict",
    "failed by",
    "offset",
    "R80",
    "scale",
    "gamma of the plan alone",
    "gamma of the worst beam alone",
)


COLUMNS = {"large": 6, "small": len(HEADS)}  # gamma of large fields takes too long to compute each time


def row(name: str, found: Verdict) -> tuple[str, ...]:
    """One row: a cell under each of HEADS, the last one empty if gamma of the beams was not computed."""
    plan, *beams = (check for check in found.checks if check.name == "gamma")
    offset = _worst(found, "position_offset", 0.0)
    deeper = _worst(found, "range_r80", 0.0)
    scale = _worst(found, "dose_scale", 1.0)
    return (
        name or "*nothing*",
        f"**{found.outcome}**",
        _failed(found) or "-",
        f"{offset:.1f} mm",
        f"{deeper:+.1f} mm",
        f"{scale:.3f}",
        _alone(plan, name),
        _alone(min(beams, key=_number), name) if beams else "",
    )


def _number(check: Check) -> float:
    assert check.value is not None
    return check.value


def _alone(gamma: Check, name: str) -> str:
    """The pass rate and its outcome, bold if it is wrong."""
    outcome = f"**{gamma.outcome}**" if name and gamma.outcome is CheckOutcome.PASS else gamma.outcome
    return f"{_number(gamma):.1f} % {outcome}"


def _worst(found: Verdict, name: str, right: float) -> float:
    """The value of this check that is farthest from the correct one."""
    return max((_number(c) for c in found.checks if c.name == name), key=lambda value: abs(value - right))


def _failed(found: Verdict) -> str:
    """The checks but gamma that failed, and where: `range_r80` (beam 1)."""
    where: dict[str, list[str]] = {}
    for check in found.checks:
        if check.outcome is CheckOutcome.FAIL and check.name != "gamma":
            where.setdefault(check.name, []).append(check.scope.removeprefix("beam "))
    return ", ".join(f"`{name}` ({', '.join(scopes)})" for name, scopes in where.items())


def shown(size: str) -> list[tuple[str, ...]]:
    """The rows that are on the page."""
    begin, end = _marks(size)
    lines = PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip().splitlines()
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines[4:]]


def _table(size: str) -> str:
    names, some = ("", *ERRORS), COLUMNS[size]
    found = [row(name, verdict(size, name, quick=size == "large")) for name in names]
    lines = [f"| {' | '.join(cells[:some])} |" for cells in (HEADS, ("---",) * some, *found)]
    return "\n".join((f"### {TITLES[size]}\n", *lines))


def _marks(size: str) -> tuple[str, str]:
    return f"<!-- {size}: written by tests/unit/results/dose_page.py -->\n", f"<!-- end of {size} -->"


def main() -> None:
    """Write the tables."""
    tables = {size: _table(size) for size in TITLES}
    text = PAGE.read_text(encoding="utf-8")
    for size, table in tables.items():
        begin, end = _marks(size)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}{table}\n{end}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
