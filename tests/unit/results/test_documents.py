"""The delivered documents: versioned, rounded, and without patient data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mqi_communicator.results
from mqi_communicator.case.model import Kind, Manifest, StoredFile
from mqi_communicator.results.documents import (
    SCHEMA,
    OutputDocument,
    RunDocument,
    as_json,
    manifest_document,
    schema_text,
    verdict_document,
    verdict_of,
)
from mqi_communicator.results.extension import Extension
from mqi_communicator.results.reference import OUTCOMES, page
from mqi_communicator.results.table import HEADINGS, rows, text
from mqi_communicator.results.verdict import Check, CheckOutcome, Verdict

KEY = "abcdefghijkm"
VERDICT = Verdict(
    CheckOutcome.FAIL,
    "range_r80 (beam 3): too deep",
    (
        Check("gamma", "plan", CheckOutcome.PASS, 99.87654321, "%", ">= 95 %", 12345, 0.0123456, "fine"),
        Check("range_r80", "beam 3", CheckOutcome.FAIL, 5.0612345, "mm", "± 1.5 mm", 160, None, "too deep"),
        Check("dose_scale", "plan", CheckOutcome.PASS, float("nan"), "ratio", "1 ± 2 %", None, float("inf")),
    ),
)


def allowed(schema, value, where="$"):
    """The little of JSON Schema that ours uses; unknown keywords fail."""
    known = {"$schema", "$defs", "$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf"}
    assert set(schema) <= known | {"title", "description", "enum", "const", "default"}, (where, schema)

    def check(part, inner, path):
        if "$ref" in part:
            part = root["$defs"][part["$ref"].rsplit("/", 1)[1]]
        if "anyOf" in part:
            choices = [root["$defs"][one["$ref"].rsplit("/", 1)[1]] if "$ref" in one else one for one in part["anyOf"]]
            fitting = [one for one in choices if _matches(one, inner)]
            assert fitting, (path, inner)
            check(fitting[0], inner, path)
            return
        assert _matches(part, inner), (path, inner)
        if part.get("type") == "object":
            assert set(part["required"]) <= set(inner) <= set(part["properties"]), path
            for name, sub in part["properties"].items():
                check(sub, inner[name], f"{path}.{name}")
        if part.get("type") == "array":
            for i, each in enumerate(inner):
                check(part["items"], each, f"{path}[{i}]")

    root = schema
    check(schema, value, where)


def _matches(part, value):
    kinds = {"string": str, "object": dict, "array": list, "integer": int, "number": (int, float), "null": type(None)}
    if part.get("type") == "boolean":
        return isinstance(value, bool)
    if "enum" in part and value not in part["enum"]:
        return False
    if "const" in part and value != part["const"]:
        return False
    return isinstance(value, kinds[part["type"]]) and not isinstance(value, bool)


def test_the_shipped_schema_is_the_models_and_holds_for_a_verdict():
    shipped = (Path(mqi_communicator.results.__file__).parent / SCHEMA).read_text(encoding="utf-8")
    assert shipped == schema_text()
    document = json.loads(as_json(verdict_document(KEY, VERDICT)))
    allowed(json.loads(shipped), document)
    longer = Extension(most=9_000_000, first=1_000_000, second=2_000_000, closed=True)
    allowed(json.loads(shipped), json.loads(as_json(verdict_document(KEY, VERDICT, longer, "phantom 1"))))
    for broken in ({"word": "perfect"}, {"schema": "mqi-verdict/2"}, {"patient": "x"}, {"checks": [{}]}):
        with pytest.raises(AssertionError):
            allowed(json.loads(shipped), document | broken)


def test_the_page_about_the_verdict_is_not_stale():
    shown = (Path(__file__).parents[3] / "docs/verdict.md").read_text(encoding="utf-8")
    assert shown == page(), "run: python -m mqi_communicator.results.reference > docs/verdict.md"
    assert list(OUTCOMES) == list(CheckOutcome)


def test_numbers_have_four_digits_and_nan_is_null():
    checks = json.loads(as_json(verdict_document(KEY, VERDICT)))["checks"]
    assert [check["value"] for check in checks] == [99.88, 5.061, None]
    assert [check["uncertainty"] for check in checks] == [0.01235, None, None]


def test_a_verdict_can_be_read_back():
    written = as_json(verdict_document(KEY, VERDICT))
    assert verdict_of(written).outcome is CheckOutcome.FAIL
    assert as_json(verdict_document(KEY, verdict_of(written))) == written
    with pytest.raises(ValueError, match="mqi-verdict/1"):
        verdict_of(written.replace(b"mqi-verdict/1", b"mqi-verdict/9"))
    with pytest.raises(ValueError, match="object"):
        verdict_of(b"[]")
    later = json.dumps(json.loads(written) | {"added later": {"any": "thing"}})
    assert verdict_of(later) == verdict_of(written)


def manifest(**changed):
    digest = "0" * 64
    files = (
        StoredFile("b.dcm", digest, 10, Kind.PLAN, "1.2.3.4", "DOE^JANE/RP.DOE.dcm"),
        StoredFile("a.dcm", digest, 20, Kind.CT, "1.2.3.5", "DOE^JANE/CT.DOE.dcm"),
    )
    admitted = Manifest(content="1" * 64, lineage="2" * 64, beams=((3, "DOE left"),), files=files)
    run = RunDocument(beam=3, token=f"{KEY}-b3-r2", run=2, host="gpu", started="2026-01-01T00:00:00+00:00", ended=None)
    outputs = [OutputDocument(name=name, bytes=1, sha256=digest) for name in ("verdict.json", "doses/beam-3.dcm")]
    more = {"version": "0.1.0", "configuration": "3" * 64, "engine": {"b": "2", "a": "1"}, "admitted_at": 0.0}
    return manifest_document(KEY, admitted, runs=[run], outputs=outputs, **(more | changed))


def test_the_manifest_names_no_patient_and_is_the_same_each_time():
    written = as_json(manifest())
    assert b"DOE" not in written
    assert b"1.2.3." not in written
    assert as_json(manifest(engine={"a": "1", "b": "2"})) == written
    document = json.loads(written)
    assert document["schema"] == "mqi-manifest/1"
    assert document["admitted"] == "1970-01-01T00:00:00+00:00"
    assert [each["stored"] for each in document["inputs"]] == ["a.dcm", "b.dcm"]
    assert [each["name"] for each in document["outputs"]] == ["doses/beam-3.dcm", "verdict.json"]


def test_the_table_has_a_cell_for_each_heading():
    table = rows(VERDICT)
    assert {len(row) for row in table} == {len(HEADINGS)}
    assert table[1][:4] == ("range_r80", "beam 3", "fail", "+5.1 mm")
    assert "fail: range_r80 (beam 3): too deep" in text(VERDICT)
    assert "99.88 %" in text(VERDICT)
