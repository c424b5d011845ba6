"""Cases whose first dose is too noisy for a verdict: a longer run of them is ordered.

They are samples with a planned dose, computed by the stand-in that knows the truth (`tests.standin`): every check but
that of the noise passes.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from tests.standin.site import install, sample_files

NUMBERS = range(801, 810)
HISTORIES = 20_000  # per beam, of the first run
MOST = 2_000_000
NOISE = 10.0  # times one over the square root of the histories: 6 % at first, of which 1.5 % are allowed


@cache
def noisy_files(number: int) -> dict[str, bytes]:
    """The files of case `number`, one of NUMBERS."""
    return sample_files("pass", "tiny", number)


def noisy_plan_uid(number: int) -> str:
    """The SOP Instance UID of its plan."""
    plan = next(data for name, data in noisy_files(number).items() if name.startswith("RP"))
    return str(dcmread(BytesIO(plan), stop_before_pixels=True).SOPInstanceUID)


def install_physics(folder: Path) -> Path:
    """The engine of such cases."""
    return install(folder, noise=NOISE)
