"""Writes DICOM objects for an engine on a host, anonymous by construction.

No element of an original is copied. The objects are made from the records (pixels, geometry, spots) for a constant,
fictitious patient. Each UID is a digest of the content sent: the same case gives the same bytes, objects with other
content have other UIDs, and a UID reveals nothing beyond the content. No original UID, name or date goes into one, so
none can be recovered or guessed from it. Nothing has to be mapped back: doses are returned on the grid that was sent,
and `rtdose_writer` writes them under the original's UIDs.
"""

from __future__ import annotations

import hashlib
import uuid
import warnings
from io import BytesIO

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian

NOBODY = "MQI^NOBODY"
NOBODY_ID = "MQI-NOBODY"


def content_digest(*parts: bytes) -> bytes:
    """Return a digest of the content sent, part by part."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def sent_uid(content: bytes, *what: object) -> str:
    """Return a UUID-derived UID (PS3.5 B.2) determined by the content sent and by what it identifies there."""
    digest = hashlib.sha256(b"sent\n" + content + "\n".join(map(str, what)).encode("ascii")).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def new_object(sop_class: str, modality: str, content: bytes, *what: object) -> Dataset:
    """Return an anonymous object: patient, study, series and equipment are constant or digests of the content."""
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
    """Return a sequence item with these attributes."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def encoded(ds: Dataset) -> bytes:
    """Encode the object as a DICOM file, explicit VR little endian, uncompressed.

    A layer of more than 8191 spots has a position map above 65 534 bytes, which is UN (PS3.5 6.2.2). moqui takes the
    representation from its own dictionary, whatever the file has (its mqi_dataset.hpp).
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta = meta
    held = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*The data element VR is changed from 'FL' to 'UN'")
        dcmwrite(held, ds, enforce_file_format=True)
    return held.getvalue()
