"""The input files of an engine's case, by the names that they have in their folder."""

from __future__ import annotations

from mqi_communicator.dicom.records import Beam, CTVolume, IonPlan
from mqi_communicator.dose.engine import DoseEngine, PreparedCase


def common_files(engine: DoseEngine, plan: IonPlan, ct: CTVolume) -> dict[str, bytes]:
    """Those for all beams."""
    return _files_in("common", engine, plan, ct)


def beam_files(engine: DoseEngine, plan: IonPlan, beam: Beam, ct: CTVolume) -> dict[str, bytes]:
    """Those for one beam."""
    return _files_in(f"beam-{beam.number}", engine, plan, ct)


def _files_in(folder: str, engine: DoseEngine, plan: IonPlan, ct: CTVolume) -> dict[str, bytes]:
    files = engine.case(PreparedCase(plan, ct)).files()
    return {name.split("/", 1)[1]: data for name, data in files.items() if name.split("/", 1)[0] == folder}
