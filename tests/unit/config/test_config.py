"""The configuration: what is accepted, and how mistakes are told."""

# ruff: noqa: E501 - tables of mistakes and words
from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from mqi_communicator.config import ConfigProblem, effective_digest, load

SHA = "0123456789" * 6 + "0123"
GOOD = f"""\
paths:
  watch: in
  workspace: /var/lib/mqi
  results: ~/results
  remote: /home/mqi/remote/
ssh:
  name: gpu1
  host: gpu1.example.org
  identity_file: keys/id
engine:
  home: /opt/mcsquare
machines:
  101:
    beam_model: models/a.txt
    sha256: {SHA}
    commissioned_on: 2026-01-31
"""


def write(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def reported(tmp_path, text):
    """The lines of the refusal, without the file's name."""
    path = write(tmp_path, text)
    with pytest.raises(ConfigProblem) as refused:
        load(path)
    lines = refused.value.reason.splitlines()
    assert all(line.startswith(f"{path}:") for line in lines)
    return [line.removeprefix(f"{path}:") for line in lines]


def test_paths_are_relative_to_the_file(tmp_path):
    config = load(write(tmp_path, GOOD))
    assert config.paths.watch == tmp_path / "in"
    assert config.paths.workspace == Path("/var/lib/mqi")
    assert config.paths.results == Path.home() / "results"
    assert config.paths.remote == "/home/mqi/remote"
    assert config.ssh is not None
    assert config.ssh.identity_file == tmp_path / "keys/id"
    assert config.machines["101"].beam_model == tmp_path / "models/a.txt"
    assert config.machines["101"].sha256 == SHA
    assert config.machines["101"].commissioned_on == date(2026, 1, 31)


def test_a_relative_file_name_gives_absolute_paths(tmp_path, monkeypatch):
    write(tmp_path, GOOD)
    monkeypatch.chdir(tmp_path)
    assert load(Path("config.yaml")).paths.watch == tmp_path / "in"


def test_the_digest_is_of_the_settings_not_of_the_text(tmp_path):
    first = effective_digest(load(write(tmp_path, GOOD)))
    assert effective_digest(load(write(tmp_path, "# a word\n" + GOOD + "resources: {jobs: 1}\n"))) == first
    assert effective_digest(load(write(tmp_path, GOOD + "resources: {jobs: 2}\n"))) != first
    assert len(bytes.fromhex(first)) == 32


def test_a_group_with_only_comments_has_its_defaults(tmp_path):
    assert (
        load(write(tmp_path, GOOD + "judgement:\n  gamma:\n  # pass_percent: 1\n")).judgement.gamma.pass_percent == 95
    )


def test_every_mistake_is_told_with_its_line(tmp_path):
    text = GOOD.replace("name: gpu1", "nmae: gpu1").replace("workspace: /", "workspace: 7 #") + "retry:\n  tries: 0\n"
    assert reported(tmp_path, text) == [
        "3: paths.workspace: must be text (put it in quotes), not 7",
        "6: ssh.name: is missing",
        "7: ssh.nmae: unknown key; did you mean name?",
        "18: retry.tries: must be greater than or equal to 1, not 0",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("retries: {}\n", "17: retries: unknown key; did you mean retry?"),
        ("resources:\n  desk: 2\n", "18: resources.desk: was renamed to workers"),
        ("web:\n  sign_passes: false\n", "18: web.sign_passes: is now signing.passes"),
        ("retry:\n  trys: 3\n", "18: retry.trys: unknown key; did you mean tries?"),
        ("judgement:\n  machines:\n    G1:\n      gama: {}\n", "20: judgement.machines.G1.gama: unknown key; did you mean gamma?"),
        ("retry: {tries: 8, tries: 9}\n", "17: retry.tries: is a duplicate of line 17"),
        ("engine:\n  home: /x\n", "17: engine: is a duplicate of line 10"),
        ("retry:\n  tries: eight\n", '18: retry.tries: must be a whole number, not "eight"'),
        ("retry:\n  tries: 8.5\n", "18: retry.tries: must be a whole number, not 8.5"),
        ('retry:\n  tries: "8"\n', '18: retry.tries: must be a whole number, not "8"'),
        ("retry:\n  tries: true\n", "18: retry.tries: must be a whole number, not true"),
        ("retry:\n  tries: 010\n", '18: retry.tries: must be a whole number, not "010"'),
        ("retry:\n  tries:\n", "18: retry.tries: has no value; set one or remove the line"),
        ("retry:\n  first_s: .nan\n", '18: retry.first_s: must be a number, not ".nan"'),
        ("retry:\n  first_s: 1e999\n", '18: retry.first_s: must be a number, not "1e999"'),
        ("retry: [1, 2]\n", "17: retry: must be a group of `key: value` lines, indented below it"),
        ("extension: {}\n", "17: extension.max_histories_per_beam: is missing"),
        ("extension: {max_histories_per_beam: 1000000}\n", "17: extension: max_histories_per_beam must be more than engine.histories_per_beam = 1000000, not 1000000"),
        ("retry: soon\n", '17: retry: must be a group of `key: value` lines, indented below it, not "soon"'),
        ("monitoring:\n  log_level: loud\n", "18: monitoring.log_level: must be one of 'debug', 'info', 'warning' or 'error', not \"loud\""),
        ("monitoring:\n  metrics_port: 99999\n", "18: monitoring.metrics_port: must be less than or equal to 65535, not 99999"),
        ("monitoring:\n\tmetrics_port: 1\n", "18: contains a tab; indent YAML with spaces"),
        ("monitoring: {\n", "18: not valid YAML: expected the node content, but found '<stream end>'"),
        ("retry: &a {}\n", "17: not valid YAML: anchors (&) and aliases (*) are not allowed"),
        ("retry: !!python/object:os.system {}\n", "17: retry: tags (tag:yaml.org,2002:python/object:os.system) are not allowed"),
        ("---\npaths: {}\n", "17: starts a second document (---); a file holds one configuration"),
        ("? [a, b]\n: 1\n", "17: the key must be one word, not a list or group"),
        ("local: {}\n", "1: needs either ssh (a host reached over SSH) or local (this machine; local: {})"),
    ],
)  # fmt: skip
def test_mistakes_in_words(tmp_path, more, line):
    assert reported(tmp_path, GOOD + more) == [line]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "1: is empty"),
        ("# nothing\n", "1: is empty"),
        ("just words\n", "1: is not a mapping; expected settings of the form `key: value`"),
        (b"paths:\n  watch: /f\xfcr\n", "2: is not UTF-8 text: save the file as UTF-8"),
        ("paths:\n  watch: /a\x00b\n", "2: contains a control character, which YAML does not allow"),
        ("[" * 3000, "1: is nested too deeply for a configuration"),
        ("#" * (1 << 20) + "\n", "1: is larger than 1 MiB, too large for a configuration"),
    ],
)
def test_what_is_no_configuration(tmp_path, text, line):
    assert reported(tmp_path, text) == [line]


def test_a_run_that_goes_on_by_itself_is_not_extended(tmp_path):
    text = GOOD.replace("home: /opt/mcsquare", "home: /opt/mcsquare\n  target_uncertainty: 0.01")
    wrong = "18: extension: cannot be combined with engine.target_uncertainty, which extends runs itself"
    assert reported(tmp_path, text + "extension: {max_histories_per_beam: 9000000}\n") == [wrong]


def test_constancy_samples_have_names_and_folders_of_their_own(tmp_path):
    one, other = ({"name": name, "folder": f"/data/{name}", "every_days": 30} for name in ("a", "b"))
    (found, _) = load(write(tmp_path, GOOD + f"constancy: [{one}, {other}]\n".replace("'", '"'))).constancy
    assert (found.name, found.folder) == ("a", Path("/data/a"))
    text = "constancy:\n  - {name: a, folder: in/sample, every_days: 30}\n"
    (line,) = reported(tmp_path, GOOD + text)
    assert line.startswith("18: constancy")
    assert line.endswith("overlaps paths.watch; it needs a folder of its own")
    twice = "constancy:\n  - {name: a, folder: x, every_days: 30}\n  - {name: a, folder: y, every_days: 30}\n"
    assert reported(tmp_path, GOOD + twice) == ["17: constancy: two samples have the same name: a, a"]


def test_missing_sections_are_all_named(tmp_path):
    assert reported(tmp_path, "retry: {}\n") == ["1: engine: is missing", "1: paths: is missing"]


@pytest.mark.parametrize("key", ["password", "passphrase", "api_token"])
def test_secrets_are_refused_and_not_repeated(tmp_path, key):
    (line,) = reported(tmp_path, GOOD.replace("  name: gpu1", f"  name: gpu1\n  {key}: hunter2"))
    assert "secrets are not allowed in this file" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("~/results", "in/out", "4: paths.results: is inside paths.watch; each needs a folder of its own"),
        ("~/results", "./in/../in", "2: paths.watch: is the same folder as paths.results; each needs a folder of its own"),
        ("watch: in", "watch: /var/lib/mqi/in", "2: paths.watch: is inside paths.workspace; each needs a folder of its own"),
    ],
)  # fmt: skip
def test_folders_inside_one_another_are_refused(tmp_path, old, new, line):
    assert line in reported(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize("remote", ["work", "/a b", "/a/../b", "/a;b", "/", "~/x", "/$HOME"])
def test_the_remote_folder_is_plain(tmp_path, remote):
    (line,) = reported(tmp_path, GOOD.replace("/home/mqi/remote/", f"'{remote}'"))
    assert line.startswith("5: paths.remote: must be an absolute path")
    a_host = f"hosts: [{{ssh: {{name: gpu2, host: gpu2}}, remote: '{remote}'}}]\n"
    ssh = GOOD[GOOD.index("ssh:") : GOOD.index("engine:")]
    (line,) = reported(tmp_path, GOOD.replace(ssh, a_host))
    assert line.startswith("6: hosts[1].remote: must be an absolute path")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigProblem, match="does not exist"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigProblem, match="is not a file"):
        load(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ConfigProblem, match="is not a file"):
        load(tmp_path / "fifo")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = write(tmp_path, GOOD)
    path.chmod(0)
    with pytest.raises(ConfigProblem, match="cannot be read: Permission denied"):
        load(path)


def test_a_byte_order_mark_does_no_harm(tmp_path):
    assert load(write(tmp_path, b"\xef\xbb\xbf" + GOOD.encode())).paths.remote == "/home/mqi/remote"


def test_words_that_older_yaml_takes_for_something_else(tmp_path):
    text = GOOD.replace("101:", "NO:").replace("name: gpu1", "name: no\n  user: on")
    config = load(write(tmp_path, text))
    assert config.ssh is not None
    assert (config.ssh.name, config.ssh.user, list(config.machines)) == ("no", "on", ["NO"])


def test_scientific_numbers_are_numbers(tmp_path):
    assert load(write(tmp_path, GOOD + "retry: {first_s: 1e-3}\n")).retry.first_s == 0.001
