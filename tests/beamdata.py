"""A small beam data library in MCsquare's own form, with CRLF, and a row beyond the announced ones."""

from __future__ import annotations

from mqi_communicator.dose.mcsquare.optics import COLUMNS

OPTICS = "0.95 3.0 0.0045 -0.04 3.9 0.0045 -0.27 0.05 22 0.039 -0.27 14 0.024 -0.19"
TABLE = "\r\n".join(
    [
        "--UPenn beam model (double gaussian)--",
        "Nozzle exit to Isocenter distance",
        "410.0",
        "SMX to Isocenter distance",
        "2234.8",
        "SMY to Isocenter distance",
        "1859.1",
        "Beam parameters",
        "2 energies",
        "",
        " ".join(COLUMNS),
        f"100 100.5 0.6 1e8 {OPTICS}",
        f"200 200.5 0.5 2e8 {OPTICS}",
        f"250 250.5 0.5 9e8 {OPTICS}",
        "",
    ]
).encode()


def table(at: float = 200, **changes: object) -> bytes:
    """The library with columns of one energy's row changed."""
    lines = TABLE.decode().split("\r\n")
    number = next(i for i, line in enumerate(lines) if line.startswith(f"{at:g} "))
    row = dict(zip(COLUMNS, lines[number].split(), strict=True)) | {name: str(v) for name, v in changes.items()}
    lines[number] = " ".join(row.values())
    return "\r\n".join(lines).encode()
