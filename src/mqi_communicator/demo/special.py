"""What is special in the sample of the demo, as in plans of clinics, and the checks that show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

SAMPLE = {"kind": "pass", "size": "tiny", "vendor": "raystation"}
"""The sample that the demo processes: arguments of `write_sample`."""

SPECIAL = {
    "range_shifter": "{} has a range shifter",
    "overrides": "{} has a density of its own, which is computed instead of the CT's",
    "removed_material": "what the CT shows outside EXTERNAL is computed as air in {}",
}
"""What is special, by the name of the check that shows it; `{}` is the scope of the check."""


def special_lines(checks: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Lines for a terminal on those of these checks that are in SPECIAL. None without them."""
    found = {name: [str(check["scope"]) for check in checks if check["name"] == name] for name in SPECIAL}
    if any(found.values()):
        yield "special in this case, as in plans of clinics:"
    for name, scopes in found.items():
        if scopes:
            yield f"  {name}: {SPECIAL[name].format(' and '.join(scopes))}"
