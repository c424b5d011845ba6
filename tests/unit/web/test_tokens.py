"""API tokens: random, kept as digests, with the lesser role, until they expire."""

from __future__ import annotations

import json
import re

import pytest

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.web.tokens import TokensFile, TokenUse, public
from mqi_communicator.web.users import User

DAY = 86400.0


@pytest.fixture
def file(tmp_path):
    return TokensFile(tmp_path / "users-tokens.json")


def test_only_digests_are_kept(file):
    token, text = file.add("ann", "viewer", 30, "archive", 1000.0)
    assert re.fullmatch(r"mqi_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", text)
    kept = file.path.read_text()
    assert text not in kept
    assert text.rpartition("_")[2] not in kept
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert TokensFile(file.path).find(text, 1000.0) == token
    assert "digest" not in public(token, None)


def test_a_token_ends_when_it_expires_or_is_removed(file):
    token, text = file.add("ann", "viewer", 30, "", 1000.0)
    _, other = file.add("ann", "viewer", 30, "", 1000.0)
    assert file.find(text, 1000.0 + 30 * DAY - 1) == token
    assert file.find(text, 1000.0 + 30 * DAY) is None
    file.remove(token.id)
    assert file.find(text, 1000.0) is None
    assert file.find(other, 1000.0) is not None
    with pytest.raises(ActionRequired, match="there is no token"):
        file.remove(token.id)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: t[:-1], str.upper, lambda _: ""]
)
def test_another_text_is_no_token(file, change):
    _, text = file.add("ann", "viewer", 30, "", 1000.0)
    assert file.find(change(text), 1000.0) is None


def test_a_token_acts_with_the_lesser_role(file):
    operator, _ = file.add("ann", "operator", 30, "", 1000.0)
    assert operator.acts_as(User("ann", "physicist", "hash", "Ann", "MPE")).role == "operator"
    assert operator.acts_as(User("ann", "viewer")).role == "viewer"


@pytest.mark.parametrize("days", [0, -1, 367, float("nan"), float("inf")])
def test_every_token_expires(file, days):
    with pytest.raises(ActionRequired, match="expires after at most 366 days"):
        file.add("ann", "viewer", days, "", 1000.0)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "mqi-tokens/1", "tokens": {"a": {"role": "king"}}}'])
def test_an_invalid_file_is_refused_with_a_message(file, text):
    file.path.write_text(text)
    file.path.chmod(0o600)
    with pytest.raises(ActionRequired, match="tokens file"):
        file.tokens()


def test_a_file_that_others_may_read_is_refused(file):
    _, text = file.add("ann", "viewer", 30, "", 1000.0)
    file.path.chmod(0o644)
    with pytest.raises(ActionRequired, match=r"the tokens file .* can be read by others"):
        file.find(text, 1000.0)


def test_the_last_use_is_recorded_to_the_minute(tmp_path):
    use = TokenUse(tmp_path / "token-use.json")
    assert use.last() == {}
    assert use.is_news("a", 1000.0)
    use.record("a", 1000.0)
    assert not use.is_news("a", 1059.0)
    assert use.is_news("a", 1061.0)
    use.record("b", 1061.0)
    assert TokenUse(use.path).last() == {"a": 1000.0, "b": 1061.0}
    use.path.write_text("damaged")
    assert use.last() == {}
    use.record("a", 2000.0)
    assert json.loads(use.path.read_text()) == {"a": 2000.0}


def test_a_use_that_cannot_be_recorded_hurts_nobody(tmp_path):
    use = TokenUse(tmp_path / "missing" / "token-use.json")
    use.record("a", 1000.0)
    assert use.last() == {}
