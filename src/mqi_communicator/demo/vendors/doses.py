"""RTDOSE objects as planning systems write them."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from mqi_communicator.demo.sample_case import Draft

RBE = 1.1
"""The constant factor of RBE-weighted proton doses."""


def weigh(draft: Draft) -> None:
    """Make all doses RBE-weighted (DoseType EFFECTIVE)."""
    for ds in draft.objects("RD."):
        ds.DoseGridScaling = f"{float(ds.DoseGridScaling) * RBE:.9e}"
        ds.DoseType = "EFFECTIVE"


def widen(draft: Draft) -> None:
    """Write all doses with 32 bit a pixel."""
    for ds in draft.objects("RD."):
        wide = np.frombuffer(ds.PixelData, dtype="<u2").astype("<u4") << 16
        ds.PixelData = wide.tobytes()
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = 32, 32, 31
        ds.DoseGridScaling = f"{float(ds.DoseGridScaling) / 2**16:.9e}"


def add_difference(draft: Draft) -> None:
    """RD.difference.dcm: the difference of the plan's dose to another one (DoseType ERROR), a tenth of its dose."""
    if "RD.plan.dcm" not in draft.files:
        return
    ds = deepcopy(draft.object("RD.plan.dcm"))
    ds.SOPInstanceUID = draft.uids.of("RTDOSE", "difference")
    ds.DoseType, ds.InstanceNumber = "ERROR", 98
    ds.DoseGridScaling = f"{0.1 * float(ds.DoseGridScaling):.9e}"
    draft.files["RD.difference.dcm"] = ds
