"""Which labels of plan, beams and structures a report shows."""

from __future__ import annotations

from mqi_communicator.case.identity import Mask
from mqi_communicator.dicom.contours import Labels, Structure
from mqi_communicator.report.options import ReportOptions
from mqi_communicator.report.text import one_line


class LabelPolicy:
    """Decides which labels of plan, beams and structures are shown, by the site's options."""

    def __init__(self, labels: Labels, options: ReportOptions) -> None:
        hidden = {
            "none": (labels.patient_name, labels.patient_id, labels.birth_date),
            "id": (labels.patient_name, labels.birth_date),
            "name": (),
        }[options.identity]
        self._mask = Mask(*hidden)
        self._shown = options.labels

    def typed(self, text: str, otherwise: str) -> str:
        """A label, masked; `otherwise` if labels are not shown or it is empty."""
        return (one_line(self._mask(text)) if self._shown else "") or otherwise

    def structure(self, structure: Structure) -> str:
        """A structure by its name, or by its number and kind."""
        return self.typed(structure.name, f"structure {structure.number} {one_line(structure.kind)}".strip())
