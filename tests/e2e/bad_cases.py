"""Case folders as they should not be: what each is, how it is made, and how it must end."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mqi_communicator.demo.sample_canary import plant
from mqi_communicator.demo.sample_case import Draft, encode
from mqi_communicator.demo.sample_kinds import apply, uids_of

FILE_CANARY = "Fernwhistle"  # a patient's name as people put it into names of files and folders
REFUSED, WAITS, HELD, THROUGH = (
    "failed at admit",
    "waiting at admit",
    "waiting at prepare",
    "done",
)


@dataclass(frozen=True)
class BadCase:
    """One folder: `what` it is in words, the sample `kind` it begins as, and `says`, what must be read of it."""

    what: str
    kind: str
    end: str
    says: tuple[str, ...] = ()
    change: Callable[[Draft], None] | None = None  # of the DICOM objects
    spoil: Callable[[Path], None] | None = None  # of the written folder
    name: str = ""  # of the folder; otherwise made from `what`

    @property
    def folder(self) -> str:
        """Its name in the watched folder."""
        return self.name or f"{FILE_CANARY} {self.what[:60].replace('/', '-')}"


def write(case: BadCase, target: Path, seed: int) -> None:
    """Write the case of a patient whose words are easily searched for. File names carry a word of their own."""
    draft = planted(seed, case.kind)
    apply(case.kind, draft)
    if case.change:
        case.change(draft)
    for name, made in draft.files.items():
        above, _, last = name.rpartition("/")
        path = target / above / (last if case.kind == "no-suffix" else f"{FILE_CANARY}.{last}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made if isinstance(made, bytes) else encode(made))
    if case.spoil:
        case.spoil(target)


def planted(seed: int, kind: str) -> Draft:
    """The good case with a canary patient, under its usual file and beam names (which are shown on purpose)."""
    from mqi_communicator.demo.sample import draft_case

    draft = draft_case("tiny", uids_of(kind, "tiny", seed))
    names = [beam.BeamName for beam in draft.object("RP.dcm").IonBeamSequence]
    rois = [roi.ROIName for roi in draft.object("RS.dcm").StructureSetROISequence]
    plant(draft)
    for name in list(draft.files):
        draft.rename(name, name.rpartition("/")[2].partition(".")[2])
    for beam, name in zip(draft.object("RP.dcm").IonBeamSequence, names, strict=True):
        beam.BeamName = name
    for roi, name in zip(draft.object("RS.dcm").StructureSetROISequence, rois, strict=True):
        roi.ROIName = name
    return draft


def _item(**values: object):
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def photon_setup(draft: Draft) -> None:
    """The SETUP beam is an X-ray picture."""
    beam = draft.object("RP.dcm").IonBeamSequence[0]
    beam.RadiationType = "PHOTON"


def couch_roll(draft: Draft) -> None:
    draft.object("RP.dcm").IonBeamSequence[0].IonControlPointSequence[0].TableTopRollAngle = 2.0


def feet_first(draft: Draft) -> None:
    draft.object("RP.dcm").PatientSetupSequence[0].PatientPosition = "FFS"


def sitting(draft: Draft) -> None:
    for setup in draft.object("RP.dcm").PatientSetupSequence:
        setup.PatientPosition = "SITTING"


def without_position(draft: Draft) -> None:
    for setup in draft.object("RP.dcm").PatientSetupSequence:
        setup.PatientPosition = ""
    for ds in draft.objects("CT."):
        ds.PatientPosition = ""


def uneven(draft: Draft) -> None:
    for index, ds in enumerate(draft.objects("CT.")):
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, z + 0.5 * (index % 2)]


def oblique(draft: Draft) -> None:
    for ds in draft.objects("CT."):
        ds.ImageOrientationPatient = [1, 0, 0, 0, 0.996, 0.087]


def wobbled(draft: Draft) -> None:
    beam = draft.object("RP.dcm").IonBeamSequence[0]
    beam.NumberOfLateralSpreadingDevices = 1
    beam.LateralSpreadingDeviceSequence = [
        _item(
            LateralSpreadingDeviceNumber=1,
            LateralSpreadingDeviceID="WM1",
            LateralSpreadingDeviceType="MAGNET",
        )
    ]


def other_patient(draft: Draft) -> None:
    for ds in draft.objects("CT."):
        ds.PatientID = "QXZ-OTHER"


def huge_grid(draft: Draft) -> None:
    """An RTDOSE that declares planes of 65535 x 65535, about a hundred gigabytes, and holds a few kilobytes."""
    dose = draft.object("RD.plan.dcm")
    dose.Rows = dose.Columns = 65535


def many_frames(draft: Draft) -> None:
    """An RTDOSE that declares a hundred thousand planes."""
    draft.object("RD.plan.dcm").NumberOfFrames = 100_000


def _one(folder: Path, part: str) -> Path:
    return next(path for path in sorted(folder.iterdir()) if part in path.name)


def four_gigabytes(folder: Path) -> None:
    """The pixels of one CT slice announce 4 GB."""
    path = _one(folder, "CT.0008")
    content = path.read_bytes()
    at = content.rindex(struct.pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0))
    path.write_bytes(content[: at + 8] + struct.pack("<L", 0xFFFFFFF0) + content[at + 12 :])


def deep(folder: Path) -> None:
    """Ten thousand sequences, each within the one before."""
    path = _one(folder, "RP.dcm")
    content = path.read_bytes()
    (length,) = struct.unpack_from("<L", content, 140)
    opened = struct.pack("<HH2sHL", 0x300A, 0x03A2, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path.write_bytes(content[: 144 + length] + opened * 10_000)


def cut_plan(folder: Path) -> None:
    path = _one(folder, "RP.dcm")
    path.write_bytes(path.read_bytes()[:2000])


def link_out(folder: Path) -> None:
    """One slice is a link to a file outside the watched folder: the right one, even."""
    path = _one(folder, "CT.0008")
    outside = folder.parent.parent / "outside.dcm"
    shutil.move(path, outside)
    path.symlink_to(outside)


def locked(folder: Path) -> None:
    _one(folder, "CT.0008").chmod(0)


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def half(folder: Path) -> None:
    path = _one(folder, "CT.0008")
    path.rename(path.with_name(f"{path.name}.part"))


HOSTILE = f'{FILE_CANARY} it\'s "q"; $(touch OWNED) `touch OWNED` & | > OWNED\n-rf * 患者 Größe'
LONG = f"{FILE_CANARY} " + "n" * (200 - len(FILE_CANARY) - 1)
UNDECODABLE = os.fsdecode(FILE_CANARY.encode() + b" caf\xe9 \xff\xfe")

CASES = (
    # not whole
    BadCase("an empty folder", "pass", WAITS, ("the folder is empty",), spoil=empty),
    BadCase("no RTPLAN", "no-plan", WAITS, ("the folder has no RT plan yet",)),
    BadCase("no RTSTRUCT", "no-structures", WAITS, ("structure set that the plan refers to has not arrived",)),
    BadCase("one CT slice missing", "missing-slice", WAITS, ("1 of 12 CT slices", "has not arrived")),
    BadCase("one CT slice still called .part by the copying program", "pass", WAITS, ("1 of 12",), spoil=half),
    BadCase(
        "one CT slice is a link to a file outside", "pass", WAITS, ("1 of 12", "links are not followed"), spoil=link_out
    ),
    BadCase("one file may not be read", "pass", REFUSED, ("cannot be read", "Permission denied"), spoil=locked),
    BadCase("one CT slice of zero bytes", "zero-byte", REFUSED, ("CT.0008.dcm is empty (0 bytes)",)),
    BadCase("one CT slice cut in the middle", "truncated", REFUSED, ("CT.0008.dcm ends early",)),
    BadCase("the RTPLAN cut in the middle", "pass", REFUSED, ("RP.dcm ends early",), spoil=cut_plan),
    BadCase("a text file named .dcm", "text-as-dcm", REFUSED, ("notes.dcm is not a DICOM file",)),
    # not one case
    BadCase("two RTPLANs in one folder", "two-plans", REFUSED, ("the folder contains 2 plans", "RP.dcm", "RP2.dcm")),
    BadCase("RTSTRUCT drawn on another CT", "wrong-structure", REFUSED, ("RS.dcm belongs to another CT",)),
    BadCase("RTDOSE of another plan", "wrong-dose", THROUGH, ("has no planned dose",)),
    BadCase("CT of another patient", "pass", REFUSED, ("different patient IDs (0010,0020)",), change=other_patient),
    # bombs
    BadCase("RTDOSE declaring planes of 65535 x 65535", "pass", REFUSED, ("RD.plan.dcm",), change=huge_grid),
    BadCase("RTDOSE declaring 100 000 planes", "pass", REFUSED, ("for 100000 frames",), change=many_frames),
    BadCase(
        "a CT slice announcing 4 GB of pixels",
        "pass",
        REFUSED,
        ("CT.0008.dcm", "declares 4294967280 bytes"),
        spoil=four_gigabytes,
    ),
    BadCase(
        "an RTPLAN of 10 000 sequences within one another", "pass", REFUSED, ("nested more than 16 deep",), spoil=deep
    ),
    # what is not computed
    BadCase("photon plan (RT Plan)", "photon-plan", REFUSED, ("photons or electrons", "expected an RT Ion Plan")),
    BadCase("carbon ions", "carbon", REFUSED, ("RadiationType (300A,00C6) is ION", "expected PROTON")),
    BadCase("plan without spots", "no-spots", REFUSED, ("the layer has no spots", "(300A,0394)")),
    BadCase("spots in private tags", "private-spots", REFUSED, ("spots in private elements (300B,xx94)",)),
    BadCase("spots of zero weight", "zero-weights", REFUSED, ("FinalCumulativeMetersetWeight (300A,010E) is 0",)),
    BadCase("energy above the beam model", "energy-outside", REFUSED, ("are outside", "expected 20 to 220 MeV")),
    BadCase("treatment machine without a beam model", "unmapped-machine", HELD, ("UNKNOWN-GANTRY", "no beam model")),
    BadCase(
        "CT scanner without a curve",
        "unmapped-scanner",
        HELD,
        ("UNKNOWN MAKER|UNKNOWN CT|ELSEWHERE", "no conversion curve"),
    ),
    BadCase("beams in two positions", "pass", REFUSED, ("FFS for beam 1", "one position for all"), change=feet_first),
    BadCase("sitting patient", "pass", REFUSED, ("SITTING", "expected HFS, HFP, FFS"), change=sitting),
    BadCase("no patient position", "pass", REFUSED, ("neither the plan nor the CT",), change=without_position),
    BadCase("oblique CT slices", "pass", REFUSED, ("[1.0, 0.0, 0.0, 0.0, 0.996", "not oblique"), change=oblique),
    BadCase("couch pitch", "couch-pitch", REFUSED, ("TableTopPitchAngle (300A,0140) is 3 degrees",)),
    BadCase("couch roll", "pass", REFUSED, ("TableTopRollAngle (300A,0144) is 2 degrees",), change=couch_roll),
    BadCase("two fraction groups", "two-fraction-groups", REFUSED, ("2 fraction groups",)),
    BadCase("range shifter unknown", "shifter-unknown", REFUSED, ("RangeShifterID (300A,0318) is RS_Other", "RS_10")),
    BadCase("range shifter half in", "shifter-word", REFUSED, ("RangeShifterSetting (300A,0362) is HALF",)),
    BadCase("range shifter in the patient", "shifter-in-body", REFUSED, ("RS_10 would be in the patient",)),
    BadCase("range shifter too far away", "shifter-travel", REFUSED, ("RS_10 is 470 mm from the isocentre",)),
    BadCase("range shifter too thick", "shifter-thick", REFUSED, ("behind range shifter RS_Block of 110.1 mm",)),
    BadCase("aperture", "aperture", REFUSED, ("needs an aperture", "1 of them")),
    BadCase("aperture on the patient's side", "aperture-patient-side", REFUSED, ("needs an aperture", "1 of them")),
    BadCase("aperture of two openings", "aperture-openings", REFUSED, ("needs an aperture", "2 of them")),
    BadCase(
        "aperture of another number of points",
        "aperture-points",
        REFUSED,
        ("BlockNumberOfPoints (300A,0104) is 6, but BlockData (300A,0106) has",),
    ),
    BadCase("bolus without a density", "bolus", REFUSED, ("needs a bolus, structure 3, which has no density",)),
    BadCase("bolus that no beam names", "unnamed-bolus", REFUSED, ("structure 5 (Gel)", "no beam names it")),
    BadCase("density that the conversion curve does not reach", "metal", REFUSED, ("1.632 at 1565 HU", "(3006,00B0)")),
    BadCase("two densities in one place", "overlap", REFUSED, ("structure 6 (Implant B) overlaps it",)),
    BadCase("passive scattering (ScanMode NONE)", "passive", REFUSED, ("ScanMode (300A,0308) is NONE",)),
    BadCase("uniform scanning", "uniform-scan", REFUSED, ("ScanMode (300A,0308) is UNIFORM",)),
    BadCase("wobbling magnets", "pass", REFUSED, ("needs a spreader",), change=wobbled),
    BadCase("MODULATED_SPEC LEAPING", "leaping-scan", REFUSED, ("ScanMode (300A,0308) is MODULATED_SPEC LEAPING",)),
    BadCase("line scanning, first weight not 0", "line-first", REFUSED, ("is 2.2301 (6 more control points begin",)),
    BadCase("line scanning in another maker's private tags", "line-creator", REFUSED, ("the creator MQI SAMPLE",)),
    # odd, and good
    BadCase("ScanMode LINE, in private tags, implicit VR", "line-private", THROUGH),
    BadCase("MODULATED_SPEC LINEAR", "linear-scan", THROUGH),
    BadCase("head first prone (HFP)", "prone", THROUGH),
    BadCase("head first on the right side (HFDR)", "decubitus", THROUGH),
    BadCase("feet first (FFS), CT slices unevenly spaced", "feet-first", THROUGH, change=uneven),
    BadCase("range shifter in half of the layers", "range-shifter-layers", THROUGH),
    BadCase(
        "DICOM without suffix, in a folder named with quotes, ;, $(...), a newline", "no-suffix", THROUGH, name=HOSTILE
    ),
    BadCase(
        "a photon SETUP beam, in a folder name of 200 characters", "setup-beam", THROUGH, change=photon_setup, name=LONG
    ),
    BadCase("a folder name that is no text in any encoding", "pass", THROUGH, name=UNDECODABLE),
    BadCase("a couch with a density that is longer than the CT", "couch", THROUGH),
    BadCase("an EXTERNAL with the properties of water", "external-water", THROUGH),
)
UNREADABLE = "one file may not be read"
THROUGH_THE_PROGRAM = (  # each end, a name that shells would run, and what root cannot try in its own process
    UNREADABLE,
    "one CT slice missing",
    "treatment machine without a beam model",
    "RTDOSE of another plan",
    "DICOM without suffix, in a folder named with quotes, ;, $(...), a newline",
)
CHOSEN = [bad for bad in CASES if bad.what in THROUGH_THE_PROGRAM]
OTHERS = [bad for bad in CASES if bad.what not in THROUGH_THE_PROGRAM]
