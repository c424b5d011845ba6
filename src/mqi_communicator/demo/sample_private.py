"""Private groups as planning systems write them into plans; the values are fictitious.

The creators and elements are those of real exports: an XML stream and its length (Varian, 3253), a sequence
encoded in a value (Varian, 3287), version and hash (RaySearch, 4001), limits of the snout (IMPAC, 300B).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_XML = '<?xml version="1.0" encoding="utf-8"?><ExtendedVAPlanInterface Version="1"><Beams>{}</Beams></{}>'
_BEAM = "<Beam><ReferencedBeamNumber>{}</ReferencedBeamNumber></Beam>"
_ITEM = bytes.fromhex("fe ff 00 e0 00 00 00 00")  # an empty item of a sequence, implicit VR little endian


def add_private_groups(plan: Dataset) -> None:
    """Give an RT Ion Plan the private groups that such plans have: some of its own, some in each beam."""
    beams = "".join(_BEAM.format(beam.BeamNumber) for beam in plan.IonBeamSequence)
    write_stream(plan, _XML.format(beams, "ExtendedVAPlanInterface"))
    plan.private_block(0x3287, "Varian Medical Systems VISION 3287", create=True).add_new(0x00, "UN", _ITEM)
    ray = plan.private_block(0x4001, "RAYSEARCHLABS 2.0", create=True)
    ray.add_new(0x60, "UN", b"1.0 ")
    ray.add_new(0x61, "UN", bytes(range(20)))
    for beam in plan.IonBeamSequence:
        snout = beam.private_block(0x300B, "IMPAC", create=True)
        for offset, millimetres in ((0x02, 500.0), (0x04, 150.0), (0x0E, 100.0)):
            snout.add_new(offset, "FL", millimetres)


def write_stream(plan: Dataset, xml: str) -> None:
    """Write (or replace) the XML stream of a plan: its text, its length, its kind."""
    stream = _even(xml.encode())
    extended = plan.private_block(0x3253, "Varian Medical Systems VISION 3253", create=True)
    for offset, value in enumerate((stream, _even(str(len(stream)).encode()), b"ExtendedIF")):
        extended.add_new(offset, "UN", value)


def _even(value: bytes) -> bytes:
    """Padded to an even length (PS3.5 7.1)."""
    return value + b" " * (len(value) % 2)
