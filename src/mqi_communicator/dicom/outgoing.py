"""DICOM that leaves the house for an engine that reads it: written anew, so that there is nothing to be left behind.

No element of an original is copied. What is sent is made from the records (pixels, geometry, spots) under a constant
patient that does not exist. Each UID is a digest of what is sent itself: the same case gives the same bytes again, two
objects with other content have other UIDs, and a UID tells nobody anything that the bytes beside it do not tell. No
original UID, name or date goes into one, so that none can be found again from it, nor tried out. Nothing has to be
mapped back: doses come home on the grid that was sent, and `rtdose_writer` writes them anew under the original's UIDs.
"""

from __future__ import annotations

import hashlib
import uuid
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

NOBODY = "MQI^NOBODY"
NOBODY_ID = "MQI-NOBODY"


def content_digest(*parts: bytes) -> bytes:
    """A digest of what is sent, part by part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def sent_uid(content: bytes, *what: object) -> str:
    """A UUID-derived UID (PS3.5 B.2) that follows from the content sent and from what it names there."""
    digest = hashlib.sha256(b"sent\n" + content + "\n".join(map(str, what)).encode("ascii")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def new_object(sop_class: str, modality: str, content: bytes, *what: object) -> Dataset:
    """An object of nobody: patient, study, series and equipment, all of them constant or digests of the content."""
    from pydicom import Dataset

    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, sent_uid(content, modality, *what)
    ds.StudyDate, ds.StudyTime, ds.StudyID = "", "", "1"
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.OperatorsName = "", "", ""
    ds.Modality, ds.Manufacturer, ds.ManufacturerModelName = modality, "MQI", "MQI"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = NOBODY, NOBODY_ID, "", "O"
    ds.StudyInstanceUID = sent_uid(content, "study")
    ds.SeriesInstanceUID = sent_uid(content, "series", modality)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = sent_uid(content, "frame"), ""
    return ds


def item(**attributes: object) -> Dataset:
    """A sequence item with these attributes."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def encoded(ds: Dataset) -> bytes:
    """The object as a DICOM file, explicit VR little endian, uncompressed."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    held = BytesIO()
    dcmwrite(held, ds, enforce_file_format=True)
    return held.getvalue()
