"""Which options an installed script hands to sbatch: those with a key of their own, and those of the administrator."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.seldom import seldom
from tests.stolen_key import SHELLS, TOKEN, Installed, shell

from mqi_communicator.case.faults import ActionRequired
from mqi_communicator.case.request import RemoteResponse
from mqi_communicator.case.work import Program, Work
from mqi_communicator.compute.job import Job
from mqi_communicator.compute.slurm import SlurmScheduler
from mqi_communicator.compute.slurm_options import SlurmOptions

pytestmark = pytest.mark.real

ALLOWED = "# of the cluster's administrator\n--constraint=a100\n--exclude=node[1-4]\n"
EVERY = SlurmOptions(
    partition="gpu", account="qa", qos="high", gres="gpu:a100:2", memory_mib=9000, cpus=4, nice=2_147_483_645,
    options=("--constraint=a100", "--exclude=node[1-4]"), time_s=7000,
)  # fmt: skip


@pytest.fixture(params=seldom(SHELLS, often=["dash"]))
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Installed:
    (tmp_path / "sbatch.options").write_text(ALLOWED)
    made = Installed(tmp_path, shell(request.param), ("--sbatch", str(tmp_path / "sbatch.options")))
    made.send()
    (made.tools / "sbatch").write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >'{made.tools}/asked'\necho 47\n")
    (made.tools / "sbatch").chmod(0o755)
    return made


def submit(site: Installed, *options: str) -> str:
    order = site.order(*(("sbatch", option) for option in options), ("program", "p", "0", "0", str(site.engine)))
    return site.ask("slurm_submit", str(site.root), TOKEN, stdin=order).stdout


def test_all_that_a_configuration_can_say_reaches_sbatch_as_it_is(site: Installed):
    """Each option is one word: a bracket is no pattern for the names of files."""
    (site.home / "--exclude=node1").touch()
    job = Job(TOKEN, Work((Program("engine", (str(site.engine),)),), (), 9000))
    call = SlurmScheduler(str(site.root), EVERY).submit(job)
    assert "mqi-submit begun 47" in site.ask(call.verb, *call.arguments, stdin=call.stdin).stdout
    asked = (site.tools / "asked").read_text().splitlines()
    assert asked[8:-1] == [
        "--partition=gpu", "--account=qa", "--qos=high", "--gres=gpu:a100:2", "--time=117", "--mem=9000M",
        "--cpus-per-task=4", "--nice=2147483645", "--constraint=a100", "--exclude=node[1-4]",
    ]  # fmt: skip
    assert asked[-1].startswith("--wrap=exec sh ")


@pytest.mark.parametrize(
    "option",
    [
        "--wrap=id", "--output=/tmp/owned", "-o/tmp/owned", "--uid=0", "--export=ALL", "--get-user-env", "--bcast=/x",
        "--constraint=v100", "--constraint", "--exclude=node1", "# of the cluster's administrator", "--nice=-5",
        "--mem=0x1M", "--mem=0", "--time=UNLIMITED", "--time=010", "--cpus-per-task=+1", "--partition=--wrap",
        "--partition=", "id", "--gres=gpu:1 --wrap=id", "--gres=$(id)", "*", "-", "--",
    ],
)  # fmt: skip
def test_no_other_option_reaches_sbatch(site: Installed, option: str):
    output = submit(site, "--gres=gpu:1", option)
    assert "mqi-trouble sbatch-barred" in output or "mqi-trouble bad-order line 6" in output
    assert not (site.tools / "asked").exists()


def test_gpus_of_a_plain_host_are_not_for_slurm(site: Installed):
    order = site.order(("gpu", "0"), ("program", "p", "0", "0", str(site.engine)))
    assert "bad-order line 5" in site.ask("slurm_submit", str(site.root), TOKEN, stdin=order).stdout


def test_without_a_list_no_option_is_the_administrators(tmp_path: Path):
    made = Installed(tmp_path, shell("dash"))
    made.send()
    assert "mqi-trouble sbatch-barred --constraint=a100" in submit(made, "--constraint=a100")


def test_an_option_that_is_not_allowed_needs_somebody():
    response = RemoteResponse(1, "mqi-trouble sbatch-barred --constraint=a100\n")
    with pytest.raises(ActionRequired, match="administrator does not allow an option of sbatch: --constraint=a100"):
        SlurmScheduler("/w").read_submit(response)
