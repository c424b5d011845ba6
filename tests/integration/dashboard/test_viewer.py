"""The volumes of the viewer are served as recorded, to those who are signed in, and never those of another case."""

from __future__ import annotations

import hashlib
import re

import pytest
from tests.boards import Client, board_of, client_of
from tests.viewed import KEY, drawn, viewed

from mqi_communicator.report.viewer_file import owner

PAGE = f"/case/{KEY}/viewer"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    return viewed(tmp_path_factory.mktemp("viewer") / "site")


board = board_of("shown")
vera = client_of("vera")


def address(digest: str) -> str:
    return f"{PAGE}/{digest}.bin"


def test_the_volumes_are_served_to_those_who_are_signed_in(shown, board, vera):
    page = vera.get(PAGE).text
    assert address(shown.digest) in page
    assert f'href="{PAGE}"' in vera.get(f"/case/{KEY}").text
    answer = vera.get(address(shown.digest))
    assert answer.content == shown.file.read_bytes()
    assert hashlib.sha256(answer.content).hexdigest() == shown.digest
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    with shown.file.open("rb") as file:
        assert owner(file) == (KEY, 1)
    with Client(board.address) as nobody:
        for path in (PAGE, address(shown.digest)):
            refused = nobody.get(path)
            assert refused.status_code == 303
            assert refused.headers["location"].startswith("/login")
            assert not refused.content


def test_only_the_recorded_name_is_served(shown, vera):
    for name in ("0" * 64 + ".bin", "..%2f..%2fmanifest.json", shown.digest, ".part"):
        assert vera.get(f"{PAGE}/{name}").status_code == 404
    assert vera.get(f"/case/nobody/viewer/{shown.digest}.bin").status_code == 404


def test_changed_volumes_and_those_of_another_case_are_refused(shown, vera, tmp_path):
    good, path = shown.file.read_bytes(), shown.file
    try:
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        answer = vera.get(address(shown.digest))
        assert answer.status_code == 409
        assert f"mqi rejudge {KEY}" in answer.text
    finally:
        path.write_bytes(good)
    shown.show(drawn(tmp_path / "other", case="another case").file)  # its digest is recorded, its content is another's
    try:
        answer = vera.get(address(shown.digest))
        assert answer.status_code == 409
        assert len(answer.content) < 1000
    finally:
        shown.show(shown.drawn.file)
    assert vera.get(address(shown.digest)).content == good


def test_a_new_judgement_has_new_volumes(shown, vera, tmp_path):
    old = shown.digest
    shown.show(drawn(tmp_path / "again", moved=2.0).file)
    try:
        assert shown.digest != old
        assert vera.get(address(old)).status_code == 404
        assert address(shown.digest) in vera.get(PAGE).text
        assert [path.name for path in shown.spool.viewer.iterdir()] == [f"{shown.digest}.bin"]
    finally:
        shown.show(shown.drawn.file)


@pytest.mark.parametrize("facts", [{}, {"viewer": ""}, {"viewer": "0" * 64}, {"viewer": "../../x"}])
def test_an_old_case_says_how_to_get_its_volumes(shown, vera, facts):
    digest = shown.digest
    shown.record(facts)
    try:
        page = vera.get(PAGE).text
        assert f"mqi rejudge {KEY}" in page
        assert "data-file" not in page
        assert vera.get(address(digest)).status_code == 404
    finally:
        shown.record({"viewer": digest})


def test_the_modules_of_the_viewer_are_kept_by_the_browser_under_the_name_of_their_content(vera):
    (main,) = re.findall(r'"(/static/v-[0-9a-f]{16}/viewer/main[.]js)"', vera.get(PAGE).text)
    imported = re.findall(r'from "[.]/([^"]+)"', vera.get(main).text)
    assert len(imported) > 3
    for name in ("main.js", *imported):  # what it imports has the same beginning
        answer = vera.get(main.replace("main.js", name))
        assert answer.status_code == 200
        assert answer.headers["cache-control"].endswith("immutable")
