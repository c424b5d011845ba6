"""A sample case under construction: its DICOM objects by file name, and their common elements."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from mqi_communicator.demo.truth import Size

DATE, TIME = "20200101", "120000"
MANUFACTURER = "MQI SAMPLE"
_SOFTWARE_UID = "2.25.203917465811298330925417713645020617381"


@dataclass(frozen=True, slots=True)
class Uids:
    """UIDs determined by kind, size and seed alone."""

    root: str

    def of(self, *what: object) -> str:
        """A UUID-derived UID (PS3.5 B.2)."""
        digest = hashlib.sha256("|".join([self.root, *map(str, what)]).encode()).digest()
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"


@dataclass(frozen=True, slots=True)
class Writer:
    """The software that writes the files: Implementation Class UID and Version Name, and its transfer syntax."""

    uid: str = _SOFTWARE_UID
    version: str = "MQI_SAMPLE_1"
    implicit: bool = False  # implicit VR little endian


_OWN = Writer()


@dataclass(slots=True)
class Draft:
    """The case so far. `files` has objects, or raw bytes for deliberately faulty files."""

    size: Size
    uids: Uids
    files: dict[str, Dataset | bytes] = field(default_factory=dict)
    writer: Writer = _OWN

    def object(self, name: str) -> Dataset:
        """Return the DICOM object of that file name."""
        found = self.files[name]
        if isinstance(found, bytes):
            raise TypeError(f"{name} is no longer a DICOM object")
        return found

    def objects(self, prefix: str = "") -> list[Dataset]:
        """Return the DICOM objects whose file names begin with `prefix`, sorted by name."""
        return [self.object(n) for n in sorted(self.files) if n.startswith(prefix)]

    def rename(self, old: str, new: str) -> None:
        """Rename a file (the name may contain folders)."""
        self.files[new] = self.files.pop(old)


def start(draft: Draft, sop_class: str, modality: str, *what: object) -> Dataset:
    """Return an object with fictitious patient, study, series and equipment."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.SOPClassUID, ds.SOPInstanceUID = sop_class, draft.uids.of(modality, *what)
    ds.InstanceCreationDate, ds.InstanceCreationTime = DATE, TIME
    ds.StudyDate, ds.StudyTime, ds.StudyID = DATE, TIME, "1"
    ds.AccessionNumber, ds.ReferringPhysicianName, ds.OperatorsName = "", "", "MQI^OPERATOR"
    ds.Modality, ds.Manufacturer, ds.StationName = modality, MANUFACTURER, "DEMO"
    ds.StudyDescription, ds.SeriesDescription = "MQI SAMPLE STUDY", f"MQI SAMPLE {modality}"
    ds.ManufacturerModelName, ds.SoftwareVersions, ds.DeviceSerialNumber = "SYNTHETIC", "1", "0"
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "MQI^SAMPLE", "MQI-SAMPLE", "", "O"
    ds.StudyInstanceUID = draft.uids.of("study")
    ds.SeriesInstanceUID = draft.uids.of("series", modality)
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = draft.uids.of("frame"), ""
    return ds


def encode(ds: Dataset, writer: Writer = _OWN) -> bytes:
    """The object as a DICOM file, little endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if writer.implicit else ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = writer.uid, writer.version
    ds.file_meta = meta
    held = BytesIO()
    dcmwrite(held, ds, enforce_file_format=True)
    return held.getvalue()
