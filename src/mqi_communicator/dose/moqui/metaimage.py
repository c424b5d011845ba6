"""Read the headers of .mhd and .mha as moqui writes them: some lines lack their `=` (Offset -88.5 -88.5 -88.5)."""

from __future__ import annotations

from collections.abc import Mapping

from mqi_communicator.case.faults import Permanent
from mqi_communicator.dicom.records import Grid
from mqi_communicator.dose.moqui.flavour import Origin

_LOCAL = b"ElementDataFile = LOCAL\n"
_LONGEST = 4096  # bytes of a header
_NEAR = 2e-3  # mm; headers hold six digits of single precision
_FIXED = {"NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False", "CompressedData": "False"}
_TYPES = {"MET_DOUBLE": "<f8", "MET_FLOAT": "<f4"}


def split_mha(name: str, data: bytes) -> tuple[bytes, bytes]:
    """Header and values of an .mha. Permanent if the header has no end."""
    end = data.find(_LOCAL, 0, _LONGEST)
    if end < 0:
        raise Permanent(f"{name} has no header that ends with ElementDataFile = LOCAL")
    return data[: end + len(_LOCAL)], data[end + len(_LOCAL) :]


def check_header(name: str, header: bytes, grid: Grid, origin: Origin, data_file: str) -> str:
    """The type of the values (as numpy writes it). Permanent, with found and expected, if the grid is another."""
    fields = _keys(header)
    for key, expected in {**_FIXED, "ElementDataFile": data_file}.items():
        if fields.get(key) != expected:
            raise Permanent(f"{name}: {key} is {fields.get(key)!r}, expected {expected!r}")
    if fields.get("ElementType") not in _TYPES:
        raise Permanent(f"{name}: ElementType is {fields.get('ElementType')!r}, expected {' or '.join(_TYPES)}")
    _same(name, "DimSize", fields, [tuple(float(n) for n in reversed(grid.shape))])
    _same(name, "ElementSpacing", fields, [grid.spacing])
    _same(name, "Origin" if "Origin" in fields else "Offset", fields, _origins(grid, origin))
    return _TYPES[fields["ElementType"]]


def _origins(grid: Grid, origin: Origin) -> list[tuple[float, ...]]:
    """The accepted positions of the first voxel."""
    edge = tuple(at - step / 2 for at, step in zip(grid.origin, grid.spacing, strict=True))
    match origin:
        case Origin.CENTRE:
            return [grid.origin]
        case Origin.EDGE:
            return [edge]
        case Origin.EITHER:
            return [grid.origin, edge]


def _keys(header: bytes) -> Mapping[str, str]:
    fields: dict[str, str] = {}
    for line in header.decode("ascii", errors="replace").splitlines():
        key, value = (
            (line.split("=", 1) if "=" in line else [*line.split(None, 1), ""][:2]) if line.strip() else ("", "")
        )
        if key.strip():
            fields.setdefault(key.strip(), value.strip())
    return fields


def _same(name: str, key: str, fields: Mapping[str, str], expected: list[tuple[float, ...]]) -> None:
    try:
        found = tuple(float(word) for word in fields.get(key, "").split())
    except ValueError:
        found = ()
    for wanted in expected:
        pairs = zip(found, wanted, strict=False)
        if len(found) == len(wanted) and all(abs(a - b) <= _NEAR + 1e-5 * abs(b) for a, b in pairs):
            return
    words = " or ".join(" ".join(f"{n:g}" for n in wanted) for wanted in expected)
    raise Permanent(f"{name}: {key} is {fields.get(key)!r}, expected {words}")
