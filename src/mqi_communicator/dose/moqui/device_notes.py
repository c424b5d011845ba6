"""What a verdict says about an aperture and the protons' start in moqui: what was assumed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mqi_communicator.case.caution import Caution
from mqi_communicator.dicom.problem import printable
from mqi_communicator.dicom.records import Beam
from mqi_communicator.dose.moqui.beamfile import BeamFile
from mqi_communicator.dose.moqui.beamline import Beamline
from mqi_communicator.dose.moqui.device_checks import MOST_WIDER, wider_by


def device_cautions(beam: Beam, line: Beamline, model: BeamFile, snout: float, start: float) -> Iterator[Caution]:
    """Notes on one prepared beam. `snout`: the plan's position; `start`: mm from there to the protons' start."""
    scope = f"beam {beam.number}"
    if line.aperture is not None:
        one = line.aperture
        width, height = np.ptp(one.outlines[0], axis=0)
        note = (
            f"aperture of {printable(one.material) or 'unknown material'}, {one.thickness:g} mm thick, downstream edge "
            f"{one.downstream:g} mm from the isocentre ({one.mounting}), opening {width:g} x {height:g} mm in the "
            "isocentre plane; moqui takes its walls as parallel to the axis, in steps of 1 mm, and stops every proton "
            "that hits it"
        )
        yield Caution("aperture", scope, note, review=False)
    sent = line.snout(snout, start)
    if line.devices and sent > snout:
        wider = 100 * wider_by(beam, model, snout + start, sent + start)
        note = (
            f"moqui's protons start {sent - snout:.0f} mm farther from the isocentre than SnoutPosition + {start:g} mm "
            f"(above all devices), which widens its spots at the isocentre by at most {wider:.2f} %"
        )
        limit = f"at most {100 * MOST_WIDER:g} %"
        yield Caution("proton_start", scope, note, review=False, value=round(wider, 3), unit="%", limit=limit)
