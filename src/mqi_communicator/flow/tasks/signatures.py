"""The signatures of delivered results: read, and verified against what they sign."""

from __future__ import annotations

from pathlib import Path

from mqi_communicator.case.faults import Permanent
from mqi_communicator.flow.tasks.digests import digest_of
from mqi_communicator.results.documents import MANIFEST
from mqi_communicator.results.signature import SIGNATURE, SIGNATURES, SIGNED_REPORTS, SignatureDocument


def signatures_of(delivered: Path) -> tuple[SignatureDocument, ...]:
    """The signatures of delivered results, the first one first. Permanent if one does not match what it signs."""
    found: list[SignatureDocument] = []
    for place, name in enumerate(SIGNATURES):
        path = delivered / name
        if not path.is_file():
            break
        document = _read(path)
        _verify(delivered, document, place)
        found.append(document)
    return tuple(found)


def _read(path: Path) -> SignatureDocument:
    try:
        return SignatureDocument.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as fault:
        raise Permanent(f"the signature cannot be read ({type(fault).__name__})", f"check {path.name}") from None


def _verify(delivered: Path, document: SignatureDocument, place: int) -> None:
    wanted = {MANIFEST: document.manifest}
    added = SIGNED_REPORTS[place], *([SIGNATURE] if place else [])
    wanted |= {name: document.digests[name] for name in added if name in document.digests}
    for name, digest in wanted.items():
        try:
            same = digest_of(delivered / name) == digest
        except OSError:
            same = False
        if not same:
            what = "another manifest" if name == MANIFEST else f"another {name}"
            raise Permanent(
                f"the signature is not of these results: it names {what}",
                "the results were changed after they were signed; judge the case again",
            )
