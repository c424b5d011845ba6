"""Summary of an RT Ion Plan, as plain data and as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mqi_communicator.dicom.plan import read_plan
from mqi_communicator.dicom.problem import DicomProblem, Problem, as_problem, printable, without_repeats
from mqi_communicator.dicom.records import Beam, IonPlan
from mqi_communicator.dose.abilities import TABLE, scan_mode

_COLUMNS = ("beam", "machine", "mode", "gantry", "couch", "layers", "MeV", "spots", "MU", "position")


def summary(path: Path) -> dict[str, Any]:
    """Summarize the plan in `path`: contents, problems, and what each engine cannot compute. Raises nothing.

    Angles in degrees, energies in MeV, metersets in MU per fraction.
    """
    try:
        plan, problems = read_plan(path)
    except DicomProblem as error:
        return _unread(path, as_problem(error))
    except OSError as error:
        found = f"the file cannot be read: {error.strerror}"
        return _unread(path, Problem("plan.unreadable", printable(path.name), found, advice="Give another file."))
    return {
        "file": str(path),
        "understood": not problems,
        "problems": [_problem(one) for one in problems],
        "reasons": _reasons(problems),
        "label": plan.label,
        "system": " ".join(filter(None, (plan.manufacturer, plan.model))),
        "fractions": plan.fractions,
        "beams": [_beam(beam) for beam in plan.beams],
        "engines": [_engine(plan, index) for index in range(len(TABLE))],
    }


def _unread(path: Path, problem: Problem) -> dict[str, Any]:
    found = {"problems": [_problem(problem)], "reasons": _reasons([problem])}
    return {"file": str(path), "understood": False, **found, "beams": [], "engines": []}


def _problem(one: Problem) -> dict[str, str]:
    return {
        "code": one.code,
        "file": one.file,
        "where": one.where,
        "tag": one.tag,
        "found": one.found,
        "expected": one.expected,
        "advice": one.advice,
        "sentence": str(one),
    }


def _beam(beam: Beam) -> dict[str, Any]:
    energies = [layer.energy for layer in beam.layers]
    return {
        "number": beam.own_number,
        "name": beam.name,
        "machine": beam.machine,
        "mode": scan_mode(beam),
        "gantry": beam.gantry_angle,
        "couch": beam.couch_angle,
        "isocenter": list(beam.isocenter),
        "position": beam.position,
        "snout": beam.snout_position,
        "layers": len(beam.layers),
        "energies": [min(energies), max(energies)] if energies else [],
        "spots": sum(int((layer.weights > 0).sum()) for layer in beam.layers),
        "meterset": beam.meterset,
        "devices": [f"{device.kind}: {device.description}" for device in beam.devices],
        "motions": [f"{motion.tag} {motion.description}" for motion in beam.motions],
    }


def _engine(plan: IonPlan, index: int) -> dict[str, Any]:
    refusals = TABLE[index].refusals(plan)
    return {
        "engine": TABLE[index].name,
        "refusals": [_problem(one) for one in refusals],
        "reasons": _reasons(refusals),
    }


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the summary as text: the plan, a row per beam, the problems, and what each engine cannot compute."""
    yield printable(found["file"])
    if found["beams"]:
        label = f"plan {printable(found['label'])}, " if found["label"] else ""
        yield f"  {label}{printable(found['system'])}, {found['fractions']} fraction(s)"
        yield from _table([_COLUMNS, *(_row(beam) for beam in found["beams"])])
        for beam in found["beams"]:
            for description in (*beam["devices"], *beam["motions"]):
                yield f"  beam {beam['number']}: {description}"
    if found["problems"]:
        yield "  the plan cannot be used:"
        yield from found["reasons"]
    by_reasons: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for engine in found["engines"]:
        by_reasons.setdefault(tuple(engine["reasons"]), []).append(engine)
    for reasons, engines in by_reasons.items():
        names = ", ".join(engine["engine"] for engine in engines)
        if reasons:
            yield f"  cannot be computed with {names}:"
            yield from reasons
        elif not found["problems"]:
            yield f"  can be computed with {names}"
    yield ""


def _reasons(problems: Sequence[Problem]) -> list[str]:
    """Lines of text: each reason once, then what to do."""
    advice = dict.fromkeys(one.advice for one in problems if one.advice)
    return [f"    {one}" for one in without_repeats(problems)] + [f"      {description}" for description in advice]


def _row(beam: dict[str, Any]) -> tuple[str, ...]:
    name = f" ({printable(beam['name'])})" if beam["name"] else ""
    return (
        f"{beam['number']}{name}",
        printable(beam["machine"]) or "-",
        printable(beam["mode"]) or "-",
        f"{beam['gantry']:g}",
        f"{beam['couch']:g}",
        str(beam["layers"]),
        " to ".join(f"{energy:g}" for energy in dict.fromkeys(beam["energies"])) or "-",
        str(beam["spots"]),
        f"{beam['meterset']:.1f}",
        printable(beam["position"]) or "-",
    )


def _table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for row in rows:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
