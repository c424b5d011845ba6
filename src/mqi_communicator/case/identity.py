"""Identity of a case: the patient id, the plan label and the treatment machine, and which of it a page may show. Pure.

It is read from the plan at admission and kept in the spool and in the store. It is never part of an event, a log, a
metric, a notification, a file's name or an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SHORTEST = 3  # letters; shorter parts of a name are not masked
_HIDDEN = "•••"


class Mask:
    """Masks the parts of a patient's name, id and birth date in labels."""

    def __init__(self, *names: str) -> None:
        parts = {part for name in names for part in re.split(r"[\^=,;\s]+", name) if len(part) >= _SHORTEST}
        longest_first = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if parts else None

    def __call__(self, text: str) -> str:
        """The masked text."""
        return self._pattern.sub(_HIDDEN, text) if self._pattern else text


@dataclass(frozen=True, slots=True)
class CaseIdentity:
    """What identifies a case to its staff. Parts of the patient's name and birth date in the label are masked."""

    patient_id: str = field(default="", repr=False)  # PatientID (0010,0020)
    plan_label: str = field(default="", repr=False)  # RTPlanLabel (300A,0002)
    machine: str = ""  # TreatmentMachineName (300A,00B2) of the first beam


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """Which identity the site shows (`report.identity`, `report.labels`); nothing by default."""

    patient_id: bool = False
    plan_label: bool = False

    def patient(self, patient_id: str) -> str:
        """The patient id as it is shown; "" if it is not."""
        return patient_id if self.patient_id else ""

    def label(self, label: str, patient_id: str) -> str:
        """The plan label as it is shown; the patient id in it is masked where the id is not shown."""
        if not self.plan_label:
            return ""
        return label if self.patient_id else Mask(patient_id)(label)


NOTHING_SHOWN = IdentityPolicy()
