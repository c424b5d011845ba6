"""The OpenAPI description of /api/v1, generated from the records."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

from mqi_communicator.case.model import Event
from mqi_communicator.case.views import CaseView
from mqi_communicator.results.signature import SignatureDocument
from mqi_communicator.store.worklist import URGENCY
from mqi_communicator.web.actions import OrderRequest
from mqi_communicator.web.search import CURSOR, DAY
from mqi_communicator.web.signing import SignatureRequest
from mqi_communicator.web.worklist import LONGEST_FILTER

VERSION = "1.0.0"
_REF = "#/components/schemas/{model}"
_KEY = {
    "name": "key",
    "in": "path",
    "required": True,
    "description": "The opaque key of a case.",
    "schema": {"type": "string", "pattern": "^[a-z0-9]{1,40}$"},
}
_TEXT, _BOOL = {"type": "string"}, {"type": "boolean"}
_FILTERS: dict[str, dict[str, Any]] = {  # of the worklist
    "plan": {"pattern": "^([a-z0-9]{1,40})?$", "description": "Key of a case: those with the same plan label."},
    "machine": {"maxLength": LONGEST_FILTER, "description": "TreatmentMachineName."},
    "verdict": {"enum": ["", *URGENCY]},
    "signer": {"maxLength": LONGEST_FILTER, "description": "User: instead of unsigned cases those signed by this one."},
    "since": {"pattern": DAY, "description": "First day on which the case was received: 2026-01-31."},
    "until": {"pattern": DAY, "description": "Last day on which the case was received."},
}


def document(search: type[BaseModel], cookie: str) -> dict[str, Any]:
    """The description, OpenAPI 3.1. `cookie` is the name of the session cookie."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "MQI Communicator",
            "version": VERSION,
            "description": "The records that mqi --json prints. Programs send a token (mqi token add) "
            "as Authorization: Bearer. A browser signs in at /login; the session is a cookie, and each POST sends the "
            "token of /api/v1/me in X-CSRF-Token.",
        },
        "components": {
            "schemas": _schemas(search),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Made by mqi token add."},
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
            },
        },
        "security": [{"token": []}, {"session": []}],
        "paths": _paths(search.__name__),
    }


def _schemas(search: type[BaseModel]) -> dict[str, Any]:
    schemas: dict[str, Any] = {
        "Error": _object({"error": {**_TEXT, "description": "The error message."}}),
        "Me": _object({"name": _TEXT, "role": {"enum": ["viewer", "operator", "physicist"]}, "csrf": _TEXT}),
        "Why": _object({"case": _TEXT, "why": _TEXT, "advice": _TEXT, "needs_person": _BOOL}),
        "OrderResult": _object(
            {
                "case": _TEXT,
                "order": _TEXT,
                "number": {"type": "integer"},
                "running": {
                    **_BOOL,
                    "description": "Whether a communicator is running; if not, the order is applied when it starts.",
                },
                "answer": {**_TEXT, "description": 'The result; "" until the order is applied.'},
            }
        ),
        "Now": {
            "type": "object",
            "description": "What the start page shows.",
            "required": ["running", "groups", "hosts"],
        },
    }
    schemas["Signatures"] = _object(
        {
            "state": {"enum": ["", "unsigned", "second_due", "signed", "rejected"]},
            "invalid": {**_TEXT, "description": "Why the signatures do not match the results; empty if they do."},
            "seen": {**_TEXT, "description": "SHA-256 of manifest.json; a signature must name it."},
            "number": {"type": "integer", "description": "Which signature is due: 1 or 2."},
            "signatures": {"type": "array", "items": _ref("SignatureDocument")},
        }
    )
    file = {"name": _TEXT, "size": {"type": "integer"}, "kind": {**_TEXT, "description": "Media type."}}
    schemas["Files"] = _object({"files": {"type": "array", "items": _object(file)}})
    for record in (CaseView, Event, OrderRequest, SignatureRequest, SignatureDocument, search):
        _add(schemas, record)
    cases = {"type": "array", "items": _ref("CaseView")}
    schemas["Cases"] = _object({"running": _BOOL, "cases": cases, "after": _TEXT})
    opened = _object({"open_by": {"type": "array", "items": _TEXT, "description": "Users who look at the case now."}})
    listed = {"type": "array", "items": {"allOf": [_ref("CaseView"), opened]}}
    schemas["Worklist"] = _object({"counts": {"type": "object", "description": "Cases by verdict."}, "cases": listed})
    schemas["Shown"] = {
        "allOf": [
            _ref("CaseView"),
            _object({"events": {"type": "array", "items": _ref("Event")}, "checks": {"type": "array"}}),
        ]
    }
    return schemas


def _paths(search: str) -> dict[str, Any]:
    limit = {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 500}}
    before = {
        "name": "before",
        "in": "query",
        "schema": {**_TEXT, "pattern": CURSOR},
        "description": "`after` of the previous page.",
    }
    filters = [{"name": name, "in": "query", "schema": {**_TEXT, **limits}} for name, limits in _FILTERS.items()]
    return {
        "/api/v1/me": {"get": _operation("me", "The signed-in user.", "Me")},
        "/api/v1/now": {"get": _operation("now", "Current cases, hosts and disks.", "Now")},
        "/api/v1/status": {
            "get": _operation("status", "What mqi status --all --json prints.", "Cases", parameters=[limit, before])
        },
        "/api/v1/worklist": {
            "get": _operation("worklist", "What is to be reviewed and signed.", "Worklist", parameters=filters)
        },
        "/api/v1/search": {"post": _operation("search", "Matching cases.", "Cases", body=search)},
        "/api/v1/cases/{key}": {"get": _operation("show", "What mqi show --json prints.", "Shown", parameters=[_KEY])},
        "/api/v1/cases/{key}/why": {"get": _operation("why", "What mqi why --json prints.", "Why", parameters=[_KEY])},
        "/api/v1/cases/{key}/orders": {
            "post": _operation(
                "order",
                "Give an order; requires the role operator or physicist.",
                "OrderResult",
                parameters=[_KEY],
                body="OrderRequest",
                status="202",
            )
        },
        "/api/v1/cases/{key}/signatures": {
            "get": _operation("signatures", "The signatures of the newest results.", "Signatures", parameters=[_KEY]),
            "post": _operation(
                "sign",
                "Accept or reject the newest results; requires the role physicist, and with a cookie the password.",
                "OrderResult",
                parameters=[_KEY],
                body="SignatureRequest",
                status="202",
            ),
        },
        "/api/v1/cases/{key}/files": {
            "get": _operation("files", "The delivered files that can be downloaded.", "Files", parameters=[_KEY])
        },
        "/api/v1/cases/{key}/files/{name}": {"get": _download()},
    }


def _download() -> dict[str, Any]:
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "report.html, report.pdf, report-signed.pdf, verdict.json, or another listed file.",
        "schema": {**_TEXT, "pattern": "^[A-Za-z0-9._-]{1,100}$"},
    }
    made = _operation("file", "One delivered file.", "Error", parameters=[_KEY, name])
    content: dict[str, Any] = {kind: {} for kind in ("text/html", "application/pdf", "application/json", "image/png")}
    made["responses"]["200"] = {"description": "The file.", "content": content}
    return made


def _operation(
    name: str,
    summary: str,
    answer: str,
    *,
    parameters: list[dict[str, Any]] | None = None,
    body: str = "",
    status: str = "200",
) -> dict[str, Any]:
    errors = {"401": "No valid session or token.", "429": "Too many failed attempts."}
    if parameters and _KEY in parameters:
        errors["404"] = "No such case."
    if body or parameters:
        errors["422"] = "Invalid request."
    if body:
        errors |= {"400": "Not valid JSON.", "403": "CSRF token missing, or role not sufficient."}
        errors["409"] = "There is a newer order, or the results cannot be signed."
        errors |= {"413": "Request too large.", "415": "Not application/json."}
    made: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {status: {"description": "Success.", "content": _json(answer)}}
        | {code: {"description": text, "content": _json("Error")} for code, text in errors.items()},
    }
    if parameters:
        made["parameters"] = parameters
    if body:
        made["requestBody"] = {"required": True, "content": _json(body)}
    return made


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": _ref(name)}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(model=name)}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": sorted(properties)}


def _add(schemas: dict[str, Any], record: type) -> None:
    made = TypeAdapter(record).json_schema(
        ref_template=_REF, mode="serialization" if record in (CaseView, Event, SignatureDocument) else "validation"
    )
    schemas |= made.pop("$defs", {})
    schemas[record.__name__] = made
