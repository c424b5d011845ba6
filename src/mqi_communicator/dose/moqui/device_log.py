"""What upstream moqui prints of the range shifter and the aperture that it builds, compared with what was requested."""

from __future__ import annotations

import re

from mqi_communicator.dose.moqui.requested import Placed, RequestedRun
from mqi_communicator.dose.moqui.sections import Section

_NUMBER = r"(-?[\d.]+(?:e[+-]?\d+)?)"
_BUILT = {
    "range shifter": rf"^Range shifter thickness: {_NUMBER} \(mm\) and position: {_NUMBER} \(mm\)",
    "aperture": rf"^BlockThickness and Position \(center\) : {_NUMBER}, {_NUMBER} mm",
}
_NEAR = 0.01  # mm; it prints six digits


def device_fault(part: Section, requested: RequestedRun) -> str | None:
    """How the output of one run contradicts what was requested; None if it does not.

    Nothing is concluded from a line that is missing in a section that is not whole.
    """
    for name, wanted in (("range shifter", requested.shifter), ("aperture", requested.aperture)):
        built = [(float(one[1]), float(one[2])) for one in re.finditer(_BUILT[name], part.text, re.MULTILINE)]
        if wanted is None and built:
            return f"built {_text(name, built[0])}, and none was requested"
        if wanted is not None and not built and part.whole:
            return f"does not report that it built {_text(name, wanted)}"
        for one in built:
            if wanted is not None and not all(abs(a - b) <= _NEAR for a, b in zip(one, wanted, strict=True)):
                return f"built {_text(name, one)}, expected {_text(name, wanted)}"
    return None


def _text(name: str, placed: Placed) -> str:
    article = "an" if name[0] in "aeiou" else "a"
    return f"{article} {name} of {placed[0]:g} mm at {placed[1]:g} mm from the isocentre (centre)"
