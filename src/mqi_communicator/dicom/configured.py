"""Names in the configuration that are compared with texts of DICOM objects."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from mqi_communicator.case.visible import visible

DicomText = Annotated[str, AfterValidator(visible)]
"""Made visible like every text that is read from a DICOM object, so that equal names stay equal."""
