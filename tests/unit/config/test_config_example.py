"""The example file and the reference page say what the options say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from mqi_communicator.config import Config, load
from mqi_communicator.config.example import example, reference
from mqi_communicator.config.file import ConfigProblem
from mqi_communicator.config.minimal import example as minimal_example
from mqi_communicator.config.minimal import minimal
from mqi_communicator.dose.moqui.options import MoquiOptions

ROOT = Path(__file__).resolve().parents[3]


def test_the_example_is_not_stale():
    assert (ROOT / "config.example.yaml").read_text() == example(), (
        "run: python -m mqi_communicator.config.example > config.example.yaml"
    )


def test_the_reference_is_not_stale():
    assert (ROOT / "docs/configuration.md").read_text() == reference(), (
        "run: python -m mqi_communicator.config.example --reference > docs/configuration.md"
    )


def test_the_example_loads():
    config = load(ROOT / "config.example.yaml")
    assert config.ssh is not None
    assert config.ssh.host == "gpu1.example.org"
    assert list(config.machines) == ["GTR1"]


def test_the_example_means_the_same_to_other_readers_of_yaml():
    assert set(yaml.safe_load(example())) == set(Config.model_fields) - {
        "local",
        "direct",
        "slurm",
        "gpus",
        "hosts",
        "extension",
        "constancy",
        "web",
        "notify",
    }


def test_the_commented_lines_load_too(tmp_path):
    lines = [re.sub(r"^(\s*)# (\w+: )", r"\1\2", line) for line in example().splitlines()]
    lines = [line for line in lines if not line.startswith(("#", "local:")) and "null" not in line]
    path = tmp_path / "config.yaml"
    path.write_text("\n".join(lines))
    assert load(path).model_dump(exclude={"paths"}) == load(ROOT / "config.example.yaml").model_dump(
        exclude={"paths"}
    ) | {
        "machines": load(path).model_dump()["machines"],
        "scanners": load(path).model_dump()["scanners"],
        "ssh": load(path).model_dump()["ssh"],
    }


def instead(section: str) -> dict[str, object]:
    """The group that the example shows as another way to fill a section, its own comments opened too."""
    _before, _mark, after = example().partition(f"\n# {section}:\n")
    block = after.split("\n\n", maxsplit=1)[0].splitlines()
    lines = [f"{section}:", *(line.removeprefix("# ") for line in block)]
    opened = [re.sub(r"^(\s*)# (?=\w+:|  |- )", r"\1", line) for line in lines]
    return dict(yaml.safe_load("\n".join(line for line in opened if "null" not in line)))


@pytest.mark.parametrize(("flavour", "machines"), [("fork", instead("machines")), ("upstream", None)])
def test_the_other_engine_of_the_example_loads_with_all_its_pictures(tmp_path, flavour, machines):
    whole = yaml.safe_load(example()) | instead("engine") | instead("scanners") | (machines or {})
    whole["engine"] |= {"flavour": flavour}
    assert set(whole["engine"]) == set(MoquiOptions.model_fields)
    path = tmp_path / "config.yaml"
    path.write_text(json.dumps(whole, default=str))
    engine = load(path).engine
    assert isinstance(engine, MoquiOptions)
    assert [step.name for step in (*engine.before, *engine.after)] == ["interpreter", "converter"]
    assert engine.model_copy(update={"before": (), "after": (), "flavours": {}}) == MoquiOptions(
        kind="moqui", program="/opt/moqui/tps_env", flavour=flavour
    )


def test_every_option_has_a_sentence():
    assert not re.search(r"\|\s*\|$", reference(), re.MULTILINE)
    assert not re.search(r"^ *#\s*$", example(), re.MULTILINE)


def test_the_minimal_configuration_is_not_stale_and_short():
    text = (ROOT / "config.minimal.yaml").read_text()
    assert text == minimal(minimal_example()), "run: python -m mqi_communicator.config.minimal > config.minimal.yaml"
    assert len(text.splitlines()) < 40


def test_the_minimal_configuration_loads_and_says_what_the_example_says():
    small, whole = load(ROOT / "config.minimal.yaml"), load(ROOT / "config.example.yaml")
    for section in ("paths", "engine", "machines", "scanners", "dose_conventions"):
        assert getattr(small, section) == getattr(whole, section), section
    assert small.ssh is not None


@pytest.mark.parametrize("section", ["paths", "ssh", "engine"])
def test_no_section_of_the_minimal_configuration_can_be_left_out(section, tmp_path):
    settings = minimal_example()
    del settings[section]
    path = tmp_path / "config.yaml"
    path.write_text(minimal(settings))
    with pytest.raises(ConfigProblem):
        load(path)
